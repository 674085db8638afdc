/** REPLACE's first argument; what follows is APPEND's. RFC 8508 §5 */

import type { SequenceSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

/** `SP seq-number`: a set of one. */
export function readReplaced(input: TokenReader): SequenceSet {
  input.sp()
  const set = input.sequenceSet()
  const [range] = set
  if (range === undefined || set.length > 1 || range.first !== range.last)
    throw input.fault('replace', 'the number of one message before it')
  return set
}
