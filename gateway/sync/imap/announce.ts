/**
 * Migration: every message of every mailbox is here, under its UID, before the first body is fetched. What needs octets waits for them; the rest
 * does not. docs/decisions/0025-announced-first.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, Uid } from '#src/base/ids.ts'
import { Announcement } from '#src/store/announcement.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import { examine } from '../../backend/imap/examine.ts'
import { listMessages } from '../../backend/imap/list-messages.ts'
import { Slice } from '../../backend/slice.ts'
import { isStub, stubbedOrigin } from '../stub.ts'
import { storableFlags } from './flags-here.ts'
import { keepUids } from './kept-uids.ts'
import { originPrefix, parseOrigin } from './origin.ts'
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
  await mailbox.withdraw(known.outdated)
  if (status !== undefined && (status.exists === 0 || status.uidNext <= known.highest + 1)) return known.isAwaiting
  const connection = await session.bulk()
  const uidValidity = await examine(connection, pair.path)
  if (uidValidity === undefined || (status !== undefined && uidValidity !== status.uidValidity)) return known.isAwaiting
  if (status === undefined) {
    known = await knownOf(mailbox, url, uidValidity)
    await mailbox.withdraw(known.outdated)
  }
  const announced = await listInto(request, connection, mailbox, {
    uidValidity,
    from: known.highest + 1,
    notices: known.notices,
  })
  return known.isAwaiting || announced
}

interface Known {
  /** Highest UID there of what came from this mailbox, whether it is here or left. */
  readonly highest: number
  readonly isAwaiting: boolean
  /** Rows of another UIDVALIDITY that will never get their octets. */
  readonly outdated: readonly Uid[]
  /** UIDs there of messages in whose place a notice is shown, or was. */
  readonly notices: ReadonlySet<Uid>
}

async function knownOf(mailbox: Mailbox, url: string, uidValidity: number | undefined): Promise<Known> {
  const slice = new Slice()
  const outdated: Uid[] = []
  let highest = 0
  let isAwaiting = false
  const notices = new Set<Uid>()
  const { messages } = mailbox
  const noted = (origin: string) => {
    const from = parseOrigin(url, stubbedOrigin(origin))
    if (from !== undefined && from.uidValidity === uidValidity) notices.add(from.uid)
  }
  for (let position = 0; position < messages.length; position += 1) {
    if (slice.isOver()) await slice.next()
    const origin = messages.originAt(position)
    if (origin === undefined) continue
    if (isStub(origin)) noted(origin)
    const from = parseOrigin(url, origin)
    if (from === undefined) continue
    const isHere = messages.isHereAt(position)
    if (from.uidValidity === uidValidity) {
      highest = Math.max(highest, from.uid)
      isAwaiting ||= !isHere
    } else if (!isHere && uidValidity !== undefined) outdated.push(messages.uidAt(position))
  }
  for (const [origin] of mailbox.departed()) {
    if (isStub(origin)) noted(origin)
    const from = parseOrigin(url, origin)
    if (from?.uidValidity === uidValidity) highest = Math.max(highest, from?.uid ?? 0)
  }
  return { highest, isAwaiting, outdated, notices }
}

/** Answers whether there were any. */
async function listInto(
  request: PassRequest,
  connection: ImapConnection,
  mailbox: Mailbox,
  listing: { readonly uidValidity: number; readonly from: number; readonly notices: ReadonlySet<Uid> },
): Promise<boolean> {
  const { uidValidity, from, notices } = listing
  const prefix = originPrefix(request.url, uidValidity)
  const givesUids = mailbox.uidValidity === uidValidity
  const sets = new FlagSets(mailbox)
  const now = Math.floor(request.clock.now() / 1000)
  const fresh = () => {
    const announcement = new Announcement(prefix, { givesUids })
    announcement.sets = sets.sets
    return announcement
  }
  let rows = fresh()
  let stored: Promise<void> = Promise.resolve()
  let count = 0
  // In the order of their UIDs, whatever the server's is: a lower one would come too late for its own.
  const store = () => {
    const batch = rows
    rows = fresh()
    if (batch.count === 0) return
    stored = stored.then(async () => {
      count += await mailbox.announce(batch)
    })
    stored.catch(() => {})
  }
  await listMessages(connection, from, ({ uid, flags, internalDate = now, sizeOctets }) => {
    // Without a size nothing could be said of it that stays.
    if (sizeOctets === undefined || notices.has(uid)) return
    rows.add(uid, internalDate, sizeOctets, sets.indexOf(flags))
    if (rows.count >= rowsPerCommit) store()
  })
  store()
  await stored
  return count > 0
}

/** The flags that can be kept here, found once for all messages with the same ones. */
class FlagSets {
  readonly sets: (readonly Flag[])[] = []
  readonly #mailbox: Mailbox
  readonly #known = new Map<readonly string[], number>()

  constructor(mailbox: Mailbox) {
    this.#mailbox = mailbox
  }

  indexOf(flags: readonly string[]): number {
    let index = this.#known.get(flags)
    if (index === undefined) {
      index = this.sets.push(storableFlags(this.#mailbox, flags)) - 1
      this.#known.set(flags, index)
    }
    return index
  }
}
