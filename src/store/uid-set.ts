import type { Uid } from '../base/ids.ts'

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

/** The UIDs that `formatUids` wrote. */
export function* parseUids(set: string): Iterable<Uid> {
  if (set === '') return
  for (const range of set.split(',')) {
    const [first, last] = range.split(':')
    for (let uid = Number(first); uid <= Number(last ?? first); uid += 1) yield uid as Uid
  }
}

/** Ascending, each once. */
export function sortedUids(uids: Iterable<Uid>): Uid[] {
  const all = [...uids]
  // As they mostly come.
  if (all.every((uid, at) => at === 0 || uid > all[at - 1]!)) return all
  return [...new Set(all)].sort((a, b) => a - b)
}
