/** The chunks of a mailbox while entries are applied to it. What was handed out stays what it is: only new chunks come into the table. */

import { type Chunk, chunkRows, digestWords } from './chunk.ts'
import { type AnnouncedRow, ChunkBuilder, type NewRow } from './chunk-builder.ts'
import { copyFor, type NumberColumn } from './columns.ts'
import { chunkOf } from './message-list.ts'
import type { HashedUids } from './origin-index.ts'
import type { UidRange } from './types.ts'

/** Rows looked at before others get their turn, and for how many of them a range counts: a few ms. */
const rowsPerTurn = 60_000
const rowsPerRange = 20
/** Rows copied to other chunks before others get their turn, and for how many of them one with an origin counts: a few ms. */
const copiesPerTurn = 40_000
const copiesPerOrigin = 10
/** Neighbours are joined up to this: not so many that the next message would split them. */
const joinedRows = 768
/** Characters of a file name that are its digest, at the end. */
const digestLength = 43

/** Some rows of a chunk, ascending. */
export interface Rows {
  readonly chunk: Chunk
  readonly rows: RowNumbers
}

/** Neighbours mostly, which need no list of their own. */
export type RowNumbers = Uint16Array | readonly number[]

/** A row of a chunk. */
export interface Row {
  readonly chunk: Chunk
  readonly row: number
}

export class MessageTable {
  private chunks: Chunk[]
  /** Makes the last chunk; undefined where that came from elsewhere. */
  private tail: ChunkBuilder | undefined

  constructor(chunks: readonly Chunk[] = []) {
    this.chunks = [...chunks]
  }

  /** As they are now. */
  list(): readonly Chunk[] {
    return [...this.chunks]
  }

  find(uid: number): Row | undefined {
    const chunk = this.chunks[chunkOf(this.chunks, uid)]
    const row = chunk?.rowOf(uid)
    return chunk === undefined || chunk.columns.uids[row!] !== uid ? undefined : { chunk, row: row! }
  }

  /** The UID of the message that has this file, among those from `first` to `last`. */
  findFile(file: string, first: number, last: number): number | undefined {
    const digest = Buffer.from(file.slice(-digestLength), 'base64url').readUInt32LE()
    for (let index = chunkOf(this.chunks, first); index < this.chunks.length; index += 1) {
      const chunk = this.chunks[index]!
      const { uids, digests, count } = chunk.columns
      for (let row = chunk.rowOf(first); row < count; row += 1) {
        if (uids[row]! > last) return undefined
        if (digests[row * digestWords] === digest && chunk.fileOf(row) === file) return uids[row]!
      }
    }
    return undefined
  }

  /** The columns that an index of origins is made from. */
  *hashedUids(): Iterable<HashedUids> {
    for (const { columns } of this.chunks)
      if (columns.origins !== undefined)
        yield { uids: columns.uids, hashes: columns.origins.hashes, count: columns.count }
  }

  /** A message whose UID is higher than all others. */
  add(message: NewRow): void {
    const tail = this.tailToGrow()
    tail.add(message)
    this.chunks.push(tail.chunk())
  }

  /** Messages whose octets have not come. UIDs ascend, and are higher than all others. */
  announce(prefix: string, rows: readonly AnnouncedRow[], modSeq: number): void {
    for (let next = 0; next < rows.length; ) {
      const tail = this.tailToGrow()
      for (; next < rows.length && !tail.isFull; next += 1) tail.announce(prefix, rows[next]!, modSeq)
      this.chunks.push(tail.chunk())
    }
  }

  /** Its chunk is not in the list any more, and has room. */
  private tailToGrow(): ChunkBuilder {
    const last = this.chunks.at(-1)
    if (this.tail === undefined || this.tail.isFull) {
      this.tail = new ChunkBuilder()
      if (last === undefined || last.count >= chunkRows) return this.tail
      this.tail.take(last, allRows(last))
    }
    this.chunks.pop()
    return this.tail
  }

  /** The same messages (of the same UIDs, ascending) told in another way. */
  *replace(messages: readonly NewRow[]): Generator<undefined, void> {
    for (let next = 0; next < messages.length; ) {
      const index = chunkOf(this.chunks, messages[next]!.uid)
      const chunk = this.chunks[index]!
      const rows = allRows(chunk)
      const builder = new ChunkBuilder(chunk.count)
      let taken = 0
      for (; next < messages.length && messages[next]!.uid <= chunk.lastUid; next += 1) {
        const at = chunk.rowOf(messages[next]!.uid)
        builder.take(chunk, rows.subarray(taken, at))
        builder.add(messages[next]!)
        taken = at + 1
      }
      builder.take(chunk, rows.subarray(taken))
      this.chunks[index] = builder.chunk()
      this.tail = undefined
      yield
    }
  }

  /**
   * `to`: the flags instead of those; `changed` is told the UIDs whose flags are others then. Neighbours with the same flags are one step: who
   * marks a mailbox as read does it with as many as it has.
   */
  *changeFlags(
    ranges: Iterable<UidRange>,
    to: (flags: number) => number,
    modSeq: number,
    changed: (uids: NumberColumn) => void,
  ): Generator<undefined, void> {
    for (const step of this.among(ranges)) {
      if (step === undefined) {
        yield
        continue
      }
      const { chunk, rows, index } = step
      const { columns } = chunk
      let { flags, modSeqs } = columns
      for (let at = 0, end = 0; at < rows.length; at = end) {
        end = sameFlagsEnd(columns.flags, rows, at)
        const from = columns.flags[rows[at]!]!
        const next = to(from)
        if (next === from) continue
        if (flags === columns.flags) {
          flags = columns.flags.slice()
          modSeqs = copyFor(columns.modSeqs, modSeq)
        }
        const [first, behind] = [rows[at]!, rows[end - 1]! + 1]
        flags.fill(next, first, behind)
        modSeqs.fill(modSeq, first, behind)
        changed(columns.uids.subarray(first, behind))
      }
      if (flags === columns.flags) continue
      const after = chunk.withFlags(flags, modSeqs)
      this.chunks[index] = after
      if (index === this.chunks.length - 1) this.tail?.useFlags(after)
    }
  }

  /** Takes messages out; `took` is told which. */
  *remove(ranges: Iterable<UidRange>, took: (rows: Rows) => void): Generator<undefined, void> {
    /** What stays of the chunks by their index; undefined for nothing. */
    const rest = new Map<number, Chunk | undefined>()
    let copied = 0
    for (const step of this.among(ranges)) {
      if (step === undefined) {
        yield
        continue
      }
      const { chunk, rows, index } = step
      took({ chunk, rows })
      rest.set(index, rows.length === chunk.count ? undefined : ChunkBuilder.chunkOf([chunk, otherRows(chunk, rows)]))
      copied += chunk.columns.origins === undefined ? chunk.count : chunk.count * copiesPerOrigin
      if (copied < copiesPerTurn) continue
      copied = 0
      yield
    }
    if (rest.size === 0) return
    const chunks: Chunk[] = []
    let isNew = false
    for (const [index, before] of this.chunks.entries()) {
      const wasNew = isNew
      isNew = rest.has(index)
      const chunk = isNew ? rest.get(index) : before
      const last = chunks.at(-1)
      if (chunk === undefined) continue
      if (last === undefined || !(isNew || wasNew) || last.count + chunk.count > joinedRows) {
        chunks.push(chunk)
        continue
      }
      chunks[chunks.length - 1] = ChunkBuilder.chunkOf([last, allRows(last)], [chunk, allRows(chunk)])
      copied += last.count + chunk.count
      if (copied < copiesPerTurn) continue
      copied = 0
      yield
    }
    this.chunks = chunks
    this.tail = undefined
  }

  /** The rows of these ranges, which ascend, chunk by chunk; undefined when it is time for others. */
  private *among(ranges: Iterable<UidRange>): Iterable<(Rows & { readonly index: number }) | undefined> {
    const { chunks } = this
    let index = 0
    let chunk: Chunk | undefined
    let rows: RowNumbers = noRows
    let row = 0
    let looked = 0
    for (const { first, last } of ranges) {
      looked += rowsPerRange
      for (;;) {
        if (chunk === undefined || chunk.lastUid < first) {
          if (chunk !== undefined && rows.length > 0) yield { chunk, rows, index }
          if (looked > rowsPerTurn) {
            looked = 0
            yield undefined
          }
          index = chunkOf(chunks, first)
          chunk = chunks[index]
          if (chunk === undefined) return
          rows = noRows
          row = 0
        }
        const { uids, count } = chunk.columns
        // Neighbours mostly.
        if (uids[row]! < first) row = uids[row + 1]! >= first && row + 1 < count ? row + 1 : chunk.rowOf(first)
        const before = row
        row = endOf(chunk, row, last)
        rows = withRows(rows, before, row)
        looked += row - before
        if (row < count) break
        // The range may go on in the next chunk.
        const next: Chunk | undefined = chunks[index + 1]
        if (next === undefined || next.columns.uids[0]! > last) {
          row = count - 1
          break
        }
        if (rows.length > 0) yield { chunk, rows, index }
        if (looked > rowsPerTurn) {
          looked = 0
          yield undefined
        }
        index += 1
        chunk = next
        rows = noRows
        row = 0
      }
    }
    if (chunk !== undefined && rows.length > 0) yield { chunk, rows, index }
  }
}

const rowNumbers = Uint16Array.from({ length: chunkRows }, (_, row) => row)
const noRows = rowNumbers.subarray(0, 0)

/** The end of the neighbours with the same flags that begin at `at` in `rows`. */
function sameFlagsEnd(flags: Uint16Array | Uint32Array, rows: RowNumbers, at: number): number {
  const first = rows[at]!
  const from = flags[first]!
  let end = at + 1
  while (end < rows.length && rows[end] === first + end - at && flags[first + end - at] === from) end += 1
  return end
}

/** The first row from this one on whose UID is above `last`. */
function endOf(chunk: Chunk, row: number, last: number): number {
  const { uids, count } = chunk.columns
  if (uids[row]! > last) return row
  if (row + 1 < count && uids[row + 1]! > last) return row + 1
  return chunk.lastUid <= last ? count : chunk.rowOf(last + 1)
}

/** These and the ones from `first` to before `end`. */
function withRows(rows: RowNumbers, first: number, end: number): RowNumbers {
  if (rows.length === 0) return rowNumbers.subarray(first, end)
  const all = rows instanceof Uint16Array ? Array.from(rows) : (rows as number[])
  for (let row = first; row < end; row += 1) all.push(row)
  return all
}

export function allRows(chunk: Chunk): Uint16Array {
  return rowNumbers.subarray(0, chunk.count)
}

function otherRows(chunk: Chunk, rows: RowNumbers): number[] {
  const others: number[] = []
  let next = 0
  for (let row = 0; row < chunk.count; row += 1)
    if (rows[next] === row) next += 1
    else others.push(row)
  return others
}
