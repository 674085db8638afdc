/** LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8, §6.3.9, §9 rules list, lsub, mailbox-list; RFC 3348 (CHILDREN), RFC 6154 (SPECIAL-USE) */

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

/** Of LIST. */
export interface ExtendedListArgs extends ListArgs {
  /** Only mailboxes with a use are wanted. */
  readonly onlySpecialUse: boolean
}

/**
 * `[SP "(SPECIAL-USE)"] SP mailbox SP list-mailbox [SP "RETURN" SP "(" options ")"] CRLF`, options: SPECIAL-USE and CHILDREN, which are returned
 * anyway. RFC 6154 §2, §6. Undefined when no mailbox can have such a name.
 */
export function readExtendedListArgs(input: TokenReader): ExtendedListArgs | undefined {
  input.sp()
  const onlySpecialUse = input.peek() === '('
  if (onlySpecialUse) {
    readOptions(input, 'list-select-opt', ['SPECIAL-USE'])
    input.sp()
  }
  const args = readNames(input)
  if (input.tryChar(' ')) {
    if (!input.tryWord('RETURN')) throw input.fault('list-return-opts', 'RETURN')
    input.sp()
    readOptions(input, 'return-option', ['SPECIAL-USE', 'CHILDREN'])
  }
  input.end()
  return args === undefined ? undefined : { ...args, onlySpecialUse }
}

function readOptions(input: TokenReader, rule: string, known: readonly string[]): void {
  input.char('(', rule)
  while (!input.tryChar(')')) {
    if (!known.includes(input.keyword(rule))) throw input.tokenFault(rule, known.join(' or '))
    if (input.peek() !== ')') input.sp()
  }
}

/** `SP mailbox SP list-mailbox CRLF`; undefined when no mailbox can have such a name. */
export function readListArgs(input: TokenReader): ListArgs | undefined {
  input.sp()
  const args = readNames(input)
  input.end()
  return args
}

function readNames(input: TokenReader): ListArgs | undefined {
  const reference = findName(() => input.mailbox())
  input.sp()
  const pattern = findName(() => input.listMailbox())
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
