/** How messages are put into threads. RFC 5256 §3; REFS: draft-ietf-morg-inthread-01 */

import type { TokenReader } from './token-reader.ts'

export const threadAlgorithms = ['ORDEREDSUBJECT', 'REFERENCES', 'REFS'] as const

export type ThreadAlgorithm = (typeof threadAlgorithms)[number]

export const threadAlgorithmOf = (name: string): ThreadAlgorithm | undefined =>
  threadAlgorithms.find((known) => known === name)

/** `thread-alg` */
export function readThreadAlgorithm(input: TokenReader): ThreadAlgorithm {
  const algorithm = threadAlgorithmOf(input.keyword('thread-alg'))
  if (algorithm === undefined) throw input.tokenFault('thread-alg', `one of ${threadAlgorithms.join(', ')}`)
  return algorithm
}
