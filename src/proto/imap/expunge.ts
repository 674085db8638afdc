/** UID EXPUNGE. RFC 9051 §6.4.9, RFC 4315 §2.1. EXPUNGE itself has no arguments. */

import type { SequenceSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

export interface UidExpungeArgs {
  readonly set: SequenceSet
}

/** `SP sequence-set CRLF` */
export function readUidExpungeArgs(input: TokenReader): UidExpungeArgs {
  input.sp()
  const set = input.sequenceSet()
  input.end()
  return { set }
}
