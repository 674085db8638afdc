import type { ModSeq, Uid } from '../base/ids.ts'
import type { Chunk, Totals } from './chunk.ts'
import { StoredMessage } from './record.ts'
import type { Flag, MessageList } from './types.ts'

/** The messages of one state of a mailbox: chunks, which it shares with the states before and after. */
export class StoredMessages implements MessageList {
  readonly length: number
  /** Ascending UID, none empty. */
  readonly chunks: readonly Chunk[]
  /** What the numbers in the chunks' flags mean; grows, but what is there stays. */
  readonly sets: readonly ReadonlySet<Flag>[]
  /** Position of the first row of each chunk, and the length. */
  private readonly starts: Uint32Array
  /** The chunk of the last question: the next one is mostly about it as well. */
  private near = 0

  constructor(chunks: readonly Chunk[], sets: readonly ReadonlySet<Flag>[]) {
    this.chunks = chunks
    this.sets = sets
    this.starts = new Uint32Array(chunks.length + 1)
    let length = 0
    for (let index = 0; index < chunks.length; index += 1) {
      this.starts[index] = length
      length += chunks[index]!.count
    }
    this.starts[chunks.length] = length
    this.length = length
  }

  at(position: number): StoredMessage | undefined {
    if (!(position >= 0 && position < this.length)) return undefined
    const chunk = this.chunkAt(position)
    return new StoredMessage(chunk, position - this.starts[this.near]!, this.sets)
  }

  uidAt(position: number): Uid {
    const { columns } = this.chunkAt(position)
    return columns.uids[position - this.starts[this.near]!]! as Uid
  }

  flagsAt(position: number): ReadonlySet<Flag> {
    const { columns } = this.chunkAt(position)
    return this.sets[columns.flags[position - this.starts[this.near]!]!]!
  }

  sizeAt(position: number): number {
    const { columns } = this.chunkAt(position)
    return columns.sizes[position - this.starts[this.near]!]!
  }

  internalDateAt(position: number): number {
    const { columns } = this.chunkAt(position)
    return columns.internalDates[position - this.starts[this.near]!]!
  }

  modSeqAt(position: number): ModSeq {
    const { columns } = this.chunkAt(position)
    return columns.modSeqs[position - this.starts[this.near]!]! as ModSeq
  }

  addedModSeqAt(position: number): ModSeq {
    const { columns } = this.chunkAt(position)
    return columns.addedModSeqs[position - this.starts[this.near]!]! as ModSeq
  }

  savedDateAt(position: number): number | undefined {
    const { columns } = this.chunkAt(position)
    return columns.savedDates[position - this.starts[this.near]!]! || undefined
  }

  originAt(position: number): string | undefined {
    const chunk = this.chunkAt(position)
    return chunk.originOf(position - this.starts[this.near]!)
  }

  uidlAt(position: number): string | undefined {
    const chunk = this.chunkAt(position)
    return chunk.uidlOf(position - this.starts[this.near]!)
  }

  isHereAt(position: number): boolean {
    const chunk = this.chunkAt(position)
    return chunk.isHere(position - this.starts[this.near]!)
  }

  *announced(): Iterable<Uid> {
    for (const chunk of this.chunks) {
      if (!chunk.hasAnnounced) continue
      for (let row = 0; row < chunk.count; row += 1) if (!chunk.isHere(row)) yield chunk.columns.uids[row] as Uid
    }
  }

  positionOf(uid: Uid): number {
    const chunk = this.chunks[this.chunkOf(uid)]
    return chunk === undefined ? this.length : this.starts[this.near]! + chunk.rowOf(uid)
  }

  /** Index of the first chunk that ends with this UID or a higher one. */
  chunkOf(uid: Uid): number {
    const { chunks } = this
    const near = chunks[this.near]
    if (near === undefined || uid > near.lastUid || (this.near > 0 && uid <= chunks[this.near - 1]!.lastUid))
      this.near = chunkOf(chunks, uid)
    return this.near
  }

  has(uid: Uid): boolean {
    const position = this.positionOf(uid)
    return position < this.length && this.uidAt(position) === uid
  }

  byUid(uid: Uid): StoredMessage | undefined {
    return this.has(uid) ? this.at(this.positionOf(uid)) : undefined
  }

  /** Sums over all. After the first time only what changed is counted. */
  totals(): Totals {
    let [unseen, deleted, sizeOctets] = [0, 0, 0]
    for (const chunk of this.chunks) {
      const totals = chunk.totals(this.sets)
      unseen += totals.unseen
      deleted += totals.deleted
      sizeOctets += totals.sizeOctets
    }
    return { unseen, deleted, sizeOctets }
  }

  *[Symbol.iterator](): Iterator<StoredMessage> {
    for (const chunk of this.chunks)
      for (let row = 0; row < chunk.count; row += 1) yield new StoredMessage(chunk, row, this.sets)
  }

  /** The chunk of a position that there is; `near` is its index then. */
  private chunkAt(position: number): Chunk {
    const { starts } = this
    if (!(position >= starts[this.near]! && position < starts[this.near + 1]!)) this.near = this.indexAt(position)
    return this.chunks[this.near]!
  }

  private indexAt(position: number): number {
    if (!(position >= 0 && position < this.length)) throw new RangeError(`there is no message at position ${position}`)
    let low = 0
    let high = this.chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.starts[middle]! <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** Index of the first chunk that ends with this UID or a higher one; the number of chunks where there is none. */
export function chunkOf(chunks: readonly Chunk[], uid: number): number {
  let low = 0
  let high = chunks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (chunks[middle]!.lastUid < uid) low = middle + 1
    else high = middle
  }
  return low
}
