/** LOGIN. RFC 9051 §6.2.3, §9 rules login, userid, password */

import type { TokenReader } from './token-reader.ts'

export interface LoginArgs {
  /** Decoded from UTF-8. */
  readonly user: string
  readonly password: Buffer
}

/** `SP userid SP password CRLF` */
export function readLoginArgs(input: TokenReader): LoginArgs {
  input.sp()
  const user = input.astringText('userid')
  input.sp()
  const password = input.astringOctets('password')
  input.end()
  return { user, password }
}
