/** The results of a SORT that a client follows, in the order that it was told. RFC 5267 §4.3 */

import type { Uid } from '../base/ids.ts'
import type { SortCriterion } from '../proto/imap/sort.ts'
import type { Ordering } from './order.ts'
import { Slice } from './slice.ts'
import { sortPositions } from './sort.ts'

/** Neighbours, in their order; the first stands at `position`, which counts from 1, when the ones before it in the list were dealt with. */
export interface PlacedUids {
  readonly position: number
  readonly uids: readonly Uid[]
}

export class SortedResults {
  readonly #criteria: readonly SortCriterion[]
  #uids: readonly Uid[]

  constructor(criteria: readonly SortCriterion[], uids: readonly Uid[]) {
    this.#criteria = criteria
    this.#uids = uids
  }

  /** Where they stood. */
  async remove(gone: readonly Uid[]): Promise<PlacedUids[]> {
    if (gone.length === 0) return []
    const { runs, left } = await parted(this.#uids, await setOf(gone), false)
    this.#uids = left
    return runs
  }

  /** `positions`: of all that are results now, ascending; `gone` are none any more, `come` are new. Throws StoreError: then nothing has changed. */
  async change(
    session: Ordering,
    positions: readonly number[],
    gone: readonly Uid[],
    come: readonly Uid[],
  ): Promise<{ readonly removed: readonly PlacedUids[]; readonly added: readonly PlacedUids[] }> {
    const sorted = await sortPositions(session, positions, this.#criteria)
    const before = this.#uids
    const removed = await this.remove(gone)
    const left = this.#uids
    const now: Uid[] = []
    const slice = new Slice()
    for (const position of sorted.positions) {
      now.push(session.view.uidAt(position))
      if (slice.isOver()) await slice.next()
    }
    this.#uids = now
    const { runs: added, left: rest } = await parted(now, await setOf(come), true)
    if (rest.length === left.length && rest.every((uid, index) => uid === left[index])) return { removed, added }
    // A message that came from an old server meanwhile has another place now: all are told anew.
    return { removed: [{ position: 1, uids: before }], added: [{ position: 1, uids: now }] }
  }
}

async function setOf(uids: readonly Uid[]): Promise<ReadonlySet<Uid>> {
  const all = new Set<Uid>()
  const slice = new Slice()
  for (const uid of uids) {
    all.add(uid)
    if (slice.isOver()) await slice.next()
  }
  return all
}

/** The runs of those that are wanted, and the others. `stays`: what is passed takes up its place. */
async function parted(
  uids: readonly Uid[],
  wanted: ReadonlySet<Uid>,
  stays: boolean,
): Promise<{ readonly runs: PlacedUids[]; readonly left: readonly Uid[] }> {
  const slice = new Slice()
  const left: Uid[] = []
  const runs: { position: number; uids: Uid[] }[] = []
  let passed = 0
  let run: { position: number; uids: Uid[] } | undefined
  for (const uid of uids) {
    if (!wanted.has(uid)) {
      passed += 1
      left.push(uid)
      run = undefined
    } else {
      if (run === undefined) {
        run = { position: passed + 1, uids: [] }
        runs.push(run)
      }
      run.uids.push(uid)
      if (stays) passed += 1
    }
    if (slice.isOver()) await slice.next()
  }
  return { runs, left }
}
