/** RENAME. RFC 9051 §6.3.6, §9 rule rename */

import { hierarchyDelimiter } from './list-pattern.ts'
import type { TokenReader } from './token-reader.ts'

export interface RenameArgs {
  /** Unicode, INBOX folded. */
  readonly from: string
  /** Likewise, without delimiter at the end. */
  readonly to: string
}

/** `SP mailbox SP mailbox CRLF` */
export function readRenameArgs(input: TokenReader): RenameArgs {
  input.sp()
  const from = input.mailbox()
  input.sp()
  const to = input.mailbox()
  input.end()
  return { from, to: to.endsWith(hierarchyDelimiter) ? to.slice(0, -1) : to }
}
