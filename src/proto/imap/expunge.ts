/** UID EXPUNGE. RFC 9051 §6.4.9, RFC 4315 §2.1. EXPUNGE itself has no arguments. */

import type { MessageSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

export interface UidExpungeArgs {
  readonly set: MessageSet
}

/** `SP sequence-set CRLF` */
export function readUidExpungeArgs(input: TokenReader): UidExpungeArgs {
  input.sp()
  const set = input.messageSet()
  input.end()
  return { set }
}
