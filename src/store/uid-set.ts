import type { Uid } from '../base/ids.ts'
import type { UidRange } from './types.ts'

/** Ascending UIDs as a sequence set: '1:3,7'. RFC 9051 §9 */
export function formatUids(uids: readonly Uid[]): string {
  const ranges: string[] = []
  for (let at = 0; at < uids.length; ) {
    let end = at
    while (end + 1 < uids.length && uids[end + 1] === uids[end]! + 1) end += 1
    ranges.push(end === at ? `${uids[at]}` : `${uids[at]}:${uids[end]}`)
    at = end + 1
  }
  return ranges.join(',')
}

/** The ranges that `formatUids` wrote, one at a time since they can be many. */
export function* parseUids(set: string): Iterable<UidRange> {
  for (let at = 0; at < set.length; ) {
    const comma = set.indexOf(',', at)
    const end = comma < 0 ? set.length : comma
    const range = set.slice(at, end)
    const colon = range.indexOf(':')
    const first = Number(colon < 0 ? range : range.slice(0, colon)) as Uid
    yield { first, last: colon < 0 ? first : (Number(range.slice(colon + 1)) as Uid) }
    at = end + 1
  }
}

/** The same UIDs in as few ranges as can be, ascending. */
export function joinRanges(ranges: readonly UidRange[]): UidRange[] {
  const joined: UidRange[] = []
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1)
    if (before === undefined || range.first > before.last + 1) joined.push(range)
    else if (range.last > before.last) joined[joined.length - 1] = { first: before.first, last: range.last }
  }
  return joined
}

/** What is left of ranges without others; both as `joinRanges` made them. */
export function withoutRanges(ranges: readonly UidRange[], others: readonly UidRange[]): UidRange[] {
  const left: UidRange[] = []
  let at = 0
  for (const { first, last } of ranges) {
    let from = first
    while (at < others.length && others[at]!.last < from) at += 1
    for (let other = at; other < others.length && others[other]!.first <= last; other += 1) {
      if (others[other]!.first > from) left.push({ first: from, last: (others[other]!.first - 1) as Uid })
      from = (others[other]!.last + 1) as Uid
    }
    if (from <= last) left.push({ first: from, last })
  }
  return left
}

/** One of the ranges, as `joinRanges` made them, has this UID. */
export function isAmong(ranges: readonly UidRange[], uid: Uid): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]!.last < uid) low = middle + 1
    else high = middle
  }
  return low < ranges.length && ranges[low]!.first <= uid
}

/** Ascending, each once. */
export function sortedUids(uids: readonly Uid[]): readonly Uid[] {
  // As they mostly come.
  let at = 1
  while (at < uids.length && uids[at]! > uids[at - 1]!) at += 1
  return at >= uids.length ? uids : [...new Set(uids)].sort((a, b) => a - b)
}

const blockBits = 12
const blockRanges = 1 << blockBits

/** Ranges that come ascending, and may be half a million: as numbers in blocks, which neither move when there are more nor cost a collection. */
export class AscendingRanges {
  length = 0
  private readonly blocks: Uint32Array[] = []

  add({ first, last }: UidRange): void {
    const index = this.length & (blockRanges - 1)
    if (index === 0) this.blocks.push(new Uint32Array(2 * blockRanges))
    const block = this.blocks.at(-1)!
    block[2 * index] = first
    block[2 * index + 1] = last
    this.length += 1
  }

  has(uid: number): boolean {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at(middle, 1) < uid) low = middle + 1
      else high = middle
    }
    return low < this.length && this.at(low, 0) <= uid
  }

  private at(index: number, end: 0 | 1): number {
    return this.blocks[index >>> blockBits]![2 * (index & (blockRanges - 1)) + end]!
  }
}
