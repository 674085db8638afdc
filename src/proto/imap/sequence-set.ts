/**
 * Sequence sets: sets of sequence numbers or UIDs as clients write them. RFC 9051 §9 rules sequence-set, uid-set.
 * Nothing here works through a range number by number: the cost follows the text and the mailbox, never the numbers.
 */

/** A number from 1 to 2^32-1, or `star`. */
export type SetNumber = number

/** "*": the largest number in use. */
export const star = Number.POSITIVE_INFINITY

/** All from `first` to `last`; either end may be the larger one. A single number has both equal. */
export interface SequenceRange {
  readonly first: SetNumber
  readonly last: SetNumber
}

/** In the client's order; ranges may overlap. Never empty. */
export type SequenceSet = readonly SequenceRange[]

/** "$": what the last SEARCH with SAVE found. RFC 5182 §2.1 */
export const savedResult = '$'

/** Wherever a command takes a sequence set. */
export type MessageSet = SequenceSet | typeof savedResult

/** Indexes from `start` up to and without `end`. */
export interface IndexRun {
  readonly start: number
  readonly end: number
}

/** undefined when `text` is no sequence set. */
export function parseSequenceSet(text: string): SequenceSet | undefined {
  const set: SequenceRange[] = []
  for (const piece of text.split(',')) {
    const colon = piece.indexOf(':')
    const first = parseSetNumber(colon < 0 ? piece : piece.slice(0, colon))
    const last = colon < 0 ? first : parseSetNumber(piece.slice(colon + 1))
    if (first === undefined || last === undefined) return undefined
    set.push({ first, last })
  }
  return set
}

function parseSetNumber(text: string): SetNumber | undefined {
  if (text === '*') return star
  if (text.length > 10 || !/^[1-9]\d*$/.test(text)) return undefined
  const value = Number(text)
  return value <= 0xffffffff ? value : undefined
}

/** The set as it is, range by range. */
export function formatSequenceSet(set: SequenceSet): string {
  const text = (value: SetNumber) => (value === star ? '*' : String(value))
  return set.map(({ first, last }) => (first === last ? text(first) : `${text(first)}:${text(last)}`)).join(',')
}

/** "4:6,9": numbers in the given order, consecutive ascending ones folded into ranges. The empty string for none. */
export function formatNumbers(numbers: Iterable<number>): string {
  return [...formatNumbersInPieces(numbers)].join('')
}

const pieceOctets = 16 * 1024

/** The same in pieces, for sets that are too large to be made in one go. Nothing for none. */
export function* formatNumbersInPieces(numbers: Iterable<number>): Generator<string, void, undefined> {
  let piece = ''
  let [first, last] = [0, 0]
  const run = () => (first === last ? String(first) : `${first}:${last}`)
  for (const value of numbers) {
    if (first > 0 && value === last + 1) {
      last = value
      continue
    }
    if (first > 0) piece += `${run()},`
    first = last = value
    if (piece.length < pieceOctets) continue
    yield piece
    piece = ''
  }
  if (first > 0) yield piece + run()
}

/**
 * Which of `count` messages a UID set names, as ascending runs of indexes that neither touch nor overlap; `uidAt` gives the
 * UIDs ascending by index. '*' is the last message's UID, so `n:*` always holds that message. UIDs that are not there
 * are left out. RFC 9051 §6.4.9
 */
export function resolveUids(set: SequenceSet, count: number, uidAt: (index: number) => number): readonly IndexRun[] {
  if (count === 0) return []
  const largest = uidAt(count - 1)
  return mergeRuns(
    set.map((range) => {
      const { low, high } = bounds(range, largest)
      return { start: firstAtLeast(low, count, uidAt), end: firstAtLeast(high + 1, count, uidAt) }
    }),
  )
}

/** The same for sequence numbers: number n is index n-1. Numbers above `count` are left out; see `namesMissing`. */
export function resolveSequenceNumbers(set: SequenceSet, count: number): readonly IndexRun[] {
  if (count === 0) return []
  return mergeRuns(
    set.map((range) => {
      const { low, high } = bounds(range, count)
      return { start: Math.min(low, count + 1) - 1, end: Math.min(high, count) }
    }),
  )
}

/**
 * Whether a set of sequence numbers names a message above `count` ('*' in an empty mailbox does), which FETCH, STORE, COPY
 * and MOVE answer BAD. RFC 9051 §9 seq-number. In SEARCH such a number is a condition that nothing meets.
 */
export function namesMissing(set: SequenceSet, count: number): boolean {
  return count === 0 || set.some(({ first, last }) => [first, last].some((value) => value !== star && value > count))
}

/** How many numbers a set names that holds no '*', each as often as it is named. */
export function setSize(set: SequenceSet): number {
  return set.reduce((sum, { first, last }) => sum + Math.abs(last - first) + 1, 0)
}

/** The numbers of a set without '*', in the client's order. */
export function* numbersOf(set: SequenceSet): Generator<number, void, undefined> {
  for (const { first, last } of set) for (let number = first; number <= last; number++) yield number
}

/** How many indexes the runs hold. */
export function countIndexes(runs: readonly IndexRun[]): number {
  return runs.reduce((sum, { start, end }) => sum + end - start, 0)
}

/** The indexes of the runs, ascending. */
export function* indexesOf(runs: readonly IndexRun[]): Generator<number, void, undefined> {
  for (const { start, end } of runs) for (let index = start; index < end; index++) yield index
}

function bounds(range: SequenceRange, largest: number): { readonly low: number; readonly high: number } {
  const first = range.first === star ? largest : range.first
  const last = range.last === star ? largest : range.last
  return { low: Math.min(first, last), high: Math.max(first, last) }
}

/** Smallest index whose UID is at least `uid`, `count` when there is none. */
export function firstAtLeast(uid: number, count: number, uidAt: (index: number) => number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (uidAt(middle) < uid) low = middle + 1
    else high = middle
  }
  return low
}

function mergeRuns(runs: readonly IndexRun[]): readonly IndexRun[] {
  const merged: { start: number; end: number }[] = []
  for (const { start, end } of runs.filter((run) => run.start < run.end).sort((a, b) => a.start - b.start)) {
    const before = merged.at(-1)
    if (before !== undefined && start <= before.end) before.end = Math.max(before.end, end)
    else merged.push({ start, end })
  }
  return merged
}
