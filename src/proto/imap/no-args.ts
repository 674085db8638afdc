/** Commands without arguments: CAPABILITY, CHECK, CLOSE, EXPUNGE, IDLE, LOGOUT, NAMESPACE, NOOP, STARTTLS, UNSELECT. RFC 9051 §9 */

import type { TokenReader } from './token-reader.ts'

/** Throws SyntaxFault when anything but CRLF follows. */
export function readNoArgs(input: TokenReader): void {
  input.end()
}
