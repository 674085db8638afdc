/**
 * Migration: every message of every mailbox is here, under its UID, before the first body is fetched. What needs octets waits for them; the rest
 * does not. docs/decisions/0025-announced-first.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, Uid } from '#src/base/ids.ts'
import type { AnnouncedMessage, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import { examine } from '../../backend/imap/examine.ts'
import { type ListedMessage, listMessages } from '../../backend/imap/list-messages.ts'
import { Slice } from '../../backend/slice.ts'
import { stubOrigin } from '../stub.ts'
import { storableFlags } from './flags-here.ts'
import { keepUids } from './kept-uids.ts'
import { originOf, parseOrigin } from './origin.ts'
import type { PassRequest } from './pass.ts'
import type { ListedPair } from './tree-pass.ts'

/** Rows of one commit. */
const rowsPerCommit = 20_000
/** Whoever logs in sees all of INBOX, and of the rest what is listed in this time. */
const patienceMs = 5_000

/**
 * Ends with the mailboxes of which something is still to come. A mailbox that can't be listed now is left to the pass. Throws BackendError when the
 * session is lost, StoreError.
 */
export async function announceAll(request: PassRequest, pairs: readonly ListedPair[]): Promise<ReadonlySet<MailboxId>> {
  const { account, session, clock } = request
  const began = clock.monotonic()
  let isUsable = false
  const usable = () => {
    if (!isUsable) request.onUsable?.()
    isUsable = true
  }
  // First all of them: nobody is to select one under another UIDVALIDITY.
  for (const pair of pairs) await keepUids(request, pair)
  const awaiting = new Set<MailboxId>()
  for (const pair of pairs) {
    if (pair.name !== 'INBOX' && clock.monotonic() - began >= patienceMs) usable()
    try {
      await using mailbox = await account.open(pair.name)
      if (mailbox.id === pair.idHere && (await announceMailbox(request, pair, mailbox))) awaiting.add(pair.idHere)
    } catch (error) {
      const passing = error instanceof BackendError && session.control.usable && error.kind === 'temporary'
      const gone = error instanceof StoreError && error.kind === 'not-found'
      if (!passing && !gone) throw error
    }
  }
  usable()
  return awaiting
}

/** Answers whether something is still to come. */
async function announceMailbox(request: PassRequest, pair: ListedPair, mailbox: Mailbox): Promise<boolean> {
  const { session, url } = request
  await mailbox.refresh()
  const { status } = pair
  let known = await knownOf(mailbox, url, status?.uidValidity)
  await drop(mailbox, known.outdated)
  if (status !== undefined && (status.exists === 0 || status.uidNext <= known.highest + 1)) return known.isAwaiting
  const connection = await session.bulk()
  const uidValidity = await examine(connection, pair.path)
  if (uidValidity === undefined || (status !== undefined && uidValidity !== status.uidValidity)) return known.isAwaiting
  if (status === undefined) {
    known = await knownOf(mailbox, url, uidValidity)
    await drop(mailbox, known.outdated)
  }
  const announced = await listInto(request, connection, mailbox, { uidValidity, from: known.highest + 1 })
  return known.isAwaiting || announced
}

interface Known {
  /** Highest UID there of what came from this mailbox, whether it is here or left. */
  readonly highest: number
  readonly isAwaiting: boolean
  /** Rows of another UIDVALIDITY that will never get their octets. */
  readonly outdated: readonly Uid[]
}

async function knownOf(mailbox: Mailbox, url: string, uidValidity: number | undefined): Promise<Known> {
  const slice = new Slice()
  const outdated: Uid[] = []
  let highest = 0
  let isAwaiting = false
  const { messages } = mailbox
  for (let position = 0; position < messages.length; position += 1) {
    if (slice.isOver()) await slice.next()
    const from = parseOrigin(url, messages.originAt(position) ?? '')
    if (from === undefined) continue
    const isHere = messages.isHereAt(position)
    if (from.uidValidity === uidValidity) {
      highest = Math.max(highest, from.uid)
      isAwaiting ||= !isHere
    } else if (!isHere && uidValidity !== undefined) outdated.push(messages.uidAt(position))
  }
  for (const [origin] of mailbox.departed()) {
    const from = parseOrigin(url, origin)
    if (from?.uidValidity === uidValidity) highest = Math.max(highest, from?.uid ?? 0)
  }
  return { highest, isAwaiting, outdated }
}

/** Takes announced messages out as if they had never been told of, so that they may come in another way. */
export async function drop(mailbox: Mailbox, uids: readonly Uid[]): Promise<void> {
  const origins = uids.flatMap((uid) => {
    const record = mailbox.byUid(uid)
    return record?.isHere === false && record.origin !== undefined ? [[uid, record.origin] as const] : []
  })
  if (origins.length === 0) return
  const left = new Set(
    await mailbox.expunge(
      origins.map(([uid]) => uid),
      'backend',
    ),
  )
  await mailbox.forget(origins.flatMap(([uid, origin]) => (left.has(uid) ? [origin] : [])))
}

/** Answers whether there were any. */
async function listInto(
  request: PassRequest,
  connection: ImapConnection,
  mailbox: Mailbox,
  { uidValidity, from }: { readonly uidValidity: number; readonly from: number },
): Promise<boolean> {
  const { url, clock } = request
  const keeps = mailbox.uidValidity === uidValidity
  const flagsOf = sharedFlags(mailbox)
  let rows: ListedMessage[] = []
  let stored: Promise<void> = Promise.resolve()
  let count = 0
  const now = Math.floor(clock.now() / 1000)
  const store = () => {
    // In the order of their UIDs, whatever the server's is: a lower one would come too late for its own.
    const batch = rows.sort((a, b) => a.uid - b.uid)
    rows = []
    stored = stored.then(async () => {
      const slice = new Slice()
      const messages: AnnouncedMessage[] = []
      for (const { uid, flags, internalDate, sizeOctets } of batch) {
        if (slice.isOver()) await slice.next()
        const origin = originOf(url, uidValidity, uid)
        if (mailbox.byOrigin(origin) !== undefined || mailbox.byOrigin(stubOrigin(origin)) !== undefined) continue
        // Without a size nothing could be said of it that stays.
        if (sizeOctets === undefined) continue
        const given = keeps ? { uid } : {}
        messages.push({ origin, sizeOctets, internalDate: internalDate ?? now, flags: flagsOf(flags), ...given })
      }
      if (messages.length > 0) await mailbox.announce(messages)
      count += messages.length
    })
    stored.catch(() => {})
  }
  await listMessages(connection, from, (message) => {
    rows.push(message)
    if (rows.length >= rowsPerCommit) store()
  })
  store()
  await stored
  return count > 0
}

/** The flags that can be kept here, found once for all messages with the same ones. */
function sharedFlags(mailbox: Mailbox): (flags: readonly string[]) => readonly string[] {
  const known = new Map<string, readonly string[]>()
  return (flags) => {
    const key = flags.join(' ')
    let found = known.get(key)
    if (found === undefined) {
      found = storableFlags(mailbox, flags)
      known.set(key, found)
    }
    return found
  }
}
