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
 * - MODSEQs that the client is told with FETCH never stand for more than it was told: `completeModSeq` says how far that goes. RFC 7162 §3.2;
 * - a read-write session announces a message only after somebody's claim decided whose \Recent it is;
 * - of a mailbox that is not the user's nothing is told before a look at what rights he has now.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, ModSeq, SeqNum, Uid } from '../base/ids.ts'
import {
  firstAtLeast,
  type IndexRun,
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
import { Contexts } from './contexts.ts'
import { Ghosts } from './ghosts.ts'
import { Refusal } from './replies.ts'
import { Slice } from './slice.ts'

/** What the client is to be told, in this order. */
export interface Announcements {
  /** The FLAGS list grew, or what may be changed did: tell it before a message uses a new keyword. */
  readonly flagLists: boolean
  /** Descending, so that each number is right whatever was taken out before it. */
  readonly expunged: readonly Expunged[]
  /** New EXISTS and RECENT, when messages arrived or the session's \Recent messages changed in number. */
  readonly exists: number | undefined
  readonly recent: number | undefined
  /** How many of the messages that `exists` counts had been counted before. */
  readonly before: number
  /** Positions (sequence number - 1) whose flags differ from what the client believes. Ascending. */
  readonly flags: readonly number[]
  /** Others whose MODSEQ is not the one that the client was told. Ascending; none unless asked for. */
  readonly modSeqs: readonly number[]
}

export interface Expunged {
  readonly number: SeqNum
  readonly uid: Uid
}

const nothing: Announcements = {
  flagLists: false,
  expunged: [],
  exists: undefined,
  before: 0,
  recent: undefined,
  flags: [],
  modSeqs: [],
}

/** What the client wants to hear of. */
export interface Telling {
  readonly mayExpunge: boolean
  /** The client follows MODSEQs. */
  readonly withModSeqs: boolean
  /** Of messages that came. */
  readonly arrivals: boolean
  /** Of flags that others changed. */
  readonly changes: boolean
}

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
const savedDateOf = (list: MessageList, index: number): number | undefined => list.savedDateAt(index)
const isHereOf = (list: MessageList, index: number): boolean => list.isHereAt(index)
const modSeqOf = (list: MessageList, index: number): ModSeq => list.modSeqAt(index)
const recordOf = (list: MessageList, index: number): MessageRecord => list.at(index)!

export class View {
  readonly mailbox: Mailbox
  readonly readOnly: boolean
  /** The search result variable: UIDs, so that it holds whatever is expunged. RFC 5182 §2.1 */
  saved: SequenceSet = []
  readonly contexts = new Contexts()
  /** The mailbox as of the last look: the messages that the client counts, but for the ghosts; behind them the arrivals. */
  #list: MessageList
  /** Of `#list`. */
  #since: ModSeq
  /** Whether the client hears of \Recent. RFC 9051 App. E */
  tellsRecent = true
  /** What the client counts; ghosts included. */
  #exists = 0
  #ghosts = new Ghosts()
  /** As of the last announcements: the flags that the client believes, but for what `#beliefs` knows better. */
  #told: MessageList
  /** Of `#told`. */
  #toldSince: ModSeq
  #beliefs: Beliefs
  /** Changed since `#toldSince`, and the client knows the MODSEQ that it has in `#list`. */
  #modSeqsTold = new Set<Uid>()
  /** The client awaits their MODSEQ. */
  #modSeqsOwed: readonly Uid[] = []
  #completeModSeq = 0 as ModSeq
  #isBehind = false
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
  /** Until they are announced. */
  readonly #putItself = new Set<Uid>()

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

  modSeqAt(position: number): ModSeq {
    return this.#read(position, modSeqOf)
  }

  /** Of the last look. */
  get modSeq(): ModSeq {
    return this.#since
  }

  /** The client was told of everything up to here; of some of what came later it was not. RFC 7162 §3.2 */
  get completeModSeq(): ModSeq {
    return this.#completeModSeq
  }

  /** The last announcements left something out. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** See `MessageList.savedDateAt`. */
  savedDateAt(position: number): number | undefined {
    return this.#read(position, savedDateOf)
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
    const all = indexesOf(this.#runs(set, uid))
    const mayBeGhosts = !uid && set !== savedResult
    return mayBeGhosts || this.#ghosts.count === 0 ? all : all.filter((position) => !this.isGhostAt(position))
  }

  /**
   * Positions of messages of a command's set that were added or changed after `modSeq`, as of the last look, ascending; ghosts are left out. Costs as
   * much as there are changes. Throws as `positions`.
   */
  async changedSince(modSeq: ModSeq, set: MessageSet, uid: boolean): Promise<readonly number[]> {
    const list = this.#list
    const runs = this.#runs(set, uid)
    const delta = this.mailbox.delta(modSeq)
    const positions: number[] = []
    const slice = new Slice()
    for (const uids of [delta.added(), delta.updated()])
      for (const uid of uids) {
        const index = list.positionOf(uid)
        // The mailbox may know more by now.
        if (index < this.#counted && list.uidAt(index) === uid && list.modSeqAt(index) > modSeq)
          positions.push(this.#ghosts.positionOf(index))
        if (slice.isOver()) await slice.next()
      }
    // Each of the two is.
    if (positions.some((position, index) => index > 0 && position < positions[index - 1]!))
      positions.sort((a, b) => a - b)
    let at = 0
    return positions.filter((position) => {
      while (at < runs.length && runs[at]!.end <= position) at++
      return at < runs.length && runs[at]!.start <= position
    })
  }

  /** UIDs that left after `modSeq`, but for those that the client counts; may name some that left before. Ascending, none touches another. */
  *goneSince(modSeq: ModSeq): Generator<UidRange, void> {
    const uidAt = (position: number) => this.uidAt(position)
    for (const range of this.mailbox.delta(modSeq).expunged()) {
      let { first } = range
      for (let at = firstAtLeast(first, this.#exists, uidAt); at < this.#exists && uidAt(at) <= range.last; at++) {
        const uid = uidAt(at)
        if (uid > first) yield { first, last: (uid - 1) as Uid }
        first = (uid + 1) as Uid
      }
      if (first <= range.last) yield { first, last: range.last }
    }
  }

  /**
   * Whether what the client knows of the message at `position`, if that is as of `modSeq`, still holds for these flags: only others changed.
   * RFC 7162 §3.1.12
   */
  isUnchangedBut(position: number, modSeq: ModSeq, flags: readonly Flag[]): boolean {
    const uid = this.uidAt(position)
    const told = this.#told.positionOf(uid)
    if (told >= this.#told.length || this.#told.uidAt(told) !== uid || this.#told.modSeqAt(told) > modSeq) return false
    const [before, now] = [this.#told.flagsAt(told), this.flagsAt(position)]
    return flags.every((flag) => before.has(flag) === now.has(flag))
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

  /** The client put these messages here itself: it is told of no more than that they are there. RFC 5465 §5.2 */
  notePutItself(uids: readonly Uid[]): void {
    for (const uid of uids) this.#putItself.add(uid)
  }

  putItself(uid: Uid): boolean {
    return this.#putItself.has(uid)
  }

  forgetPutItself(): void {
    this.#putItself.clear()
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

  /** A FETCH response carried the MODSEQ that the message at `position` has at hand. */
  modSeqTold(position: number): void {
    if (this.#list !== this.#told && this.modSeqAt(position) > this.#toldSince)
      this.#modSeqsTold.add(this.uidAt(position))
  }

  /** The client awaits these messages' MODSEQs (conditional STORE). `uids` ascend. */
  oweModSeqs(uids: readonly Uid[]): void {
    this.#modSeqsOwed = uids
  }

  /** The client assumes that its own STORE.SILENT has this effect. `uids` ascend. */
  assume(uids: readonly Uid[], effect: (flags: ReadonlySet<Flag>) => ReadonlySet<Flag>): void {
    this.#beliefs.assume(uids, effect)
  }

  /**
   * Everything the client doesn't know yet; from here on it counts as told, so it must be written before anything else.
   * Without `mayExpunge` gone messages stay as ghosts. What it does not want to hear of stays untold until it does. RFC 5465 §3.1
   */
  async announcements({ mayExpunge, withModSeqs, arrivals, changes }: Telling): Promise<Announcements> {
    if (!(await this.#mayTell())) return nothing
    await this.#absorb()
    if (arrivals && this.#arrivals > 0) {
      await this.#claim()
      await this.#absorb()
    }
    const expunged = mayExpunge ? await this.#bury() : []
    const before = this.#exists
    const grew = arrivals && this.#admit()
    const recentChanged = this.#recentCount !== this.#recentTold
    this.#recentTold = this.#recentCount
    const hasNewFlags = this.mailbox.keywords.size !== this.#keywordsTold
    const flagLists = this.#rightsTold !== this.#rights || hasNewFlags
    this.#keywordsTold = this.mailbox.keywords.size
    this.#rightsTold = this.#rights
    const flags = await this.#changedFlags(before, changes)
    const modSeqs = withModSeqs ? await this.#changedModSeqs(before, flags, changes) : []
    if (changes) this.#tellFlags()
    else this.#settleFlags()
    return {
      flagLists,
      expunged,
      exists: grew ? this.#exists : undefined,
      before,
      recent: grew || recentChanged ? this.#recentCount : undefined,
      flags,
      modSeqs,
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

  /** The last MODSEQ before the first of the arrivals; that of `#list` where there are none. */
  #beforeArrivals(): ModSeq {
    let before = this.#since
    for (let index = this.#counted; index < this.#list.length; index++)
      before = Math.min(before, this.#list.addedModSeqAt(index) - 1) as ModSeq
    return before
  }

  #runs(set: MessageSet, uid: boolean): readonly IndexRun[] {
    const count = this.#exists
    if (set === savedResult) return resolveUids(this.saved, count, (position) => this.uidAt(position))
    if (uid) return resolveUids(set, count, (position) => this.uidAt(position))
    if (namesMissing(set, count)) throw new Refusal('BAD', undefined, `No such message: the mailbox has ${count}`)
    return resolveSequenceNumbers(set, count)
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
  async #bury(): Promise<Expunged[]> {
    const expunged: Expunged[] = []
    const slice = new Slice()
    for (const { position, list, index } of this.#ghosts.descending()) {
      const uid = list.uidAt(index)
      expunged.push({ number: (position + 1) as SeqNum, uid })
      if (this.isRecent(uid)) this.#recentCount -= 1
      if (slice.isOver()) await slice.next()
    }
    this.#exists -= expunged.length
    this.#ghosts = new Ghosts()
    return expunged
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

  /** Of the first `count` messages; without `changes` only what a command of the client asks for. */
  async #changedFlags(count: number, changes: boolean): Promise<readonly number[]> {
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
    const isNews = changes && this.#since !== this.#toldSince
    for (const uid of isNews ? this.mailbox.delta(this.#toldSince).updated() : []) {
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

  /** Of the first `count` messages, but for those whose flags are told and those that it knows. `flags` ascend. */
  async #changedModSeqs(count: number, flags: readonly number[], changes: boolean): Promise<readonly number[]> {
    const list = this.#list
    const end = count - this.#ghosts.count
    const told = new Set(flags)
    const found = new Set<number>()
    const slice = new Slice()
    const isNews = changes && this.#since !== this.#toldSince
    const updated = isNews ? this.mailbox.delta(this.#toldSince).updated() : []
    for (const [uids, since] of [
      [this.#modSeqsOwed, 0],
      [updated, this.#toldSince],
    ] as const)
      for (const uid of uids) {
        const index = list.positionOf(uid)
        const isThere = index < end && list.uidAt(index) === uid && list.modSeqAt(index) > since
        const position = this.#ghosts.positionOf(index)
        if (isThere && !told.has(position) && !(since > 0 && this.#modSeqsTold.has(uid))) found.add(position)
        if (slice.isOver()) await slice.next()
      }
    return [...found].sort((a, b) => a - b)
  }

  /** The client knows those flags that its command was about; of the others it knows what it knew. */
  #settleFlags(): void {
    this.#isBehind = this.#since !== this.#toldSince
    this.#modSeqsOwed = []
    this.#beliefs.settle((uid) => {
      const index = this.#list.positionOf(uid)
      return this.#list.length > index && this.#list.uidAt(index) === uid ? this.#list.flagsAt(index) : undefined
    })
  }

  /** The client knows all flags as they are in `#list`. */
  #tellFlags(): void {
    this.#isBehind = this.#ghosts.count > 0 || this.#arrivals > 0
    if (this.#ghosts.count === 0) this.#completeModSeq = this.#beforeArrivals()
    this.#modSeqsTold.clear()
    this.#modSeqsOwed = []
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
