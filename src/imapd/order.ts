/** What the messages of a search are ordered by, in columns: for SORT and THREAD. RFC 5256 §2, §3 */

import type { Uid } from '../base/ids.ts'
import type { KeyText } from '../mime/order-keys.ts'
import { keptAlive, signMs } from './keep-alive.ts'
import type { Session } from './session.ts'
import type { Slice } from './slice.ts'

/** Of the messages at `positions`, by their index there. */
export interface OrderColumns {
  /** Octets in latin1: compare them as they are. '' where the message can't be read. */
  readonly texts: ReadonlyMap<KeyText, readonly string[]>
  /** Seconds since 1970: of the Date field, else INTERNALDATE. RFC 5256 §2.2 */
  readonly sentAt: Float64Array
  /** 1: its subject says that it is a reply or forwarded. */
  readonly isReply: Uint8Array
  /** Messages whose octets have not come from an old server. */
  readonly unseen: number
}

/** Of one command's texts: ten times those of 100,000 ordinary messages. Behind it a text is told by its beginning, and references by the last one. */
const roomOctets = 128 * 1024 * 1024
const shortOctets = 64

/** Whose messages are ordered, for a client that may go away meanwhile: then ConnectionLost is thrown. */
export type Ordering = Pick<Session, 'view' | 'connection' | 'output' | 'untagged'>

/** The first time that it is asked of a large mailbox this takes long. */
export function readColumns(
  session: Ordering,
  positions: readonly number[],
  wanted: readonly KeyText[],
  slice: Slice,
): Promise<OrderColumns> {
  const progress = { read: 0 }
  const text = () => `Read ${Math.floor((100 * progress.read) / positions.length)}% of the headers`
  return keptAlive(session, signMs, text, read(session, positions, wanted, progress, slice))
}

async function read(
  { view, connection: { signal } }: Ordering,
  positions: readonly number[],
  wanted: readonly KeyText[],
  progress: { read: number },
  slice: Slice,
): Promise<OrderColumns> {
  const uids: Uid[] = []
  const sentAt = new Float64Array(positions.length)
  const isReply = new Uint8Array(positions.length)
  const texts = new Map(wanted.map((text) => [text, [] as string[]]))
  let unseen = 0
  let octets = 0
  for (const [index, position] of positions.entries()) {
    uids.push(view.uidAt(position))
    sentAt[index] = view.internalDateAt(position)
    if (slice.isOver()) await slice.next()
  }
  const record = (index: number) => view.recordNow(positions[index]!)
  for await (const { start, end, keys } of view.mailbox.keys({ uids, record })) {
    signal.throwIfAborted()
    for (let index = start; index < end; index += 1) {
      const uid = uids[index]!
      const has = keys.has(uid)
      if (!has && !record(index).isHere) unseen += 1
      for (const [text, column] of texts) {
        const whole = has ? keys.text(uid, text) : ''
        const kept = octets + whole.length > roomOctets ? shortened(text, whole) : whole
        octets += kept.length
        column.push(kept)
      }
      if (has) {
        const date = keys.sentAt(uid)
        if (!Number.isNaN(date)) sentAt[index] = date
        if (keys.isReply(uid)) isReply[index] = 1
      }
      if (slice.isOver()) await slice.next()
    }
    progress.read = end
  }
  return { texts, sentAt, isReply, unseen }
}

function shortened(text: KeyText, whole: string): string {
  const from = text === 'references' ? whole.lastIndexOf('\0') + 1 : 0
  // A copy: a piece of a string keeps all of it.
  return Buffer.from(whole.slice(from, text === 'references' ? undefined : shortOctets), 'latin1').toString('latin1')
}

/** Where one index stands against another. */
export type Compare = (a: number, b: number) => number

export const byText =
  (column: readonly string[]): Compare =>
  (a, b) => {
    const [left, right] = [column[a]!, column[b]!]
    return left < right ? -1 : left > right ? 1 : 0
  }

export const byNumber =
  (column: Float64Array): Compare =>
  (a, b) =>
    column[a]! - column[b]!

export function inTurn(compares: readonly Compare[]): Compare {
  if (compares.length === 1) return compares[0]!
  return (a, b) => {
    for (const compare of compares) {
      const result = compare(a, b)
      if (result !== 0) return result
    }
    return 0
  }
}

/** Of each of the messages at `positions` a number. */
export async function numberColumn(
  positions: readonly number[],
  numberAt: (position: number) => number,
  slice: Slice,
): Promise<Float64Array> {
  const column = new Float64Array(positions.length)
  for (const [index, position] of positions.entries()) {
    column[index] = numberAt(position)
    if (slice.isOver()) await slice.next()
  }
  return column
}

/** Indexes that are put in order at once, between two looks. */
const runLength = 64

/** The indexes 0 to `count - 1` in the order of `compare`; what is equal stays in their own. Merges, with turns for others in between. */
export async function sortIndexes(count: number, compare: Compare, slice: Slice): Promise<Uint32Array> {
  let sorted = new Uint32Array(count)
  let merged = new Uint32Array(count)
  for (let start = 0; start < count; start += runLength) {
    const end = Math.min(start + runLength, count)
    for (let index = start; index < end; index += 1) sorted[index] = index
    sorted.subarray(start, end).sort(compare)
    if (slice.isOver()) await slice.next()
  }
  for (let width = runLength; width < count; width *= 2) {
    for (let start = 0; start < count; start += 2 * width) {
      const middle = Math.min(start + width, count)
      const end = Math.min(start + 2 * width, count)
      let [left, right] = [start, middle]
      for (let at = start; at < end; at += 1) {
        const isLeft = right === end || (left < middle && compare(sorted[left]!, sorted[right]!) <= 0)
        merged[at] = isLeft ? sorted[left++]! : sorted[right++]!
        if (slice.isOver()) await slice.next()
      }
    }
    ;[sorted, merged] = [merged, sorted]
  }
  return sorted
}
