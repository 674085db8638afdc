/**
 * An IMAP backend and an account, brought into step once: the tree, then what is new in each mailbox, on both sides, then what is gone.
 * Safe to stop at any instant: what it stands for is done before a mark becomes durable, and doing it again does nothing. GW-15, GW-22
 * docs/decisions/0090-a-pass-over-an-imap-account.md
 */
import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, ModSeq, Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapSession } from '../../backend/imap/session.ts'
import type { Injection } from '../inject/injector.ts'
import type { Setbacks } from '../setbacks.ts'
import type { SyncResult } from '../sync.ts'
import { announceAll } from './announce.ts'
import { type Awaited, awaitedElsewhere } from './awaited.ts'
import type { Belonging } from './belonging.ts'
import { finishMailbox } from './finish-mailbox.ts'
import { countAnnounced, hasOwn } from './here.ts'
import { keepUids } from './kept-uids.ts'
import { isSameMark, listThere } from './list.ts'
import { type MailboxPassRequest, type MailboxRest, passMailbox } from './mailbox-pass.ts'
import { BackendMemory, isAmong, joinedNumbers, type MailboxMark } from './memory.ts'
import type { PassMark } from './observe.ts'
import { originOf } from './origin.ts'
import type { Sibling } from './relocate.ts'
import { Met } from './take-over.ts'
import { bringTreesIntoStep, type ListedPair } from './tree-pass.ts'

export interface ImapPolicy {
  /** Before the names here. UDB-09 */
  readonly prefix: string
  readonly belonging: Belonging
  /** GW-22 */
  readonly inboxOnly: boolean
  /** GW-20; 0: all. */
  readonly fetchLastN: number
  /** GW-19 */
  readonly fetchSetSize: number
  /** MIG-07: nothing is changed there. */
  readonly pullOnly?: boolean | undefined
  /** `SyncPolicy`. */
  readonly keepUids?: boolean | undefined
  /** `SyncPolicy`. */
  readonly announces?: boolean | undefined
}

export interface PassRequest {
  /** Of the backend, `imapUrl`: the beginning of its origins. */
  readonly url: string
  readonly session: ImapSession
  readonly account: Account
  readonly policy: ImapPolicy
  readonly injection: Injection
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
  /** What the policy announces is here. */
  readonly onUsable?: (() => void) | undefined
  /** Waited for now and then behind `onUsable`: a client that waits goes before. */
  readonly rest?: (() => Promise<void>) | undefined
}

/** Throws BackendError when the session is lost, StoreError; whatever was done is not done again by the next pass. */
export async function syncAccount(request: PassRequest): Promise<SyncResult> {
  const { session, account, policy, url, log } = request
  const memory = new BackendMemory(account, url)
  const announces = policy.announces === true && request.injection.storesAll === true
  // Somebody waits: it is open by the time that the tree is known. Where it can't be opened, whoever asks for it is told.
  if (announces) session.bulk().catch(() => {})
  const listing = await listThere(session.control)
  for (const mailbox of listing.unreachable)
    log.log(
      'warning',
      'the backend lists a mailbox whose name is not encoded as IMAP wants, and does not open it; it is not in step',
      { mailbox },
    )
  const tree = await bringTreesIntoStep(request, memory, listing)
  const totals = new Totals()
  totals.refused = tree.refused
  totals.leaveOut(tree.leftOut)
  for (const mailbox of new Set(tree.leftOut).difference(new Set(listing.unreachable)))
    log.log('warning', 'the backend lists a mailbox and does not open it; it is not in step', { mailbox })
  const siblings = new Map(
    tree.pairs.map(({ idHere, path, name }): [MailboxId, Sibling] => [
      idHere,
      { path, name, until: tree.numbers.get(idHere) ?? (0 as ModSeq), moved: new Set() },
    ]),
  )
  for (const name of tree.unlisted) totals.toCome += await countAnnounced(account, url, name)
  const awaiting = announces ? await announceAll(request, tree.pairs) : new Set<MailboxId>()
  request.onUsable?.()
  const met = new Met()
  const rests: { readonly rest: MailboxRest; readonly id: MailboxId }[] = []
  const marks = new Map<MailboxId, MailboxMark | undefined>()
  for (const { idHere } of tree.pairs) marks.set(idHere, await memory.mark(idHere))
  let ahead = tree.pairs.reduce((sum, { idHere, status }) => sum + newSince(marks.get(idHere), status), 0)
  try {
    for (const pair of firstLosers(tree.pairs, marks)) {
      const mark = marks.get(pair.idHere)
      ahead -= newSince(mark, pair.status)
      request.injection.ahead?.(ahead)
      const { until } = siblings.get(pair.idHere)!
      totals.mailboxes += 1
      if (pair.remade === undefined && !awaiting.has(pair.idHere) && isUnchanged(mark, pair.status, until)) {
        totals.listed += pair.status?.exists ?? 0
        continue
      }
      const rest = await oneMailbox(request, memory, pair, mark, { siblings, met })
      if (rest === undefined) {
        totals.failed += 1
        if (await hasOwn(request.account, request.url, pair.name)) totals.unfinished = true
        continue
      }
      totals.add(rest)
      // Most have nothing left to do: what was found stands at once.
      if (hasRest(rest)) rests.push({ rest, id: pair.idHere })
      else await conclude(memory, rest, pair.idHere)
    }
    const isDeleting = tree.leaving.length > 0 || rests.some(({ rest }) => rest.plan.deleteThere.length > 0)
    const awaited: Awaited = isDeleting ? await awaitedElsewhere(account, policy.belonging) : new Map()
    if (tree.leaving.some(({ idHere }) => awaited.has(idHere))) totals.unfinished = true
    for (const { rest, id } of rests.splice(0)) {
      try {
        // A message that was moved and is not at its new place there is not deleted at the old one.
        const left = keepAwaited(withoutMoved(rest, siblings.get(id)!.moved), url, awaited.get(id))
        const done = await finishMailbox(request, left, totals.unfinished)
        totals.expungedHere += done.expungedHere
        totals.pushedOut += done.pushedOut
        totals.deletedThere += done.deletedThere
        await conclude(memory, done.rest, id)
      } finally {
        await rest.mailbox.close()
      }
    }
  } finally {
    for (const { rest } of rests) {
      rest.own[Symbol.dispose]()
      await rest.mailbox.close()
    }
  }
  await tree.finish(totals.unfinished)
  for (const { moved } of siblings.values()) totals.moved += moved.size
  if (totals.held > 0)
    log.log('warning', 'messages are missing at the backend; they are kept until the backend proves reliable', {
      missing: totals.held,
    })
  totals.slowed = session.isSlowed
  return totals.result()
}

class Totals {
  mailboxes = 0
  listed = 0
  fetched = 0
  fetchedOctets = 0
  sent = 0
  relocated = 0
  moved = 0
  flags = 0
  flagsThere = 0
  failed = 0
  leftOut: readonly string[] = []
  held = 0
  toCome = 0
  expungedHere = 0
  pushedOut = 0
  deletedThere = 0
  slowed = false
  /** Something could not be made in the tree. */
  refused = false
  /** Something that may have been moved is not where it is to be. */
  unfinished = false

  leaveOut(paths: readonly string[]): void {
    this.leftOut = paths
    // How many messages it has nobody knows.
    this.failed += paths.length
  }

  add({ counts }: MailboxRest): void {
    this.listed += counts.listed
    this.fetched += counts.fetched
    this.fetchedOctets += counts.fetchedOctets
    this.sent += counts.sent
    this.relocated += counts.relocated
    this.flags += counts.flags
    this.flagsThere += counts.flagsThere
    this.failed += counts.failed
    this.held += counts.held
    this.toCome += counts.toCome
    if (counts.unsent > 0) this.unfinished = true
  }

  result(): SyncResult {
    const { refused, unfinished, leftOut, toCome, ...counts } = this
    return {
      ...counts,
      ...(toCome === 0 ? {} : { toCome }),
      ...(leftOut.length === 0 ? {} : { leftOut }),
    }
  }
}

/** A message that was moved there is not to be deleted at its old place any more. */
function withoutMoved(rest: MailboxRest, moved: ReadonlySet<Uid>): MailboxRest {
  if (moved.size === 0) return rest
  return { ...rest, plan: { ...rest.plan, deleteThere: rest.plan.deleteThere.filter((uid) => !moved.has(uid)) } }
}

/** What waits to be sent to another backend is deleted when that has it. */
function keepAwaited(rest: MailboxRest, url: string, awaited: ReadonlySet<string> | undefined): MailboxRest {
  if (awaited === undefined) return rest
  const { plan, uidValidity } = rest
  const deleteThere = plan.deleteThere.filter((uid) => !awaited.has(originOf(url, uidValidity, uid)))
  if (deleteThere.length === plan.deleteThere.length) return rest
  return { ...rest, plan: { ...plan, deleteThere }, mark: { ...rest.mark, again: true } }
}

const hasRest = ({ plan }: MailboxRest): boolean =>
  plan.expungeHere.length + plan.pushOut.length + plan.deleteThere.length + plan.forget.length > 0

/** The mark, once everything that it stands for is done. */
async function conclude(memory: BackendMemory, { mark, own, mailbox }: MailboxRest, id: MailboxId): Promise<void> {
  const numbers = own.numbers
  own[Symbol.dispose]()
  await memory.put(new Map([[id, { ...mark, own: joinedNumbers(mark.own, numbers) }]]))
  await mailbox.close()
}

/** New messages there, at most: UIDs may have gaps. */
function newSince(mark: MailboxMark | undefined, status: PassMark | undefined): number {
  if (status === undefined) return 0
  const { there } = mark ?? {}
  const isSame = there?.uidValidity === status.uidValidity
  return isSame ? Math.min(status.exists, Math.max(0, status.uidNext - there.uidNext)) : status.exists
}

/** Mailboxes that lost messages there come first: what is missing in one may have been moved to another. */
function firstLosers(
  pairs: readonly ListedPair[],
  marks: ReadonlyMap<MailboxId, MailboxMark | undefined>,
): readonly ListedPair[] {
  const hasLost = ({ idHere, status }: ListedPair): boolean => {
    const mark = marks.get(idHere)
    return status !== undefined && status.exists < (mark?.there?.exists ?? 0) + newSince(mark, status)
  }
  return [...pairs.filter(hasLost), ...pairs.filter((pair) => !hasLost(pair))]
}

/** Nothing happened on either side since the last pass: no need to look into the mailbox. */
function isUnchanged(mark: MailboxMark | undefined, status: PassMark | undefined, here: ModSeq): boolean {
  if (mark?.there === undefined || status?.modSeq === undefined || !isSameMark(mark.there, status)) return false
  if (mark.again !== undefined || mark.sentFrom !== undefined) return false
  // Suspicions end by being looked at again.
  if (mark.suspicion !== undefined || mark.lost !== undefined) return false
  for (let number = mark.here + 1; number <= here; number += 1) if (!isAmong(mark.own, number)) return false
  return true
}

/** Undefined when this mailbox can't be brought into step now, and others may. */
async function oneMailbox(
  request: PassRequest,
  memory: BackendMemory,
  pair: ListedPair,
  mark: MailboxMark | undefined,
  { siblings, met }: Pick<MailboxPassRequest, 'siblings' | 'met'>,
): Promise<MailboxRest | undefined> {
  const { account, session, log } = request
  const { path, name, idHere, remade, status } = pair
  const complain = (error: Error) =>
    log.log('warning', 'a mailbox is not in step with the backend; it is tried again', {
      mailbox: name,
      reason: error.message,
      ...(error instanceof BackendError ? { reply: error.serverText } : {}),
    })
  let mailbox: Mailbox
  await request.rest?.()
  if (request.policy.keepUids === true) await keepUids(request, pair)
  try {
    mailbox = await account.open(name)
  } catch (error) {
    // Removed or renamed since it was listed.
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    return undefined
  }
  try {
    if (mailbox.id !== idHere) return undefined
    const remember = (changed: MailboxMark) => memory.put(new Map([[idHere, changed]]))
    const rest = await passMailbox({
      ...request,
      path,
      mailbox,
      mark,
      status,
      until: siblings.get(idHere)!.until,
      siblings,
      met,
      remember,
      remade: remade === true,
    })
    return rest
  } catch (error) {
    await mailbox.close()
    const passing =
      error instanceof BackendError && session.control.usable && (error.kind === 'temporary' || error.kind === 'gone')
    const gone = error instanceof StoreError && error.kind === 'not-found'
    if (!passing && !gone) throw error
    complain(error)
    return undefined
  }
}
