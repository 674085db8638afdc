/** Step 1 of REFERENCES: who is whose parent by the references. RFC 5256 §3 */

import type { Slice } from '../slice.ts'
import { none, type ThreadedMessages } from './messages.ts'

/** Further ones are passed over: messages that only they would join stand alone. */
const maxDummies = 1_000_000
/** Steps of walks towards roots before others get their turn: a ms. */
const stepsAtOnce = 200_000

/**
 * The parent of each node, or none: of the messages, and behind them of the dummies that stand for what is referred to and not among the
 * messages. There are no loops.
 */
export async function linkByReferences(
  { count, ids, references }: ThreadedMessages,
  slice: Slice,
  mostDummies = maxDummies,
): Promise<number[]> {
  const parents: number[] = []
  const nodes = new Map<string, number>()
  for (let message = 0; message < count; message += 1) {
    parents.push(none)
    const id = ids[message]!
    if (id !== '' && !nodes.has(id)) nodes.set(id, message)
    if (slice.isOver()) await slice.next()
  }
  const links = new Links(parents)
  for (let message = 0; message < count; message += 1) {
    let before = none
    for (const id of idsOf(references[message]!)) {
      let node = nodes.get(id)
      if (node === undefined && parents.length < count + mostDummies) {
        node = parents.push(none) - 1
        nodes.set(id, node)
      }
      if (node !== undefined) {
        if (before !== none && parents[node] === none) links.link(before, node)
        before = node
      }
      if (links.steps > stepsAtOnce || slice.isOver()) {
        links.steps = 0
        await slice.next()
      }
    }
    links.unlink(message)
    if (before !== none) links.link(before, message)
  }
  return parents
}

const idsOf = (references: string): readonly string[] => (references === '' ? [] : references.split('\0'))

class Links {
  /** Of walks, until somebody sets it back. */
  steps = 0
  readonly #parents: number[]
  readonly #children: number[] = []

  constructor(parents: number[]) {
    this.#parents = parents
  }

  /** `child` has no parent. Nothing happens when it is an ancestor of `parent`. */
  link(parent: number, child: number): void {
    if (this.#isAncestor(child, parent)) return
    this.#parents[child] = parent
    this.#children[parent] = (this.#children[parent] ?? 0) + 1
  }

  unlink(child: number): void {
    const parent = this.#parents[child]!
    if (parent === none) return
    this.#parents[child] = none
    this.#children[parent]! -= 1
  }

  /** Itself included. */
  #isAncestor(node: number, of: number): boolean {
    if (node === of) return true
    if ((this.#children[node] ?? 0) === 0) return false
    for (let at = this.#parents[of]!; at !== none; at = this.#parents[at]!) {
      this.steps += 1
      if (at === node) return true
    }
    return false
  }
}
