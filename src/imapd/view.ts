/**
 * One session's numbering of its selected mailbox: sequence number <-> UID <-> record, and what the client was told.
 *
 * Invariants, RFC 3501 §7.4.1, §5.5 and RFC 2180 §4.1.1:
 * - a sequence number means the same message until an EXPUNGE response for it or for one below was written;
 * - a message that is gone but not announced as such keeps its number and its last record (a ghost);
 * - what the client believes of a message's flags is compared with the record, so that nothing is told twice
 *   and nothing is left untold;
 * - a read-write session announces a message only after somebody's claim decided whose \Recent it is.
 */

import { StoreError } from '../base/errors.ts'
import type { ModSeq, SeqNum, Uid } from '../base/ids.ts'
import {
  indexesOf,
  namesMissing,
  resolveSequenceNumbers,
  resolveUids,
  type SequenceSet,
} from '../proto/imap/sequence-set.ts'
import type { Flag, Mailbox, MessageRecord } from '../store/types.ts'
import { isAmong } from '../store/uid-set.ts'
import { Refusal } from './replies.ts'

/** What the client is to be told, in this order. */
export interface Announcements {
  /** The FLAGS list grew: tell it before a message uses a new keyword. */
  readonly keywords: boolean
  /** Descending, so that each number is right whatever was taken out before it. */
  readonly expunged: readonly SeqNum[]
  /** New EXISTS and RECENT, when messages arrived or the session's \Recent messages changed in number. */
  readonly exists: number | undefined
  readonly recent: number | undefined
  /** Positions (sequence number - 1) whose flags differ from what the client believes. */
  readonly flags: readonly number[]
}

/** The selected mailbox was deleted by somebody, or is another one now (its UIDVALIDITY changed). The session ends: RFC 2180 §3.3 */
export class MailboxGone extends Error {
  override readonly name = 'MailboxGone'
}

export class View {
  readonly mailbox: Mailbox
  readonly readOnly: boolean
  /** What the client counts, in its order; ghosts included. */
  #records: MessageRecord[] = []
  /** In the mailbox, not announced. */
  #arrived: MessageRecord[] = []
  #ghosts = new Set<Uid>()
  /** Where the client's belief may differ from the record: its belief, or undefined when it awaits an answer anyway. */
  #believed = new Map<Uid, ReadonlySet<Flag> | undefined>()
  #recent = new Set<Uid>()
  #claims: { readonly after: Uid; readonly upTo: Uid }[] = []
  /** The last claim could not be made. */
  #undecidable = false
  #since: ModSeq
  #keywordsTold: number
  #recentTold = 0
  /** What `#lowerBound` answered last. */
  #found = -1

  private constructor(mailbox: Mailbox, readOnly: boolean) {
    this.mailbox = mailbox
    this.readOnly = readOnly
    this.#arrived = [...mailbox.messages]
    this.#since = mailbox.highestModSeq
    this.#keywordsTold = mailbox.keywords.size
  }

  /** Numbers the mailbox as it is now. Claims \Recent unless `readOnly`. */
  static async open(mailbox: Mailbox, readOnly: boolean): Promise<View> {
    const view = new View(mailbox, readOnly)
    await view.#claim()
    view.#absorb()
    view.#admit()
    view.#recentTold = view.#recent.size
    view.#keywordsTold = mailbox.keywords.size
    return view
  }

  /** Messages that the client counts. */
  get exists(): number {
    return this.#records.length
  }

  get recentCount(): number {
    return this.#recent.size
  }

  /** The record at a position (sequence number - 1), the last one where the message is gone. */
  at(position: number): MessageRecord {
    return this.#records[position]!
  }

  isRecent(uid: Uid): boolean {
    return this.#recent.has(uid)
  }

  isGhost(uid: Uid): boolean {
    return this.#ghosts.has(uid)
  }

  /**
   * Positions that a command's set names, ascending. UIDs of messages that are not there (any more) are passed over; a sequence
   * number above EXISTS throws Refusal (BAD). RFC 3501 §6.4.8, §9 seq-number
   */
  positions(set: SequenceSet, uid: boolean): Iterable<number> {
    const count = this.#records.length
    if (uid) {
      const all = indexesOf(resolveUids(set, count, (index) => this.#records[index]!.uid))
      return this.#ghosts.size === 0 ? all : all.filter((position) => !this.#ghosts.has(this.#records[position]!.uid))
    }
    if (namesMissing(set, count)) throw new Refusal('BAD', undefined, `No such message: the mailbox has ${count}`)
    return indexesOf(resolveSequenceNumbers(set, count))
  }

  /** Position of the first message that is not \Seen. */
  firstUnseen(): number | undefined {
    const position = this.#records.findIndex(({ flags }) => !flags.has('\\Seen'))
    return position < 0 ? undefined : position
  }

  /** Messages are mostly asked for one behind the other. */
  #lowerBound(uid: number): number {
    const next = this.#found + 1
    this.#found = this.#records[next]?.uid === uid ? next : lowerBound(this.#records, uid)
    return this.#found
  }

  /** Looks for what others did. Throws MailboxGone. */
  async refresh(): Promise<void> {
    try {
      await this.mailbox.refresh()
    } catch (error) {
      throw isGone(error) ? new MailboxGone('deleted') : error
    }
  }

  /** Takes in what the mailbox knows by now and tells nothing. Throws MailboxGone. */
  async look(): Promise<void> {
    await this.refresh()
    this.#absorb()
  }

  /** The client awaits these messages' flags (STORE), or was told them otherwise (`flagsTold`). */
  oweFlags(uids: readonly Uid[]): void {
    for (const uid of uids) this.#believed.set(uid, undefined)
  }

  /** A FETCH response carried the flags of the record at hand. */
  flagsTold(uid: Uid): void {
    this.#believed.delete(uid)
  }

  /** The client assumes that its own STORE.SILENT has this effect. */
  assume(uids: readonly Uid[], effect: (flags: ReadonlySet<Flag>) => ReadonlySet<Flag>): void {
    const effects = new Map<ReadonlySet<Flag>, ReadonlySet<Flag>>()
    for (const uid of uids) {
      const record = this.#records[this.#lowerBound(uid)]
      if (record?.uid !== uid) continue
      if (this.#believed.has(uid) && this.#believed.get(uid) === undefined) continue
      const before = this.#believed.get(uid) ?? record.flags
      let after = effects.get(before)
      if (after === undefined) {
        after = effect(before)
        effects.set(before, after)
      }
      this.#believed.set(uid, after)
    }
  }

  /**
   * Everything the client doesn't know yet; from here on it counts as told, so it must be written before anything else.
   * Without `mayExpunge` gone messages stay as ghosts.
   */
  async announcements(mayExpunge: boolean): Promise<Announcements> {
    this.#absorb()
    if (this.#arrived.length > 0) {
      await this.#claim()
      this.#absorb()
    }
    const expunged = mayExpunge ? this.#bury() : []
    const grew = this.#admit()
    const recentChanged = this.#recent.size !== this.#recentTold
    this.#recentTold = this.#recent.size
    const keywords = this.mailbox.keywords.size !== this.#keywordsTold
    this.#keywordsTold = this.mailbox.keywords.size
    return {
      keywords,
      expunged,
      exists: grew ? this.#records.length : undefined,
      recent: grew || recentChanged ? this.#recent.size : undefined,
      flags: this.#changedFlags(),
    }
  }

  /** Settles whose \Recent the arrivals are. A store that can't be written to must not keep anybody from reading. */
  async #claim(): Promise<void> {
    this.#undecidable = false
    const newest = this.#arrived.at(-1)?.uid
    if (this.readOnly || newest === undefined || newest <= this.mailbox.recentAfter) return
    try {
      const claim = await this.mailbox.claimRecent()
      if (claim.upTo > claim.after) this.#claims.push(claim)
    } catch (error) {
      if (isGone(error)) throw new MailboxGone('deleted')
      if (!(error instanceof StoreError && error.kind === 'unavailable')) throw error
      this.#undecidable = true
    }
  }

  /** Brings records, ghosts and arrivals to the mailbox's state. Synchronous: the state stands still meanwhile. */
  #absorb(): void {
    if (this.mailbox.highestModSeq === this.#since) return
    const delta = this.mailbox.delta(this.#since)
    this.#since = delta.highestModSeq
    for (const { first, last } of delta.expunged) {
      for (let at = this.#lowerBound(first); at < this.#records.length; at++) {
        const { uid } = this.#records[at]!
        if (uid > last) break
        this.#ghosts.add(uid)
      }
    }
    if (delta.expunged.length > 0)
      this.#arrived = this.#arrived.filter((record) => !isAmong(delta.expunged, record.uid))
    for (const record of delta.updated) this.#update(record)
    for (const record of delta.added) this.#arrived.push(record)
  }

  #update(record: MessageRecord): void {
    const position = this.#lowerBound(record.uid)
    const known = this.#records[position]
    if (known?.uid === record.uid) {
      if (!this.#believed.has(record.uid)) this.#believed.set(record.uid, known.flags)
      this.#records[position] = record
      return
    }
    const waiting = lowerBound(this.#arrived, record.uid)
    if (this.#arrived[waiting]?.uid === record.uid) this.#arrived[waiting] = record
  }

  /** Takes the ghosts out of the numbering. */
  #bury(): SeqNum[] {
    if (this.#ghosts.size === 0) return []
    const numbers: SeqNum[] = []
    const kept: MessageRecord[] = []
    for (const [position, record] of this.#records.entries()) {
      if (this.#ghosts.has(record.uid)) {
        numbers.push((position + 1) as SeqNum)
        this.#recent.delete(record.uid)
        this.#believed.delete(record.uid)
      } else kept.push(record)
    }
    this.#records = kept
    this.#ghosts.clear()
    return numbers.reverse()
  }

  /** Puts arrivals into the numbering: all, or (read-write) those whose \Recent is decided. */
  #admit(): boolean {
    const decided = this.mailbox.recentAfter
    const end = this.readOnly || this.#undecidable ? this.#arrived.length : lowerBound(this.#arrived, decided + 1)
    if (end === 0) return false
    for (const record of this.#arrived.splice(0, end)) {
      this.#records.push(record)
      const recent = this.readOnly
        ? record.uid > decided
        : this.#claims.some(({ after, upTo }) => record.uid > after && record.uid <= upTo)
      if (recent) this.#recent.add(record.uid)
    }
    const oldestWaiting = this.#arrived[0]?.uid ?? Number.POSITIVE_INFINITY
    this.#claims = this.#claims.filter(({ upTo }) => upTo >= oldestWaiting)
    return true
  }

  #changedFlags(): number[] {
    const positions: number[] = []
    for (const [uid, belief] of this.#believed) {
      const position = this.#lowerBound(uid)
      const record = this.#records[position]
      if (record?.uid !== uid || this.#ghosts.has(uid)) continue
      if (belief === undefined || !sameFlags(belief, record.flags)) positions.push(position)
    }
    this.#believed.clear()
    return positions.sort((a, b) => a - b)
  }
}

/** The mailbox was deleted, or it began anew: nothing that is known of it holds any more. */
const isGone = (error: unknown): boolean => error instanceof StoreError && error.kind === 'not-found'

function lowerBound(records: readonly MessageRecord[], uid: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.uid < uid) low = middle + 1
    else high = middle
  }
  return low
}

function sameFlags(a: ReadonlySet<Flag>, b: ReadonlySet<Flag>): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const flag of a) if (!b.has(flag)) return false
  return true
}
