/** Which thread messages belong to. */

import type { Slice } from '../slice.ts'
import { none } from './messages.ts'

/** The topmost node above each message, a dummy where that is one. `parents`: of each message a message, a dummy, or none. */
export async function rootsOf(parents: Int32Array, slice: Slice): Promise<Int32Array> {
  const roots = new Int32Array(parents.length).fill(none)
  for (let message = 0; message < parents.length; message += 1) {
    let root = message
    while (root < parents.length && roots[root] === none && parents[root] !== none) root = parents[root]!
    if (root < parents.length && roots[root] !== none) root = roots[root]!
    // What was passed leads there at once from now on.
    for (let at = message; at < parents.length && roots[at] === none; at = parents[at]!) {
      roots[at] = root
      if (parents[at] === none) break
    }
    if (slice.isOver()) await slice.next()
  }
  return roots
}

/** Each root once, in the order of the newest message of its thread. `order`: the messages by their dates. */
export async function rootsByNewest(parents: Int32Array, order: Uint32Array, slice: Slice): Promise<number[]> {
  const roots = await rootsOf(parents, slice)
  const seen = new Set<number>()
  for (let at = order.length - 1; at >= 0; at -= 1) {
    seen.add(roots[order[at]!]!)
    if (slice.isOver()) await slice.next()
  }
  return [...seen].reverse()
}
