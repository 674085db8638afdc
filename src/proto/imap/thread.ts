/** THREAD. RFC 5256 §3, §4, §5; REFS: draft-ietf-morg-inthread-01 */

import { readSearchCriteria, type SearchKey } from './search.ts'
import { readThreadAlgorithm, type ThreadAlgorithm } from './thread-algorithm.ts'
import type { TokenReader } from './token-reader.ts'

export interface ThreadArgs {
  readonly algorithm: ThreadAlgorithm
  /** Upper case. */
  readonly charset: string
  readonly key: SearchKey
}

/** `SP thread-alg SP search-criteria CRLF` */
export function readThreadArgs(input: TokenReader): ThreadArgs {
  input.sp()
  const algorithm = readThreadAlgorithm(input)
  input.sp()
  return { algorithm, ...readSearchCriteria(input) }
}

/** Threads as lists of nodes; -1: none. */
export interface ThreadForest {
  /** The first messages of the threads, in their order. A node that stands for no message has at least two children. */
  readonly roots: Iterable<number>
  /** Of a node: its first child, and the next one with the same parent. */
  readonly firstChild: ArrayLike<number>
  readonly nextSibling: ArrayLike<number>
}

const pieceOctets = 16 * 1024
const none = -1
/** On the stack: the end of a thread-list. */
const close = -2

/** `* THREAD (2)(3 6 (4 23)(44 7 96))`, in pieces. `numberOf`: undefined for a node that stands for no message. Any depth, no recursion. */
export function* formatThreads(
  { roots, firstChild, nextSibling }: ThreadForest,
  numberOf: (node: number) => number | undefined,
): Generator<string, void, undefined> {
  let piece = '* THREAD'
  let separator = ' '
  const stack: number[] = []
  for (const root of roots) {
    piece += separator
    separator = ''
    stack.push(root)
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node === close) {
        piece += ')'
        continue
      }
      piece += '('
      for (let isFirst = true; ; isFirst = false) {
        const number = numberOf(node)
        if (number !== undefined) piece += isFirst ? `${number}` : ` ${number}`
        const child: number = firstChild[node]!
        if (child === none) {
          piece += ')'
          break
        }
        if (nextSibling[child] === none) node = child
        else {
          if (number !== undefined) piece += ' '
          pushSiblings(stack, child, nextSibling)
          break
        }
        if (piece.length >= pieceOctets) {
          yield piece
          piece = ''
        }
      }
      if (piece.length >= pieceOctets) {
        yield piece
        piece = ''
      }
    }
  }
  yield `${piece}\r\n`
}

/** The siblings from `child` on, so that the first is on top; below them the end of the list that they lie in. */
function pushSiblings(stack: number[], child: number, nextSibling: ArrayLike<number>): void {
  stack.push(close)
  const bottom = stack.length
  for (let sibling = child; sibling !== none; sibling = nextSibling[sibling]!) stack.push(sibling)
  for (let low = bottom, high = stack.length - 1; low < high; low += 1, high -= 1)
    [stack[low], stack[high]] = [stack[high]!, stack[low]!]
}
