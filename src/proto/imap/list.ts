/** LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8, §6.3.9, §9 rules list, lsub, mailbox-list; RFC 3348 (CHILDREN) */

import { hierarchyDelimiter } from './list-pattern.ts'
import { MailboxNameFault } from './mailbox-name.ts'
import { formatMailbox } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

export interface ListArgs {
  /** Unicode; usually empty. */
  readonly reference: string
  /** Unicode, wildcards in it; empty asks for the delimiter. */
  readonly pattern: string
}

/** `SP mailbox SP list-mailbox CRLF`; undefined when no mailbox can have such a name. */
export function readListArgs(input: TokenReader): ListArgs | undefined {
  input.sp()
  const reference = findName(() => input.mailbox())
  input.sp()
  const pattern = findName(() => input.listMailbox())
  input.end()
  return reference === undefined || pattern === undefined ? undefined : { reference, pattern }
}

function findName(read: () => string): string | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof MailboxNameFault) return undefined
    throw error
  }
}

/** `* LIST (\HasNoChildren) "/" Sent`; the name in Unicode. */
export function formatListLine(word: 'LIST' | 'LSUB', attributes: readonly string[], name: string): string {
  return `* ${word} (${attributes.join(' ')}) "${hierarchyDelimiter}" ${formatMailbox(name)}\r\n`
}
