/**
 * One mailbox of a pass: what is new on either side goes to the other. Deletions are only found here, and carried out when all mailboxes have
 * been through this: a message that was moved is where it went to before it goes where it was.
 */
import type { MailboxId, ModSeq, Uid } from '#src/base/ids.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import { examine } from '../../backend/imap/examine.ts'
import { clearStubs, stubOrigin } from '../stub.ts'
import { readAway, uidsInjected } from './away.ts'
import { fetchMessages } from './fetch.ts'
import { findAgain, findSent, giveUp, nothingLost } from './find-again.ts'
import { flagsHere, storableFlags } from './flags-here.ts'
import { announcedOf, type HereState, stateHere } from './here.ts'
import { noteOthers } from './kept-uids.ts'
import type { MailboxMark } from './memory.ts'
import { observe, type PassMark } from './observe.ts'
import { originOf, parseOrigin } from './origin.ts'
import { OwnChanges } from './own-changes.ts'
import type { PassRequest } from './pass.ts'
import { type MailboxPlan, planMailbox } from './plan.ts'
import { relocate, type Sibling } from './relocate.ts'
import { storeFlags } from './remote.ts'
import { sendMessages } from './send.ts'
import { type Met, takeOver } from './take-over.ts'

export interface MailboxCounts {
  listed: number
  fetched: number
  fetchedOctets: number
  sent: number
  /** Copied or moved there. */
  relocated: number
  /** Refused by the backend. */
  unsent: number
  flags: number
  flagsThere: number
  failed: number
  held: number
  /** Announced, missing there, and not believed to be gone. */
  toCome: number
}

/** What is left to do when all mailboxes were looked into. */
export interface MailboxRest {
  readonly path: string
  readonly mailbox: Mailbox
  readonly uidValidity: number
  readonly plan: Pick<MailboxPlan, 'expungeHere' | 'pushOut' | 'deleteThere' | 'forget'>
  /** Of the time before anything was done. */
  readonly here: ModSeq
  readonly own: OwnChanges
  /** As it will be when the rest is done. */
  readonly mark: MailboxMark
  readonly counts: MailboxCounts
}

export interface MailboxPassRequest extends PassRequest {
  readonly path: string
  /** Open. */
  readonly mailbox: Mailbox
  readonly mark: MailboxMark | undefined
  /** As it was listed there. */
  readonly status: PassMark | undefined
  /** Deletions by clients up to this one are told to the backend. */
  readonly until: ModSeq
  /** The mailbox was removed there and made again: messages of before are gone. */
  readonly remade: boolean
  /** All mailboxes of the backend. */
  readonly siblings: ReadonlyMap<MailboxId, Sibling>
  /** By the pass, so far. */
  readonly met: Met
  /** The mark becomes durable at once. */
  readonly remember: (mark: MailboxMark) => Promise<void>
}

/** Throws BackendError and StoreError; whatever was done is not done again by the next pass. */
export async function passMailbox(request: MailboxPassRequest): Promise<MailboxRest> {
  const { session, url, path, mailbox, policy, clock, until, remember, met } = request
  const { control } = session
  await mailbox.refresh()
  const mark = request.mark?.uidValidityHere === mailbox.uidValidity ? request.mark : undefined
  const own = new OwnChanges(mailbox)
  try {
    const from = mailbox.highestModSeq
    const validity = mark?.there?.uidValidity
    const known = await stateHere(mailbox, url, validity ?? 0, mark, until, policy.pullOnly)
    const injected = await uidsInjected(request.account, { url, uidValidity: validity ?? 0, mailbox })
    const {
      there,
      mark: markThere,
      ids,
    } = await observe(
      control,
      path,
      mark?.there,
      new Set([...known.here.keys(), ...known.departed.keys(), ...(mark?.pending ?? []), ...injected]),
      { uidNextListed: request.status?.uidNext, readOnly: policy.pullOnly },
    )
    const { uidValidity } = markThere
    let state =
      uidValidity === validity ? known : await stateHere(mailbox, url, uidValidity, mark, until, policy.pullOnly)
    const bulk = selected(session, path, uidValidity)
    const now = Math.floor(clock.now() / 1000)
    const lost = request.remade
      ? nothingLost
      : await findAgain(request, { there, mark: markThere, ids }, state, mark, bulk, now)
    if (lost.found) state = await stateHere(mailbox, url, uidValidity, mark, until, policy.pullOnly)
    // Where everything was listed, it tells what is gone; else the server has.
    const vanished =
      uidValidity === validity
        ? there.vanished
        : [...state.here.keys(), ...state.departed.keys()].filter((uid) => !there.flags.has(uid))
    const plan = planMailbox({
      here: withChanged(state.here, lost.sent),
      departed: state.departed,
      own: lost.resend ? [...state.own, ...state.stale].sort((a, b) => a - b) : state.own,
      there: { ...there, vanished },
      suspicion: mark?.suspicion,
      policy: { fetchLastN: policy.fetchLastN, deletionsPerPass, pullOnly: policy.pullOnly },
      now,
    })
    const counts = {
      listed: there.exists,
      fetched: 0,
      fetchedOctets: 0,
      sent: 0,
      relocated: 0,
      unsent: 0,
      flags: 0,
      flagsThere: 0,
      failed: 0,
      held: plan.held,
      toCome: 0,
    }

    if (plan.flagsThere.length > 0) await storeFlags(control, plan.flagsThere)
    counts.flagsThere = plan.flagsThere.length
    counts.flags += plan.flagsThere.length

    const gone = new Set(vanished)
    const away = await readAway(request.account, { url, uidValidity, mailbox }, state, there, now)
    let isAwaited = away.isAwaited
    const pending = (mark?.pending ?? []).filter((uid) => !gone.has(uid) && !state.here.has(uid))
    const unknown = [...new Set([...plan.fetch, ...(uidValidity === validity ? pending : [])])]
      .filter((uid) => !away.uids.has(uid))
      .sort((a, b) => a - b)
    const storable = (flags: Iterable<Flag>) => storableFlags(mailbox, [...flags])
    const keepsUids = policy.keepUids === true && mailbox.uidValidity === uidValidity
    // A copy of what is in another mailbox gets a UID of its own.
    const taken = keepsUids
      ? new Set<Uid>()
      : await takeOver({
          ...{ control, account: request.account, url, uidValidity, mailbox, wanted: unknown, ids, met },
          flagsOf: (uid) => storable(there.flags.get(uid) ?? []),
        })
    const wanted = unknown.filter((uid) => !taken.has(uid))
    const announced = announcedOf(mailbox, url, uidValidity)
    const rowsOf = (uids: readonly Uid[]) =>
      uids.flatMap((uid) => mailbox.byOrigin(originOf(url, uidValidity, uid))?.uid ?? [])
    const missingRows = gone.size === 0 ? [] : announced.filter((uid) => gone.has(uid))
    // A loss that is not believed yet takes nothing out.
    if (there.complete && plan.held === 0) await mailbox.withdraw(rowsOf(missingRows))
    else counts.toCome = missingRows.length
    const coming = gone.size === 0 ? announced : announced.filter((uid) => !gone.has(uid))
    // An announced message that was taken out, by a pass that then died: as long as that is remembered, it can't come.
    const readmitted = wanted.filter((uid) => state.departed.get(uid) === 'backend')
    if (readmitted.length > 0) await mailbox.forget(readmitted.map((uid) => originOf(url, uidValidity, uid)))
    let missed: readonly Uid[] = []
    if (wanted.length + coming.length > 0) {
      const expected = { messages: wanted.length + coming.length }
      const injector = request.injection.into({ account: request.account, mailbox, log: request.log, expected })
      const { setbacks, log, rest } = request
      const setSize = policy.fetchSetSize
      const connection = await bulk()
      try {
        ;({ missed } = await fetchMessages({
          connection,
          url,
          uidValidity,
          uids: wanted,
          announced: coming,
          setSize,
          injector,
          mailbox,
          keepsUids,
          setbacks,
          storable,
          clock,
          log,
          rest,
        }))
      } finally {
        counts.fetched = injector.taken
        counts.fetchedOctets = injector.takenOctets
        isAwaited ||= injector.leftAway > 0
      }
      counts.failed += missed.length
      // A notice tells of these: they come under other UIDs, if they come.
      const told = coming.filter((uid) => mailbox.byOrigin(stubOrigin(originOf(url, uidValidity, uid))) !== undefined)
      await mailbox.withdraw(rowsOf(told))
    }
    if (keepsUids) {
      const late = new Set(pending)
      const isLate = (uid: Uid) => late.has(uid) || request.setbacks.of(originOf(url, uidValidity, uid)) !== undefined
      await noteOthers(request, { url, uidValidity, mailbox, uids: [...state.here.keys(), ...wanted], isLate })
      // What the backend spent UIDs for is gone, or comes late.
      await mailbox.raiseUidNext(markThere.uidNext as Uid)
    }
    for (const uid of vanished) {
      const record = mailbox.byUid(state.here.get(uid)?.uid ?? (0 as Uid))
      if (record?.isHere === true) met.vanished(mailbox, record)
    }
    for (const uid of unknown) {
      const known = mailbox.byOrigin(originOf(url, uidValidity, uid))
      const record = known?.present === true ? mailbox.byUid(known.uid) : undefined
      const id = ids.get(uid)
      if (id !== undefined && record?.isHere === true) met.came(mailbox, id, record)
    }
    const open = new Set([...wanted, ...coming, ...away.uids])
    const isOpen = (origin: string) => {
      const from = parseOrigin(url, origin)
      return from?.uidValidity === uidValidity && open.has(from.uid)
    }
    const isSure = there.complete && plan.held === 0
    await clearStubs(mailbox, url, (origin) => isHere(mailbox, origin) || (isSure && !isOpen(origin)))
    counts.flags += await flagsHere(mailbox, plan.flagsHere, from)

    if (plan.upload.length > 0) {
      const sentFrom = mark?.sentFrom ?? markThere.uidNext
      await remember({ ...(mark ?? fresh(mailbox)), there: mark?.there ?? nothingSeen(uidValidity), sentFrom })
      const { permanent } = there
      const target = { control, path, url, uidValidity, mailbox, permanent, log: request.log }
      const { relocated, untold, left } = await relocate({
        ...target,
        account: request.account,
        siblings: request.siblings,
        uids: plan.upload,
      })
      counts.relocated = relocated
      const unfound = untold.length > 0 ? await findSent(request, untold, uidValidity, sentFrom, permanent, bulk) : []
      const sent = await sendMessages({ ...target, bulk, uids: [...left, ...unfound] })
      counts.sent = sent.sent
      counts.unsent = sent.failed
      counts.failed += sent.failed
      if (sent.untold.length > 0)
        await giveUp(request, await findSent(request, sent.untold, uidValidity, sentFrom, permanent, bulk))
    }
    const again = counts.failed > 0 || state.later || plan.deleteThere.length >= deletionsPerPass
    return {
      path,
      mailbox,
      uidValidity,
      plan: request.remade
        ? { ...plan, expungeHere: [...plan.expungeHere, ...state.stale].sort((a, b) => a - b) }
        : plan,
      here: from,
      own,
      counts,
      mark: {
        // What is held back, or was left out, has to be told again.
        there: plan.held > 0 || !there.complete || isAwaited ? mark?.there : markThere,
        seenBelow: seenBelow(mailbox, url, markThere),
        // What a client changes while its mail is pulled stays changed, however many passes that takes.
        here: policy.pullOnly && mark !== undefined ? mark.here : from,
        own: policy.pullOnly ? (mark?.own ?? []) : [],
        uidValidityHere: mailbox.uidValidity,
        ...(again ? { again } : {}),
        ...(missed.length > 0 ? { pending: missed } : {}),
        ...(plan.suspicion === undefined ? {} : { suspicion: plan.suspicion }),
        ...(lost.suspicion === undefined ? {} : { lost: lost.suspicion }),
      },
    }
  } catch (error) {
    own[Symbol.dispose]()
    throw error
  }
}

/** GW-07's like for IMAP: the rest follows in the next pass. */
const deletionsPerPass = 10_000

function isHere(mailbox: Mailbox, origin: string): boolean {
  const known = mailbox.byOrigin(origin)
  return known?.present === true && mailbox.byUid(known.uid)?.isHere === true
}

/** Of these nobody knows whether the backend was told their flags. */
function withChanged(here: HereState['here'], uids: ReadonlySet<Uid>): HereState['here'] {
  if (uids.size === 0) return here
  return new Map(
    [...here].map(([there, message]) => [there, uids.has(message.uid) ? { ...message, changed: true } : message]),
  )
}

/** A mark that makes the next pass look at everything, as none does, and tells the mailbox when it is renamed there. */
const nothingSeen = (uidValidity: number): PassMark => ({ uidValidity, uidNext: 1, exists: 0, modSeq: undefined })

const fresh = (mailbox: Mailbox): MailboxMark => ({
  there: undefined,
  seenBelow: 0,
  here: mailbox.highestModSeq,
  own: [],
  uidValidityHere: mailbox.uidValidity,
})

/** What was sent there in this pass follows what was there before, unless others put something between. */
function seenBelow(mailbox: Mailbox, url: string, { uidValidity, uidNext }: PassMark): number {
  let uid = uidNext as Uid
  while (mailbox.byOrigin(originOf(url, uidValidity, uid)) !== undefined) uid = (uid + 1) as Uid
  return uid
}

/** The bulk connection with this mailbox selected; once. */
function selected(session: PassRequest['session'], path: string, uidValidity: number): () => Promise<ImapConnection> {
  let connection: Promise<ImapConnection> | undefined
  return () => {
    connection ??= session.bulk().then(async (bulk) => {
      if ((await examine(bulk, path)) !== uidValidity)
        throw new BackendError('temporary', 'a mailbox at the backend was replaced meanwhile')
      return bulk
    })
    return connection
  }
}
