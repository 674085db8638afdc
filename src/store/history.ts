/**
 * What changed when. The trace of expunged UIDs is kept for ever, compacted into ranges (RFC 7162 §3.2.10: VANISHED may name more
 * than needed, never less); what was added and updated lately is kept by number, so that a session's catch-up costs no scan.
 */

import type { ModSeq, Uid } from '../base/ids.ts'
import type { NumberColumn } from './columns.ts'
import type { StoredMessages } from './message-list.ts'
import type { MailboxDelta } from './types.ts'
import { VanishedRanges } from './vanished.ts'

/** How many messages one change set concerned. */
export interface Change {
  readonly modSeq: ModSeq
  readonly added: number
  readonly updated: number
  readonly expunged: number
}

/** The trace of what left as of one state. */
export interface Vanished {
  readonly ranges: VanishedRanges
  /** So many of them. */
  readonly count: number
  /** They are joined when there are more; twice as many as were left the last time. */
  readonly joinAbove: number
}

interface RecentChange {
  readonly modSeq: ModSeq
  readonly added: readonly Uid[]
  readonly updated: readonly Uid[]
}

/** UIDs kept by number. */
const maxRecentUids = 10_000
const maxRanges = 4096

export class History {
  /** Of the last complete change set. */
  last: Change | undefined
  private recent: RecentChange[] = []
  private recentUids = 0
  /** Everything above this is in `recent`. */
  private recentSince: ModSeq | undefined
  /** Of complete change sets, and behind them of the one that is being applied. */
  private ranges = new VanishedRanges()
  private completeRanges = 0
  private joinAbove = maxRanges
  private next = { added: 0, updated: 0, expunged: 0 }
  /** No more than are worth keeping. */
  private nextAdded: Uid[] = []
  private nextUpdated: Uid[] = []

  added(uid: Uid): void {
    this.next.added += 1
    if (this.next.added <= maxRecentUids) this.nextAdded.push(uid)
  }

  updated(uids: NumberColumn): void {
    this.next.updated += uids.length
    if (this.next.updated <= maxRecentUids) for (const uid of uids) this.nextUpdated.push(uid as Uid)
  }

  /** UIDs of one operation ascend. */
  expunged(uid: Uid, modSeq: ModSeq): void {
    this.next.expunged += 1
    this.ranges.add(uid, uid, modSeq)
  }

  /** What `vanished` told. Taken over. */
  load({ ranges, count, joinAbove }: Vanished): void {
    this.ranges = ranges
    this.completeRanges = count
    this.joinAbove = joinAbove
  }

  vanished(): Vanished {
    return { ranges: this.ranges, count: this.completeRanges, joinAbove: this.joinAbove }
  }

  /** Before messages leave: joins the ranges where there are many. `isLive`: a message lies between two UIDs. */
  *makeRoom(isLive: (from: Uid, to: Uid) => boolean): Generator<undefined, void> {
    if (this.completeRanges <= this.joinAbove || this.completeRanges < this.ranges.length) return
    this.ranges = yield* this.ranges.joined(isLive)
    this.completeRanges = this.ranges.length
    this.joinAbove = Math.max(maxRanges, 2 * this.completeRanges)
  }

  /** The change set is complete. */
  complete(modSeq: ModSeq): void {
    this.recentSince ??= modSeq
    const { length } = this.ranges
    // Most of them came just now, and there are messages between: nothing to join yet.
    if (2 * (length - this.completeRanges) > length) this.joinAbove = Math.max(maxRanges, 2 * length)
    this.completeRanges = length
    this.last = { modSeq, ...this.next }
    if (modSeq > this.recentSince) this.remember({ modSeq, added: this.nextAdded, updated: this.nextUpdated })
    this.next = { added: 0, updated: 0, expunged: 0 }
    this.nextAdded = []
    this.nextUpdated = []
  }

  delta(since: ModSeq, highestModSeq: ModSeq, messages: StoredMessages): MailboxDelta {
    const { ranges, completeRanges } = this
    const changes =
      this.recentSince === undefined || since < this.recentSince ? scanned(since, messages) : this.kept(since, messages)
    return { ...changes, expunged: () => ranges.after(since, completeRanges), highestModSeq }
  }

  private remember(change: RecentChange): void {
    if (Math.max(this.next.added, this.next.updated) > maxRecentUids) {
      this.recent = []
      this.recentUids = 0
      this.recentSince = change.modSeq
      return
    }
    this.recent.push(change)
    this.recentUids += cost(change)
    let drop = 0
    while (drop < this.recent.length && this.recentUids > maxRecentUids) {
      const oldest = this.recent[drop]!
      this.recentUids -= cost(oldest)
      this.recentSince = oldest.modSeq
      drop += 1
    }
    if (drop > 0) this.recent.splice(0, drop)
  }

  private kept(since: ModSeq, messages: StoredMessages): Changes {
    const changes = this.recent.slice(this.recent.findLastIndex(({ modSeq }) => modSeq <= since) + 1)
    const added = new Set(changes.flatMap((change) => change.added))
    const updated = new Set(changes.flatMap((change) => change.updated))
    const present = (uids: Set<Uid>) => [...uids].filter((uid) => messages.has(uid)).sort((a, b) => a - b)
    return { added: () => present(added), updated: () => present(updated.difference(added)) }
  }
}

type Changes = Pick<MailboxDelta, 'added' | 'updated'>

function scanned(since: ModSeq, { chunks }: StoredMessages): Changes {
  const changed = function* (wasAdded: boolean): Generator<Uid, void> {
    for (const { columns } of chunks) {
      const { uids, modSeqs, addedModSeqs, count } = columns
      for (let row = 0; row < count; row += 1)
        if (modSeqs[row]! > since && addedModSeqs[row]! > since === wasAdded) yield uids[row]! as Uid
    }
  }
  return { added: () => changed(true), updated: () => changed(false) }
}

function cost(change: RecentChange): number {
  return 1 + change.added.length + change.updated.length
}
