/** COMPRESS. RFC 4978 §5 */

import type { TokenReader } from './token-reader.ts'

export interface CompressArgs {
  /** Upper case, of whatever mechanism. */
  readonly algorithm: string
}

/** `SP algorithm CRLF` */
export function readCompressArgs(input: TokenReader): CompressArgs {
  input.sp()
  const algorithm = input.atom('algorithm').toUpperCase()
  input.end()
  return { algorithm }
}
