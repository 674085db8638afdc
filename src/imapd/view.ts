/**
 * One session's numbering of its selected mailbox: sequence number <-> message, and what the client was told. Nothing is kept for a message
 * but what sets it apart: the mailbox's own lists never change, so the numbering is the list as of the last look, with the ghosts put in
 * between and the arrivals left off at the end.
 *
 * Invariants, RFC 3501 §7.4.1, §5.5 and RFC 2180 §4.1.1:
 * - a sequence number means the same message until an EXPUNGE response for it or for one below was written;
 * - a message that is gone but not announced as such keeps its number and its last record (a ghost);
 * - what the client believes of a message's flags is compared with the record, so that nothing is told twice
 *   and nothing is left untold;
 * - a read-write session announces a message only after somebody's claim decided whose \Recent it is;
 * - of a mailbox that is not the user's nothing is told before a look at what rights he has now.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, ModSeq, SeqNum, Uid } from '../base/ids.ts'
import {
  indexesOf,
  type MessageSet,
  namesMissing,
  resolveSequenceNumbers,
  resolveUids,
  type SequenceSet,
  savedResult,
} from '../proto/imap/sequence-set.ts'
import { allRights, type Right, type Rights } from '../sharing/rights.ts'
import type { Flag, Mailbox, MessageList, MessageRecord, UidRange } from '../store/types.ts'
import { isAmong, joinRanges } from '../store/uid-set.ts'
import { Beliefs, sameFlags } from './beliefs.ts'
import { Ghosts } from './ghosts.ts'
import { Refusal } from './replies.ts'
import { Slice } from './slice.ts'

/** What the client is to be told, in this order. */
export interface Announcements {
  /** The FLAGS list grew, or what may be changed did: tell it before a message uses a new keyword. */
  readonly flagLists: boolean
  /** Descending, so that each number is right whatever was taken out before it. */
  readonly expunged: readonly SeqNum[]
  /** New EXISTS and RECENT, when messages arrived or the session's \Recent messages changed in number. */
  readonly exists: number | undefined
  readonly recent: number | undefined
  /** Positions (sequence number - 1) whose flags differ from what the client believes. Ascending. */
  readonly flags: readonly number[]
}

const nothing: Announcements = { flagLists: false, expunged: [], exists: undefined, recent: undefined, flags: [] }

/** How a view is opened. */
export interface ViewOptions {
  readonly readOnly: boolean
  /** What the user may do with it now; all for ever when it is his own. */
  readonly rightsOn?: ((mailbox: MailboxId) => Promise<Rights>) | undefined
}

/**
 * The selected mailbox was deleted by somebody, or is another one now (its UIDVALIDITY changed), or the user may not read it any more, which looks the
 * same to him. The session ends: RFC 2180 §3.3, RFC 4314 §5.1.1
 */
export class MailboxGone extends Error {
  override readonly name = 'MailboxGone'
}

const uidOf = (list: MessageList, index: number): Uid => list.uidAt(index)
const flagsOf = (list: MessageList, index: number): ReadonlySet<Flag> => list.flagsAt(index)
const sizeOf = (list: MessageList, index: number): number => list.sizeAt(index)
const internalDateOf = (list: MessageList, index: number): number => list.internalDateAt(index)
const isHereOf = (list: MessageList, index: number): boolean => list.isHereAt(index)
const recordOf = (list: MessageList, index: number): MessageRecord => list.at(index)!

export class View {
  readonly mailbox: Mailbox
  readonly readOnly: boolean
  /** The search result variable: UIDs, so that it holds whatever is expunged. RFC 5182 §2.1 */
  saved: SequenceSet = []
  /** The mailbox as of the last look: the messages that the client counts, but for the ghosts; behind them the arrivals. */
  #list: MessageList
  /** Of `#list`. */
  #since: ModSeq
  /** What the client counts; ghosts included. */
  #exists = 0
  #ghosts = new Ghosts()
  /** As of the last announcements: the flags that the client believes, but for what `#beliefs` knows better. */
  #told: MessageList
  /** Of `#told`. */
  #toldSince: ModSeq
  #beliefs: Beliefs
  /** UIDs of the session's \Recent messages, and of none of the others that it counts. */
  #recent: readonly UidRange[] = []
  #recentCount = 0
  #claims: { readonly after: Uid; readonly upTo: Uid }[] = []
  /** The last claim could not be made. */
  #undecidable = false
  #keywordsTold: number
  #recentTold = 0
  #rights: Rights = allRights
  #rightsTold: Rights = allRights
  readonly #rightsOn: ViewOptions['rightsOn']

  private constructor(mailbox: Mailbox, { readOnly, rightsOn }: ViewOptions) {
    this.mailbox = mailbox
    this.readOnly = readOnly
    this.#rightsOn = rightsOn
    this.#list = mailbox.messages
    this.#since = mailbox.highestModSeq
    this.#told = this.#list
    this.#toldSince = this.#since
    this.#beliefs = new Beliefs(this.#told)
    this.#keywordsTold = mailbox.keywords.size
  }

  /** Numbers the mailbox as it is now. Claims \Recent unless `readOnly`. Throws MailboxGone. */
  static async open(mailbox: Mailbox, options: ViewOptions): Promise<View> {
    const view = new View(mailbox, options)
    await view.#checkRights()
    view.#rightsTold = view.#rights
    await view.#claim()
    await view.#absorb()
    view.#admit()
    view.#tellFlags()
    view.#recentTold = view.#recentCount
    view.#keywordsTold = mailbox.keywords.size
    return view
  }

  /** Whether the user may change the flag, as of the last look. RFC 4314 §4 */
  mayChange(flag: Flag): boolean {
    return !this.readOnly && this.#rights.has(rightFor(flag))
  }

  /** What of this the user has no right to, as of the last look. */
  lacks(...needs: readonly Right[]): readonly Right[] {
    return needs.filter((need) => !this.#rights.has(need))
  }

  /** Messages that the client counts. */
  get exists(): number {
    return this.#exists
  }

  get recentCount(): number {
    return this.#recentCount
  }

  /** The record at a position (sequence number - 1), the last one where the message is gone. So do the others tell one property of it. */
  at(position: number): MessageRecord {
    return this.#read(position, recordOf)
  }

  /** The same; of a message that was not here at the last look and has come since, as it is now. */
  recordNow(position: number): MessageRecord {
    const told = this.at(position)
    return told.isHere ? told : (this.mailbox.byUid(told.uid) ?? told)
  }

  uidAt(position: number): Uid {
    return this.#read(position, uidOf)
  }

  flagsAt(position: number): ReadonlySet<Flag> {
    return this.#read(position, flagsOf)
  }

  /** See `MessageRecord.isHere`; as of the last look. */
  isHereAt(position: number): boolean {
    return this.#read(position, isHereOf)
  }

  sizeAt(position: number): number {
    return this.#read(position, sizeOf)
  }

  internalDateAt(position: number): number {
    return this.#read(position, internalDateOf)
  }

  isRecent(uid: Uid): boolean {
    return this.#recent.length > 0 && isAmong(this.#recent, uid)
  }

  isGhostAt(position: number): boolean {
    return this.#ghosts.at(position) !== undefined
  }

  /**
   * Positions that a command's set names, ascending. UIDs of messages that are not there (any more), and of saved results those that are
   * gone, are passed over; a sequence number above EXISTS throws Refusal (BAD). RFC 3501 §6.4.8, §9 seq-number, RFC 5182 §2.1
   */
  positions(set: MessageSet, uid: boolean): Iterable<number> {
    const count = this.#exists
    if (uid || set === savedResult) {
      const uids = set === savedResult ? this.saved : set
      const all = indexesOf(resolveUids(uids, count, (position) => this.uidAt(position)))
      return this.#ghosts.count === 0 ? all : all.filter((position) => !this.isGhostAt(position))
    }
    if (namesMissing(set, count)) throw new Refusal('BAD', undefined, `No such message: the mailbox has ${count}`)
    return indexesOf(resolveSequenceNumbers(set, count))
  }

  /** Position of the first message that is not \Seen. */
  async firstUnseen(): Promise<number | undefined> {
    const slice = new Slice()
    for (let position = 0; position < this.#exists; position++) {
      if (!this.flagsAt(position).has('\\Seen')) return position
      if (slice.isOver()) await slice.next()
    }
    return undefined
  }

  /** Looks for what others did. Throws MailboxGone. */
  async refresh(): Promise<void> {
    await this.#checkRights()
    try {
      await this.mailbox.refresh()
    } catch (error) {
      throw isGone(error) ? new MailboxGone('deleted') : error
    }
  }

  /** Takes in what the mailbox knows by now and tells nothing. Throws MailboxGone. */
  async look(): Promise<void> {
    await this.refresh()
    await this.#absorb()
  }

  /** The client awaits these messages' flags (STORE). `uids` ascend. */
  oweFlags(uids: readonly Uid[]): void {
    this.#beliefs.owe(uids)
  }

  /** A FETCH response carried the flags that the message at `position` has at hand. */
  flagsTold(position: number): void {
    if (this.#list !== this.#told && !this.isGhostAt(position))
      this.#beliefs.told(this.uidAt(position), this.flagsAt(position))
  }

  /** The client assumes that its own STORE.SILENT has this effect. `uids` ascend. */
  assume(uids: readonly Uid[], effect: (flags: ReadonlySet<Flag>) => ReadonlySet<Flag>): void {
    this.#beliefs.assume(uids, effect)
  }

  /**
   * Everything the client doesn't know yet; from here on it counts as told, so it must be written before anything else.
   * Without `mayExpunge` gone messages stay as ghosts.
   */
  async announcements(mayExpunge: boolean): Promise<Announcements> {
    if (!(await this.#mayTell())) return nothing
    await this.#absorb()
    if (this.#arrivals > 0) {
      await this.#claim()
      await this.#absorb()
    }
    const expunged = mayExpunge ? await this.#bury() : []
    const before = this.#exists
    const grew = this.#admit()
    const recentChanged = this.#recentCount !== this.#recentTold
    this.#recentTold = this.#recentCount
    const flagLists = this.mailbox.keywords.size !== this.#keywordsTold || this.#rightsTold !== this.#rights
    this.#keywordsTold = this.mailbox.keywords.size
    this.#rightsTold = this.#rights
    const flags = await this.#changedFlags(before)
    this.#tellFlags()
    return {
      flagLists,
      expunged,
      exists: grew ? this.#exists : undefined,
      recent: grew || recentChanged ? this.#recentCount : undefined,
      flags,
    }
  }

  /** Throws MailboxGone. */
  async #checkRights(): Promise<void> {
    if (this.#rightsOn === undefined) return
    let rights: Rights
    try {
      rights = await this.#rightsOn(this.mailbox.id)
    } catch (error) {
      throw isGone(error) ? new MailboxGone('deleted') : error
    }
    if (!rights.has('r')) throw new MailboxGone('not to be read any more')
    if (rights.symmetricDifference(this.#rights).size > 0) this.#rights = rights
  }

  /** A store that can't say so must not keep anybody from working, but nothing is told meanwhile. Throws MailboxGone. */
  async #mayTell(): Promise<boolean> {
    try {
      await this.#checkRights()
      return true
    } catch (error) {
      if (error instanceof StoreError) return false
      throw error
    }
  }

  #read<T>(position: number, of: (list: MessageList, index: number) => T): T {
    if (this.#ghosts.count === 0) return of(this.#list, position)
    const ghost = this.#ghosts.at(position)
    return ghost === undefined ? of(this.#list, position - this.#ghosts.below(position)) : of(ghost.list, ghost.index)
  }

  /** How many of the messages in `#list` are counted: they come first. */
  get #counted(): number {
    return this.#exists - this.#ghosts.count
  }

  get #arrivals(): number {
    return this.#list.length - this.#counted
  }

  /** Settles whose \Recent the arrivals are. A store that can't be written to must not keep anybody from reading. */
  async #claim(): Promise<void> {
    this.#undecidable = false
    if (this.readOnly || this.#arrivals === 0) return
    if (this.#list.uidAt(this.#list.length - 1) <= this.mailbox.recentAfter) return
    try {
      const claim = await this.mailbox.claimRecent()
      if (claim.upTo > claim.after) this.#claims.push(claim)
    } catch (error) {
      if (isGone(error)) throw new MailboxGone('deleted')
      if (!(error instanceof StoreError && error.kind === 'unavailable')) throw error
      this.#undecidable = true
    }
  }

  /** Goes on to the mailbox's state as it is at the call; nothing else moves the view meanwhile. */
  async #absorb(): Promise<void> {
    if (this.mailbox.highestModSeq === this.#since) return
    const delta = this.mailbox.delta(this.#since)
    const [before, after] = [this.#list, this.mailbox.messages]
    const counted = this.#counted
    const slice = new Slice()
    const gone: number[] = []
    for (const { first, last } of delta.expunged())
      for (let index = before.positionOf(first); index < counted && before.uidAt(index) <= last; index++) {
        gone.push(index)
        if (slice.isOver()) await slice.next()
      }
    const left = counted - gone.length
    // Better no session than one whose numbers mean other messages than the client thinks.
    if (counted > 0 && after.positionOf((before.uidAt(counted - 1) + 1) as Uid) !== left)
      throw new Error('what is told of the mailbox and what it holds differ')
    if (gone.length > 0) this.#ghosts = await this.#ghosts.with(before, gone)
    this.#list = after
    this.#since = delta.highestModSeq
  }

  /** Takes the ghosts out of the numbering. */
  async #bury(): Promise<SeqNum[]> {
    const numbers: SeqNum[] = []
    const slice = new Slice()
    for (const { position, list, index } of this.#ghosts.descending()) {
      numbers.push((position + 1) as SeqNum)
      if (this.isRecent(list.uidAt(index))) this.#recentCount -= 1
      if (slice.isOver()) await slice.next()
    }
    this.#exists -= numbers.length
    this.#ghosts = new Ghosts()
    return numbers
  }

  /** Puts arrivals into the numbering: all, or (read-write) those whose \Recent is decided. */
  #admit(): boolean {
    const list = this.#list
    const decided = this.mailbox.recentAfter
    const start = this.#counted
    const end = this.readOnly || this.#undecidable ? list.length : list.positionOf((decided + 1) as Uid)
    if (end <= start) return false
    this.#exists += end - start
    const [first, last] = [list.uidAt(start), list.uidAt(end - 1)]
    for (const { after, upTo } of this.readOnly ? [{ after: decided, upTo: last }] : this.#claims) {
      const range = { first: Math.max(first, after + 1) as Uid, last: Math.min(last, upTo) as Uid }
      if (range.first > range.last) continue
      this.#recent = joinRanges([...this.#recent, range])
      this.#recentCount += list.positionOf((range.last + 1) as Uid) - list.positionOf(range.first)
    }
    const waiting = end < list.length ? list.uidAt(end) : Number.POSITIVE_INFINITY
    this.#claims = this.#claims.filter(({ upTo }) => upTo >= waiting)
    return true
  }

  /** Of the first `count` messages. */
  async #changedFlags(count: number): Promise<readonly number[]> {
    const list = this.#list
    const end = count - this.#ghosts.count
    const positions: number[] = []
    const slice = new Slice()
    const look = (uid: Uid, belief: ReadonlySet<Flag> | undefined) => {
      const index = list.positionOf(uid)
      if (index < end && list.uidAt(index) === uid && (belief === undefined || !sameFlags(belief, list.flagsAt(index))))
        positions.push(this.#ghosts.positionOf(index))
    }
    // The mailbox may know more by now: what is still as it was told is passed over.
    for (const uid of this.#since === this.#toldSince ? [] : this.mailbox.delta(this.#toldSince).updated()) {
      if (!this.#beliefs.has(uid)) look(uid, this.#beliefs.before(uid))
      if (slice.isOver()) await slice.next()
    }
    for (const [uid, belief] of this.#beliefs) {
      look(uid, belief)
      if (slice.isOver()) await slice.next()
    }
    positions.sort((a, b) => a - b)
    return positions.filter((position, at) => position !== positions[at - 1])
  }

  /** The client knows all flags as they are in `#list`. */
  #tellFlags(): void {
    this.#told = this.#list
    this.#toldSince = this.#since
    this.#beliefs = new Beliefs(this.#told)
  }
}

/** The mailbox was deleted, or it began anew: nothing that is known of it holds any more. */
const isGone = (error: unknown): boolean => error instanceof StoreError && error.kind === 'not-found'

/** The right that changing a flag needs. RFC 4314 §4 */
export function rightFor(flag: Flag): Right {
  if (flag === '\\Seen') return 's'
  return flag === '\\Deleted' ? 't' : 'w'
}
