/** Commands whose argument is one mailbox: DELETE, EXAMINE, SELECT, SUBSCRIBE, UNSUBSCRIBE. RFC 9051 §9 */

import type { TokenReader } from './token-reader.ts'

export interface MailboxArgs {
  /** Unicode, INBOX folded. */
  readonly mailbox: string
}

/** `SP mailbox CRLF` */
export function readMailboxArgs(input: TokenReader): MailboxArgs {
  input.sp()
  const mailbox = input.mailbox()
  input.end()
  return { mailbox }
}
