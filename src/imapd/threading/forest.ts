/** Threads as they are told, out of who is whose parent. */

import type { ThreadForest } from '../../proto/imap/thread.ts'
import type { Slice } from '../slice.ts'
import { none } from './messages.ts'

/**
 * Siblings, and the roots among themselves, stand in the order of `order`, which has all messages; a dummy stands where its first child would. `parents`: of each message
 * a message, a dummy, or none.
 */
export async function forestOf(
  parents: Int32Array,
  order: Uint32Array,
  slice: Slice,
): Promise<ThreadForest & { roots: number[] }> {
  let nodes = parents.length
  for (const parent of parents) nodes = Math.max(nodes, parent + 1)
  const firstChild = new Int32Array(nodes).fill(none)
  const lastChild = new Int32Array(nodes).fill(none)
  const nextSibling = new Int32Array(nodes).fill(none)
  const roots: number[] = []
  for (const message of order) {
    const parent = parents[message]!
    if (parent === none) roots.push(message)
    else {
      const before = lastChild[parent]!
      lastChild[parent] = message
      if (before !== none) nextSibling[before] = message
      else {
        firstChild[parent] = message
        if (parent >= parents.length) roots.push(parent)
      }
    }
    if (slice.isOver()) await slice.next()
  }
  return { roots, firstChild, nextSibling }
}
