/** COPY's and MOVE's arguments and the COPYUID code. RFC 9051 §6.4.7, §6.4.8, §9 rules copy, move, resp-code-copy; RFC 4315 §3, RFC 6851 §3 */

import type { Uid } from '../../base/ids.ts'
import { formatNumbers, type MessageSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

export interface CopyArgs {
  readonly set: MessageSet
  /** Unicode, INBOX folded. */
  readonly mailbox: string
}

/** `SP sequence-set SP mailbox CRLF` */
export function readCopyArgs(input: TokenReader): CopyArgs {
  input.sp()
  const set = input.messageSet()
  input.sp()
  const mailbox = input.mailbox()
  input.end()
  return { set, mailbox }
}

/** source[i] became target[i]. Not for no messages: a uid-set can't be empty, the code is then left out. */
export function formatCopyUid(uidValidity: number, pairs: readonly (readonly [source: Uid, target: Uid])[]): string {
  const sources = formatNumbers(pairs.map(([source]) => source))
  const targets = formatNumbers(pairs.map(([, target]) => target))
  return `COPYUID ${uidValidity} ${sources} ${targets}`
}
