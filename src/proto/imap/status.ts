/** STATUS. RFC 9051 §6.3.11, RFC 3501 §6.3.10, §9 rules status, status-att, status-att-list; RFC 9208 §4.1.4, RFC 8438 §3, RFC 7889 §5, RFC 8474 §7, RFC 7162 §3.1.7 */

import type { NameSpelling } from './mailbox-name.ts'
import { formatMailbox } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

const statusItems = [
  'MESSAGES',
  'RECENT',
  'UIDNEXT',
  'UIDVALIDITY',
  'UNSEEN',
  'DELETED',
  'DELETED-STORAGE',
  'SIZE',
  'APPENDLIMIT',
  'MAILBOXID',
  'HIGHESTMODSEQ',
] as const
export type StatusItem = (typeof statusItems)[number]

export type StatusValues = readonly (readonly [item: StatusItem, value: number | string])[]

export interface StatusArgs {
  readonly mailbox: string
  /** Each once, in the client's order. */
  readonly items: readonly StatusItem[]
}

/** `SP mailbox SP "(" status-att *(SP status-att) ")" CRLF` */
export function readStatusArgs(input: TokenReader): StatusArgs {
  input.sp()
  const mailbox = input.mailbox()
  input.sp()
  const items = readStatusItems(input)
  input.end()
  return { mailbox, items }
}

/** `"(" status-att *(SP status-att) ")"`; each once. */
export function readStatusItems(input: TokenReader): readonly StatusItem[] {
  const items = input.parenthesised('status-att', () => {
    const word = input.keyword('status-att')
    const item = statusItems.find((known) => known === word)
    if (item === undefined) throw input.tokenFault('status-att', `${statusItems.join(', ')}`)
    return item
  })
  return [...new Set(items)]
}

/** `* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)`; the name in Unicode. */
export function formatStatus(spelling: NameSpelling, mailbox: string, values: StatusValues): string {
  const list = values.map(([item, value]) => `${item} ${value}`).join(' ')
  return `* STATUS ${formatMailbox(mailbox, spelling)} (${list})\r\n`
}
