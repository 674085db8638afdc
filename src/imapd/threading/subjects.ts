/** Step 5 of REFERENCES: threads with the same subject become one. RFC 5256 §3 */

import type { Slice } from '../slice.ts'
import { none, type ThreadedMessages } from './messages.ts'

/**
 * Changes `parents` (of the messages), and adds dummies behind `nodes` nodes. `order`: the messages by their dates, so that the first of a thread comes
 * first.
 */
export async function gatherBySubject(
  { count, subjects, isReply }: ThreadedMessages,
  parents: Int32Array,
  order: Uint32Array,
  nodes: number,
  slice: Slice,
): Promise<void> {
  // The children of the root, and of those that are dummies the children, which all are messages.
  const roots: number[] = []
  const children = new Map<number, number[]>()
  for (const message of order) {
    const parent = parents[message]!
    if (parent === none) roots.push(message)
    else if (parent >= count) {
      const siblings = children.get(parent)
      if (siblings === undefined) {
        roots.push(parent)
        children.set(parent, [message])
      } else siblings.push(message)
    }
    if (slice.isOver()) await slice.next()
  }
  const isDummy = (root: number) => root >= count
  const subjectOf = (root: number) => subjects[isDummy(root) ? children.get(root)![0]! : root]!
  const isReplyAt = (root: number) => !isDummy(root) && isReply[root] === 1

  const table = new Map<string, number>()
  for (const root of roots) {
    const subject = subjectOf(root)
    if (subject === '') continue
    const known = table.get(subject)
    if (known === undefined || (!isDummy(known) && (isDummy(root) || (isReplyAt(known) && !isReplyAt(root)))))
      table.set(subject, root)
    if (slice.isOver()) await slice.next()
  }

  let dummy = nodes
  for (const root of roots) {
    const subject = subjectOf(root)
    const kept = subject === '' ? root : table.get(subject)!
    if (kept === root) continue
    if (isDummy(kept)) {
      for (const message of isDummy(root) ? children.get(root)! : [root]) parents[message] = kept
    } else if (isReplyAt(root) && !isReplyAt(kept)) parents[root] = kept
    else {
      parents[root] = parents[kept] = dummy
      table.set(subject, dummy)
      dummy += 1
    }
    if (slice.isOver()) await slice.next()
  }
}
