/** The messages that were expunged and can be brought back: their files are there until a `purge` says that they may go. */

import { type Chunk, chunkRows } from './chunk.ts'
import { ChunkBuilder } from './chunk-builder.ts'
import { copyNumbers, type NumberColumn, rowsFor, withNumber, withRoom } from './columns.ts'
import { allRows, type Rows } from './message-table.ts'
import { StoredMessage } from './record.ts'
import type { ExpungeCause, ExpungedMessage, Flag, UidRange } from './types.ts'
import { AscendingRanges } from './uid-set.ts'

export const causes: readonly ExpungeCause[] = ['client', 'backend', 'window']

export interface StoredExpunged extends ExpungedMessage {
  readonly message: StoredMessage
}

/** Messages in the order in which they left; row n of the columns is row n of the chunk. */
export interface ExpungedChunk {
  readonly chunk: Chunk
  readonly times: NumberColumn
  /** Numbers in `causes`. */
  readonly causes: Uint16Array
}

/** Of one state of a mailbox, in the order in which they left. Never changes. */
export class ExpungedMessages implements Iterable<StoredExpunged> {
  readonly length: number
  /** Of the messages. */
  readonly sizeOctets: number
  readonly chunks: readonly ExpungedChunk[]
  private readonly sets: readonly ReadonlySet<Flag>[]

  constructor(chunks: readonly ExpungedChunk[], sets: readonly ReadonlySet<Flag>[]) {
    this.chunks = chunks
    this.sets = sets
    this.length = chunks.reduce((sum, { chunk }) => sum + chunk.count, 0)
    this.sizeOctets = chunks.reduce((sum, { chunk }) => sum + chunk.totals(sets).sizeOctets, 0)
  }

  *[Symbol.iterator](): Iterator<StoredExpunged> {
    for (const { chunk, times, causes: numbers } of this.chunks)
      for (let row = 0; row < chunk.count; row += 1)
        yield {
          message: new StoredMessage(chunk, row, this.sets),
          expungedAt: times[row]!,
          cause: causes[numbers[row]!]!,
        }
  }
}

/** From this many on, the rows of one chunk stay a chunk of their own. */
const wholeRows = chunkRows / 2
/** Rows and ranges looked at before others get their turn: a few ms. */
const rowsPerTurn = 20_000
const rangesPerTurn = 10_000

/** What entries make of them while they are applied. */
export class ExpungedTable {
  private chunks: ExpungedChunk[]
  /** Makes the last chunk; undefined where that came from elsewhere. */
  private tail: ChunkBuilder | undefined

  constructor(chunks: readonly ExpungedChunk[] = []) {
    this.chunks = [...chunks]
  }

  list(): readonly ExpungedChunk[] {
    return [...this.chunks]
  }

  add({ chunk, rows }: Rows, at: number, cause: ExpungeCause): void {
    if (rows.length >= wholeRows) {
      const whole = rows.length === chunk.count ? chunk : ChunkBuilder.chunkOf([chunk, rows])
      this.chunks.push({ chunk: whole, ...sameFor(rows.length, at, cause) })
      this.tail = undefined
      return
    }
    const last = this.chunks.at(-1)
    if (last === undefined || last.chunk.count + rows.length > chunkRows) {
      this.tail = new ChunkBuilder()
      this.tail.take(chunk, rows)
      this.chunks.push({ chunk: this.tail.chunk(), ...sameFor(rows.length, at, cause) })
      return
    }
    if (this.tail === undefined) {
      this.tail = new ChunkBuilder()
      this.tail.take(last.chunk, allRows(last.chunk))
    }
    this.tail.take(chunk, rows)
    this.chunks[this.chunks.length - 1] = { chunk: this.tail.chunk(), ...extended(last, rows.length, at, cause) }
  }

  /** `took` is told the rows that go for good. `ranges` ascend. */
  *purge(ranges: Iterable<UidRange>, took: (rows: Rows) => void): Generator<undefined, void> {
    const wanted = new AscendingRanges()
    for (const range of ranges) {
      wanted.add(range)
      if (wanted.length % rangesPerTurn === 0) yield
    }
    const chunks: ExpungedChunk[] = []
    let looked = 0
    for (const before of this.chunks) {
      const { chunk } = before
      const { uids } = chunk.columns
      const [rows, rest] = split(chunk, (row) => wanted.has(uids[row]!))
      if (rows.length > 0) took({ chunk, rows })
      if (rows.length === 0) chunks.push(before)
      else if (rest.length > 0) chunks.push(only(before, rest))
      looked += chunk.count
      if (looked < rowsPerTurn) continue
      looked = 0
      yield
    }
    this.chunks = chunks
    this.tail = undefined
  }
}

function split(chunk: Chunk, isOne: (row: number) => boolean): readonly [ones: number[], others: number[]] {
  const ones: number[] = []
  const others: number[] = []
  for (let row = 0; row < chunk.count; row += 1) (isOne(row) ? ones : others).push(row)
  return [ones, others]
}

function sameFor(rows: number, at: number, cause: ExpungeCause): Omit<ExpungedChunk, 'chunk'> {
  const times = withNumber(new Uint32Array(rows), 0, at)
  return { times: times.fill(at), causes: new Uint16Array(rows).fill(causes.indexOf(cause)) }
}

/** The columns go on behind the rows of `last`, in place where there is room: nobody reads beyond the rows of the chunk that he has. */
function extended(last: ExpungedChunk, rows: number, at: number, cause: ExpungeCause): Omit<ExpungedChunk, 'chunk'> {
  const from = last.chunk.count
  const room = rowsFor(from + rows, chunkRows)
  let times = last.times.length < from + rows ? withRoom<NumberColumn>(last.times, room) : last.times
  const numbers = last.causes.length < from + rows ? withRoom(last.causes, room) : last.causes
  times = withNumber(times, from, at)
  times.fill(at, from, from + rows)
  numbers.fill(causes.indexOf(cause), from, from + rows)
  return { times, causes: numbers }
}

function only({ chunk, times, causes: numbers }: ExpungedChunk, rows: readonly number[]): ExpungedChunk {
  const kept = new Uint16Array(rows.length)
  for (const [index, row] of rows.entries()) kept[index] = numbers[row]!
  return {
    chunk: ChunkBuilder.chunkOf([chunk, rows]),
    times: copyNumbers(new Uint32Array(rows.length), 0, times, rows),
    causes: kept,
  }
}
