/** CREATE. RFC 9051 §6.3.4, §9 rule create */

import { hierarchyDelimiter } from './list-pattern.ts'
import { type MailboxArgs, readMailboxArgs } from './mailbox-args.ts'
import type { TokenReader } from './token-reader.ts'

/** `SP mailbox CRLF`; one delimiter at the end, by which a client announces children, is taken off. */
export function readCreateArgs(input: TokenReader): MailboxArgs {
  const { mailbox } = readMailboxArgs(input)
  return { mailbox: mailbox.endsWith(hierarchyDelimiter) ? mailbox.slice(0, -1) : mailbox }
}
