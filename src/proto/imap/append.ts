/** APPEND's arguments and the APPENDUID code. RFC 9051 §6.3.12, §9 rules append, resp-code-apnd; RFC 4315 §3 */

import type { Uid } from '../../base/ids.ts'
import type { TokenReader } from './token-reader.ts'

export interface AppendHead {
  /** Unicode, INBOX folded. */
  readonly mailbox: string
  readonly flags: readonly string[]
  /** INTERNALDATE in seconds since 1970; undefined: now. */
  readonly internalDate: number | undefined
}

/** `SP mailbox [SP flag-list] [SP date-time] SP` of an 'append' event; the message literal stands behind. */
export function readAppendHead(input: TokenReader): AppendHead {
  input.sp()
  const mailbox = input.mailbox()
  input.sp()
  let flags: readonly string[] = []
  if (input.peek() === '(') {
    flags = input.flagList()
    input.sp()
  }
  let internalDate: number | undefined
  if (input.peek() === '"') {
    internalDate = input.dateTime()
    input.sp()
  }
  if (input.peek() !== '')
    throw input.fault('append', 'flags in parentheses, a quoted date or the message as a literal')
  return { mailbox, flags, internalDate }
}

/** `APPEND` that came as a plain command, that is without a message literal: always a fault, the most telling one. */
export function readAppendWithoutLiteral(input: TokenReader): never {
  readAppendHead(input)
  throw input.fault('append', 'the message as a literal')
}

/** "APPENDUID 38505 3955", without brackets. */
export function formatAppendUid(uidValidity: number, uid: Uid): string {
  return `APPENDUID ${uidValidity} ${uid}`
}
