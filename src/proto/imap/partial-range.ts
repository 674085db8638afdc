/** RFC 9394 §3.1 rule partial-range */

import type { TokenReader } from './token-reader.ts'

/** Results that PARTIAL names: the first is 1; counted from the end: -1 is the last. Either end may be the larger one; both have one sign. */
export interface PartialRange {
  readonly first: number
  readonly last: number
}

/** `1:500`, `-1:-100` */
export function readPartialRange(input: TokenReader): PartialRange {
  const end = () => (input.tryChar('-') ? -input.nzNumber('partial-range') : input.nzNumber('partial-range'))
  const first = end()
  input.char(':', 'partial-range')
  const last = end()
  if (first > 0 !== last > 0) throw input.tokenFault('partial-range', 'both ends counted from the same side')
  return { first, last }
}
