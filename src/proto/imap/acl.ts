/** Access control lists on the wire. RFC 4314 §3, §7 */

import type { NameSpelling } from './mailbox-name.ts'
import { formatAstring, formatMailbox } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

export interface IdentifierArgs {
  /** Unicode, INBOX folded. */
  readonly mailbox: string
  /** Decoded from UTF-8. */
  readonly identifier: string
}

export interface SetAclArgs extends IdentifierArgs {
  readonly mode: 'set' | 'add' | 'remove'
  /** Letters, not looked at. */
  readonly rights: string
}

/** DELETEACL, LISTRIGHTS: `SP mailbox SP identifier CRLF` */
export function readIdentifierArgs(input: TokenReader): IdentifierArgs {
  const args = readNames(input)
  input.end()
  return args
}

/** SETACL: `SP mailbox SP identifier SP mod-rights CRLF` */
export function readSetAclArgs(input: TokenReader): SetAclArgs {
  const args = readNames(input)
  input.sp()
  const given = input.astringText('mod-rights')
  input.end()
  const mode = given.startsWith('+') ? 'add' : given.startsWith('-') ? 'remove' : 'set'
  return { ...args, mode, rights: mode === 'set' ? given : given.slice(1) }
}

function readNames(input: TokenReader): IdentifierArgs {
  input.sp()
  const mailbox = input.mailbox()
  input.sp()
  return { mailbox, identifier: input.astringText('identifier') }
}

/** `* ACL INBOX fred lrswi`; names in Unicode. */
export function formatAcl(
  spelling: NameSpelling,
  mailbox: string,
  entries: readonly (readonly [identifier: string, rights: string])[],
): string {
  const list = entries.map(([identifier, rights]) => ` ${formatText(identifier)} ${formatAstring(rights)}`)
  return `* ACL ${formatMailbox(mailbox, spelling)}${list.join('')}\r\n`
}

/** `* LISTRIGHTS INBOX fred "" l r s`: what the identifier always has, then what can be given to it. */
export function formatListRights(
  spelling: NameSpelling,
  mailbox: string,
  identifier: string,
  required: string,
  optional: readonly string[],
): string {
  const rights = [required, ...optional].map((letters) => (letters === '' ? '""' : formatAstring(letters)))
  return `* LISTRIGHTS ${formatMailbox(mailbox, spelling)} ${formatText(identifier)} ${rights.join(' ')}\r\n`
}

/** `* MYRIGHTS INBOX lrs` */
export function formatMyRights(spelling: NameSpelling, mailbox: string, rights: string): string {
  return `* MYRIGHTS ${formatMailbox(mailbox, spelling)} ${formatAstring(rights)}\r\n`
}

const formatText = (text: string) => formatAstring(Buffer.from(text).toString('latin1'))
