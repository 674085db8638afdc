/**
 * The trace of expunged UIDs (RFC 7162 §3.2.10), in the order in which they left. Columns in blocks: a mailbox from which half a million
 * messages left has as many ranges, and neither their number nor their growth may keep others waiting.
 */

import type { ModSeq, Uid } from '../base/ids.ts'
import { rowsFor, withRoom } from './columns.ts'
import type { UidRange } from './types.ts'

interface Block {
  readonly firsts: Uint32Array
  readonly lasts: Uint32Array
  readonly modSeqs: Float64Array
}

const blockBits = 12
const blockRows = 1 << blockBits
const rowMask = blockRows - 1
/** Ranges joined before others get their turn: a few ms. */
const rowsPerTurn = 10_000

/** Row n is the nth range that left; its MODSEQ is not below those before. Rows that are there stay, so who reads knows how many concern him. */
export class VanishedRanges {
  length = 0
  private readonly blocks: Block[] = []

  /** UIDs that left together ascend; neighbours are one range. */
  add(first: Uid, last: Uid, modSeq: ModSeq): void {
    const before = this.length - 1
    if (before >= 0 && this.last(before) === first - 1 && this.modSeq(before) === modSeq) {
      this.blocks[before >>> blockBits]!.lasts[before & rowMask] = last
      return
    }
    const row = this.length & rowMask
    const block = this.blockWithRoom(this.length >>> blockBits, row)
    block.firsts[row] = first
    block.lasts[row] = last
    block.modSeqs[row] = modSeq
    this.length += 1
  }

  first(row: number): Uid {
    return this.blocks[row >>> blockBits]!.firsts[row & rowMask]! as Uid
  }

  last(row: number): Uid {
    return this.blocks[row >>> blockBits]!.lasts[row & rowMask]! as Uid
  }

  modSeq(row: number): ModSeq {
    return this.blocks[row >>> blockBits]!.modSeqs[row & rowMask]! as ModSeq
  }

  /** What left after `since`, of the first `count` rows. Ascending, none touches another; made while it is read. */
  *after(since: ModSeq, count: number): Generator<UidRange, void> {
    let first = 0 as Uid
    let last = 0 as Uid
    for (const row of this.byUid(this.rowAfter(since, count), count)) {
      if (last === 0 || this.first(row) > last + 1) {
        if (last !== 0) yield { first, last }
        first = this.first(row)
        last = this.last(row)
      } else if (this.last(row) > last) last = this.last(row)
    }
    if (last !== 0) yield { first, last }
  }

  /**
   * These with neighbours joined where no message lies between them (`isLive`), all but the newest quarter, under the newer MODSEQ of the two:
   * VANISHED may name more than needed, never less.
   */
  *joined(isLive: (from: Uid, to: Uid) => boolean): Generator<undefined, VanishedRanges> {
    const { length } = this
    const joined = new VanishedRanges()
    if (length === 0) return joined
    const newest = this.modSeq(Math.floor(length * 0.75))
    /** By the row of the newest of those that were joined; 0 for the others. */
    const firsts = new Uint32Array(length)
    const lasts = new Uint32Array(length)
    let at: number | undefined
    let looked = 0
    for (const row of this.byUid(0, length)) {
      let first = this.first(row)
      let last = this.last(row)
      let to = row
      if (
        at !== undefined &&
        this.modSeq(at) < newest &&
        this.modSeq(row) < newest &&
        !isLive(lasts[at]! as Uid, first)
      ) {
        first = firsts[at]! as Uid
        last = Math.max(lasts[at]!, last) as Uid
        lasts[at] = 0
        to = Math.max(at, row)
      }
      firsts[to] = first
      lasts[to] = last
      at = to
      looked += 1
      if (looked % rowsPerTurn === 0) yield
    }
    for (let row = 0; row < length; row += 1) {
      if (lasts[row] !== 0) joined.add(firsts[row]! as Uid, lasts[row]! as Uid, this.modSeq(row))
      if (row % rowsPerTurn === 0) yield
    }
    return joined
  }

  private blockWithRoom(index: number, row: number): Block {
    const block = this.blocks[index]
    if (block !== undefined && row < block.firsts.length) return block
    const room = rowsFor(row + 1, blockRows)
    const { firsts, lasts, modSeqs } = block ?? noRows
    const larger = {
      firsts: withRoom(firsts, room),
      lasts: withRoom(lasts, room),
      modSeqs: withRoom(modSeqs, room),
    }
    this.blocks[index] = larger
    return larger
  }

  /** The first of `count` rows that left after `since`. */
  private rowAfter(since: ModSeq, count: number): number {
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.modSeq(middle) > since) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Rows from `start` to before `end`, by their first UID: a merge of the runs that ascend already, of which there are few mostly. */
  private *byUid(start: number, end: number): Generator<number, void> {
    /** A heap of the next row of each run. */
    const heap: number[] = []
    for (let row = start; row < end; row += 1) if (row === start || !this.isAscending(row)) heap.push(row)
    for (let at = (heap.length >>> 1) - 1; at >= 0; at -= 1) this.sink(heap, at)
    while (heap.length > 0) {
      const row = heap[0]!
      const next = row + 1
      yield row
      if (next < end && this.isAscending(next)) heap[0] = next
      else {
        const moved = heap.pop()!
        if (heap.length === 0) return
        heap[0] = moved
      }
      this.sink(heap, 0)
    }
  }

  /** A row goes on where the one before it ends. */
  private isAscending(row: number): boolean {
    return this.first(row) > this.first(row - 1)
  }

  private sink(heap: number[], from: number): void {
    const row = heap[from]!
    const first = this.first(row)
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.first(heap[child + 1]!) < this.first(heap[child]!)) child += 1
      if (this.first(heap[child]!) >= first) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = row
  }
}

const noRows: Block = { firsts: new Uint32Array(0), lasts: new Uint32Array(0), modSeqs: new Float64Array(0) }
