/** CREATE. RFC 9051 §6.3.4, §9 rule create; RFC 4466 §2.2 rule create-param, RFC 6154 §6 rule create-param */

import { hierarchyDelimiter } from './list-pattern.ts'
import type { TokenReader } from './token-reader.ts'

export interface CreateArgs {
  /** Unicode, INBOX folded. */
  readonly mailbox: string
  /** What it is to be used for, each once, as the client spells them: `\Sent`. */
  readonly uses: readonly string[]
}

/** `SP mailbox [SP "(" create-param *(SP create-param) ")"] CRLF`; one delimiter at the end of the name, by which a client announces children, is taken off. */
export function readCreateArgs(input: TokenReader): CreateArgs {
  input.sp()
  const mailbox = input.mailbox()
  const uses = input.tryChar(' ') ? input.parenthesised('create-param', () => readParam(input)).flat() : []
  input.end()
  return {
    mailbox: mailbox.endsWith(hierarchyDelimiter) ? mailbox.slice(0, -1) : mailbox,
    uses: [...new Set(uses)],
  }
}

function readParam(input: TokenReader): readonly string[] {
  if (input.keyword('create-param') !== 'USE') throw input.tokenFault('create-param', 'USE')
  input.sp()
  const readUse = () => {
    input.char('\\', 'use-attr')
    return `\\${input.atom('use-attr')}`
  }
  return input.parenthesised('use-attr', readUse, { empty: true })
}
