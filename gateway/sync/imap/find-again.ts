/** Messages that are on both sides and don't say so: what is found becomes known by its UID there. docs/decisions/0091-what-is-sent-gets-an-origin.md, 0092-new-numbers-there.md */
import type { Uid } from '#src/base/ids.ts'
import type { MessageRecord } from '#src/store/types.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import { forgetInjected, Journal } from '../inject/journal.ts'
import type { HereState } from './here.ts'
import type { MailboxPassRequest } from './mailbox-pass.ts'
import { matchMessages } from './match.ts'
import type { MailboxMark } from './memory.ts'
import type { Observation } from './observe.ts'
import { originOf, originOfLost, parseOrigin } from './origin.ts'
import { readOriginals } from './originals.ts'
import { confirmPasses, confirmSeconds, type Suspicion } from './plan.ts'
import { storeFlags } from './remote.ts'
import { kept } from './send.ts'

export interface FoundAgain {
  /** Origins have changed. */
  readonly found: boolean
  /** UIDs here of what an earlier pass sent, copied or moved there; it may not have come to their flags. */
  readonly sent: ReadonlySet<Uid>
  /** What was not found is sent. */
  readonly resend: boolean
  readonly suspicion: Suspicion | undefined
}

export const nothingLost: FoundAgain = { found: false, sent: new Set(), resend: false, suspicion: undefined }

/** Messages here that may be there under UIDs that they are not known by. */
export async function findAgain(
  request: MailboxPassRequest,
  { there, mark: markThere }: Observation,
  state: HereState,
  mark: MailboxMark | undefined,
  bulk: () => Promise<ImapConnection>,
  now: number,
): Promise<FoundAgain> {
  const { mailbox, url, session, policy } = request
  const { uidValidity } = markThere
  const unknown = [...there.flags.keys()].filter((uid) => !state.here.has(uid) && !state.departed.has(uid))
  const isSent = mark?.sentFrom !== undefined
  const own = isSent || mark === undefined ? state.own : []
  const records = [...state.stale, ...own].flatMap((uid) => mailbox.byUid(uid) ?? [])
  // What a client deleted while the backend changed its numbers is to be deleted there all the same.
  const departedOrigins = new Set(state.staleDeparted.keys())
  if (departedOrigins.size > 0)
    for (const { message, cause } of mailbox.expunged())
      if (cause === 'client' && message.origin !== undefined && departedOrigins.has(message.origin))
        records.push(message)
  let found = 0
  const owned = new Set(isSent ? own : [])
  const foundSent = new Set<Uid>()
  const originals = await readOriginals(request.account, url, mailbox.id, records)
  const journal = new Journal(request.account, mailbox.id)
  await matchMessages({
    mailbox,
    here: records,
    there: isSent && state.stale.length === 0 ? unknown.filter((uid) => uid >= mark.sentFrom!) : unknown,
    control: session.control,
    bulk,
    setSize: policy.fetchSetSize,
    anySize: state.stale.length + state.staleDeparted.size > 0 || isSent,
    originalDigest: ({ origin }) => (origin === undefined ? undefined : originals.get(origin)?.digest),
    found: async (pairs) => {
      found += pairs.length
      for (const [{ uid }] of pairs) if (owned.has(uid)) foundSent.add(uid)
      const entries = pairs.flatMap(([{ origin = '' }, there]) => {
        const entry = originals.get(origin)
        return entry === undefined ? [] : [{ from: origin, to: originOf(url, uidValidity, there), entry }]
      })
      // In this order: a message is never without its entry.
      await Promise.all(entries.map(({ to, entry }) => journal.record(to, entry)))
      await mailbox.giveOrigins(pairs.map(([{ uid }, there]) => [uid, originOf(url, uidValidity, there)] as const))
      await forgetInjected(
        request.account,
        mailbox.id,
        entries.map(({ from }) => from),
      )
    },
  })
  const forget = [...state.staleDeparted.keys()]
  if (forget.length > 0 && there.complete) await mailbox.forget(forget)
  const stale = state.stale.filter((uid) => isStale(mailbox.byUid(uid), url, uidValidity))
  const suspicion =
    stale.length === 0 ? undefined : { since: mark?.lost?.since ?? now, passes: (mark?.lost?.passes ?? 0) + 1 }
  // They are gone there for good, or were never the same: they are sent, and nothing is lost.
  const resend = suspicion !== undefined && suspicion.passes >= confirmPasses && now - suspicion.since >= confirmSeconds
  if (suspicion !== undefined)
    request.log.log(
      'warning',
      'the backend has given new numbers to a mailbox, and some messages are not found in it',
      {
        mailbox: request.path,
        messages: stale.length,
      },
    )
  return { found: found > 0 || forget.length > 0, sent: foundSent, resend, suspicion: resend ? undefined : suspicion }
}

function isStale(record: MessageRecord | undefined, url: string, uidValidity: number): boolean {
  const from = record?.origin === undefined ? undefined : parseOrigin(url, record.origin)
  return from !== undefined && from.uidValidity !== uidValidity && from.uidValidity !== 0
}

/** What a server took, copied or moved without telling as what. Answers what is not found. */
export async function findSent(
  { session, mailbox, url, policy }: MailboxPassRequest,
  untold: readonly Uid[],
  uidValidity: number,
  sentFrom: number,
  /** The flags that the backend can keep; undefined: any. */
  permanent: ReadonlySet<string> | undefined,
  bulk: () => Promise<ImapConnection>,
): Promise<readonly Uid[]> {
  const fetched = (await session.control.search({ uid: `${sentFrom}:*` }, { uid: true })) as number[] | false
  const there = (fetched || []).filter(
    (uid) => uid >= sentFrom && mailbox.byOrigin(originOf(url, uidValidity, uid as Uid)) === undefined,
  ) as Uid[]
  const left = new Set(untold)
  await matchMessages({
    mailbox,
    here: untold.flatMap((uid) => mailbox.byUid(uid) ?? []),
    there,
    control: session.control,
    bulk,
    setSize: policy.fetchSetSize,
    anySize: true,
    originalDigest: () => undefined,
    found: async (pairs) => {
      for (const [{ uid }] of pairs) left.delete(uid)
      // What was copied or moved there has those that it had there.
      await storeFlags(
        session.control,
        pairs.map(([{ flags }, there]) => ({ uid: there, set: kept(flags, permanent) })),
      )
      await mailbox.giveOrigins(pairs.map(([{ uid }, there]) => [uid, originOf(url, uidValidity, there)] as const))
    },
  })
  return [...left]
}

/** Sent and not found: it is not sent again. */
export async function giveUp({ mailbox, url, log, path }: MailboxPassRequest, uids: readonly Uid[]): Promise<void> {
  if (uids.length === 0) return
  log.log('warning', 'the backend took messages and changed them; they may appear a second time', {
    mailbox: path,
    messages: uids.length,
  })
  await mailbox.giveOrigins(uids.map((uid) => [uid, originOfLost(url, uid)] as const))
}
