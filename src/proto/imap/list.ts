/** LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8, §6.3.9, §9 rules list, lsub, mailbox-list; RFC 3348 (CHILDREN) */

import { hierarchyDelimiter } from './list-pattern.ts'
import { formatMailbox } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

export interface ListArgs {
  /** Unicode; usually empty. */
  readonly reference: string
  /** Unicode, wildcards in it; empty asks for the delimiter. */
  readonly pattern: string
}

/** `SP mailbox SP list-mailbox CRLF` */
export function readListArgs(input: TokenReader): ListArgs {
  input.sp()
  const reference = input.mailbox()
  input.sp()
  const pattern = input.listMailbox()
  input.end()
  return { reference, pattern }
}

/** `* LIST (\HasNoChildren) "/" Sent`; the name in Unicode. */
export function formatListLine(word: 'LIST' | 'LSUB', attributes: readonly string[], name: string): string {
  return `* ${word} (${attributes.join(' ')}) "${hierarchyDelimiter}" ${formatMailbox(name)}\r\n`
}
