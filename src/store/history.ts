/**
 * What changed when. The trace of expunged UIDs is kept for ever, compacted into ranges (RFC 7162 §3.2.10: VANISHED may name more
 * than needed, never less); what was added and updated lately is kept by number, so that a session's catch-up costs no scan.
 */

import type { ModSeq, Uid } from '../base/ids.ts'
import type { StoredMessages } from './message-list.ts'
import type { MailboxDelta, UidRange } from './types.ts'
import { joinRanges } from './uid-set.ts'

/** What one change set did. */
export interface Change {
  readonly modSeq: ModSeq
  readonly added: readonly Uid[]
  readonly updated: readonly Uid[]
  readonly expunged: readonly Uid[]
}

export interface VanishedRange {
  readonly from: Uid
  readonly to: Uid
  readonly modSeq: ModSeq
}

/** UIDs kept by number. */
const maxRecentUids = 10_000
const maxRanges = 4096

export class History {
  /** Of the last complete change set. */
  last: Change | undefined
  private recent: Change[] = []
  private recentUids = 0
  /** Everything above this is in `recent`. */
  private recentSince: ModSeq | undefined
  private ranges: VanishedRange[] = []
  /** Ranges are joined when there are more; twice as many as were left the last time. */
  private joinAbove = maxRanges
  private nextAdded: Uid[] = []
  private nextUpdated: Uid[] = []
  private nextExpunged: Uid[] = []
  private nextRanges: VanishedRange[] = []

  added(uid: Uid): void {
    this.nextAdded.push(uid)
  }

  updated(uid: Uid): void {
    this.nextUpdated.push(uid)
  }

  /** UIDs of one operation ascend. */
  expunged(uid: Uid, modSeq: ModSeq): void {
    const last = this.nextRanges.at(-1)
    if (last !== undefined && last.to === uid - 1)
      this.nextRanges[this.nextRanges.length - 1] = { from: last.from, to: uid, modSeq }
    else this.nextRanges.push({ from: uid, to: uid, modSeq })
    this.nextExpunged.push(uid)
  }

  /** What `vanished` told. Taken over. */
  load(ranges: VanishedRange[], joinAbove: number): void {
    this.ranges = ranges
    this.joinAbove = joinAbove
  }

  vanished(): { readonly ranges: readonly VanishedRange[]; readonly joinAbove: number } {
    return { ranges: this.ranges.slice(), joinAbove: this.joinAbove }
  }

  /** The change set is complete. `isLive`: a message lies between two UIDs. */
  complete(modSeq: ModSeq, isLive: (from: Uid, to: Uid) => boolean): void {
    this.recentSince ??= modSeq
    for (const range of this.nextRanges) this.ranges.push(range)
    // Most of them came just now, and there are messages between: nothing to join yet.
    if (2 * this.nextRanges.length > this.ranges.length) this.joinAbove = Math.max(maxRanges, 2 * this.ranges.length)
    this.nextRanges = []
    this.last = { modSeq, added: this.nextAdded, updated: this.nextUpdated, expunged: this.nextExpunged }
    this.nextAdded = []
    this.nextUpdated = []
    this.nextExpunged = []
    if (modSeq > this.recentSince) {
      this.recent.push(this.last)
      this.recentUids += cost(this.last)
    }
    let drop = 0
    while (drop < this.recent.length && this.recentUids > maxRecentUids) {
      const oldest = this.recent[drop]!
      this.recentUids -= cost(oldest)
      this.recentSince = oldest.modSeq
      drop += 1
    }
    if (drop > 0) this.recent.splice(0, drop)
    if (this.ranges.length <= this.joinAbove) return
    this.ranges = compact(this.ranges, isLive)
    this.joinAbove = Math.max(maxRanges, 2 * this.ranges.length)
  }

  delta(since: ModSeq, highestModSeq: ModSeq, messages: StoredMessages): MailboxDelta {
    if (this.recentSince === undefined || since < this.recentSince) return this.scan(since, highestModSeq, messages)
    const added = new Set<Uid>()
    const updated = new Set<Uid>()
    const expunged: UidRange[] = []
    for (let at = this.recent.length - 1; at >= 0 && this.recent[at]!.modSeq > since; at -= 1) {
      const change = this.recent[at]!
      for (const uid of change.added) added.add(uid)
      for (const uid of change.updated) updated.add(uid)
      for (const uid of change.expunged) expunged.push({ first: uid, last: uid })
    }
    const ascending = (uids: Set<Uid>) => [...uids].sort((a, b) => a - b)
    return {
      added: ascending(added).filter((uid) => messages.has(uid)),
      updated: ascending(updated).filter((uid) => !added.has(uid) && messages.has(uid)),
      expunged: joinRanges(expunged),
      highestModSeq,
    }
  }

  private scan(since: ModSeq, highestModSeq: ModSeq, messages: StoredMessages): MailboxDelta {
    const expunged = this.ranges.flatMap(({ from, to, modSeq }) => (modSeq > since ? [{ first: from, last: to }] : []))
    const added: Uid[] = []
    const updated: Uid[] = []
    for (const { columns } of messages.chunks) {
      const { uids, modSeqs, addedModSeqs, count } = columns
      for (let row = 0; row < count; row += 1)
        if (modSeqs[row]! > since) (addedModSeqs[row]! > since ? added : updated).push(uids[row]! as Uid)
    }
    return { added, updated, expunged: joinRanges(expunged), highestModSeq }
  }
}

function cost(change: Change): number {
  return 1 + change.added.length + change.updated.length + change.expunged.length
}

/** Joins neighbours with no message between them, all but the newest quarter, under the newer MODSEQ of the two. */
function compact(ranges: readonly VanishedRange[], isLive: (from: Uid, to: Uid) => boolean): VanishedRange[] {
  const newest = ranges.map((range) => range.modSeq).sort((a, b) => a - b)[Math.floor(ranges.length * 0.75)]!
  const byUid = ranges.toSorted((a, b) => a.from - b.from)
  const joined: VanishedRange[] = []
  for (const range of byUid) {
    const last = joined.at(-1)
    if (last !== undefined && last.modSeq < newest && range.modSeq < newest && !isLive(last.to, range.from))
      joined[joined.length - 1] = {
        from: last.from,
        to: Math.max(last.to, range.to) as Uid,
        modSeq: Math.max(last.modSeq, range.modSeq) as ModSeq,
      }
    else joined.push(range)
  }
  return joined.sort((a, b) => a.modSeq - b.modSeq)
}
