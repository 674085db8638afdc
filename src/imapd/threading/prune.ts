/** Steps 2 and 3 of REFERENCES: the threads without their dummies. RFC 5256 §3 */

import type { Slice } from '../slice.ts'
import { none } from './messages.ts'

/**
 * Of each message: the nearest message above it; a dummy where there is none, the messages that share it would be siblings under the root, and
 * they are at least two; else none.
 */
export async function withoutDummies(parents: readonly number[], count: number, slice: Slice): Promise<Int32Array> {
  const pruned = new Int32Array(count).fill(none)
  // Where the way up from a dummy ends: at a message, or at the topmost dummy.
  const tops = new Int32Array(parents.length - count).fill(none)
  const heads = new Int32Array(parents.length - count)
  for (let message = 0; message < count; message += 1) {
    const top = topOf(parents[message]!, parents, count, tops)
    pruned[message] = top
    if (top >= count) heads[top - count]! += 1
    if (slice.isOver()) await slice.next()
  }
  for (let message = 0; message < count; message += 1) {
    const top = pruned[message]!
    if (top >= count && heads[top - count] === 1) pruned[message] = none
    if (slice.isOver()) await slice.next()
  }
  return pruned
}

function topOf(parent: number, parents: readonly number[], count: number, tops: Int32Array): number {
  let top = parent
  while (top >= count) {
    const known = tops[top - count]!
    const above = known === none ? parents[top]! : known
    if (above === none) break
    top = above
  }
  // What was passed leads there at once from now on.
  for (let at = parent; at >= count && at !== top; ) {
    const known = tops[at - count]!
    tops[at - count] = top
    at = known === none ? parents[at]! : known
  }
  return top
}
