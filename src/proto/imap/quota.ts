/** GETQUOTA, GETQUOTAROOT, SETQUOTA and their responses. RFC 9208 §7, RFC 2087 */

import type { NameSpelling } from './mailbox-name.ts'
import { formatAstring, formatMailbox } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

export interface SetQuotaArgs {
  /** Octets in latin1. */
  readonly root: string
  /** By resource in upper case, each once. */
  readonly limits: ReadonlyMap<string, number>
}

/** `SP quota-root-name CRLF`; octets in latin1. */
export function readGetQuotaArgs(input: TokenReader): string {
  input.sp()
  const root = input.astring('quota-root-name')
  input.end()
  return root
}

/** `SP mailbox CRLF`; Unicode. */
export function readGetQuotaRootArgs(input: TokenReader): string {
  input.sp()
  const mailbox = input.mailbox()
  input.end()
  return mailbox
}

/** `SP quota-root-name SP "(" [setquota-resource *(SP setquota-resource)] ")" CRLF` */
export function readSetQuotaArgs(input: TokenReader): SetQuotaArgs {
  input.sp()
  const root = input.astring('quota-root-name')
  input.sp()
  input.char('(', 'setquota-list')
  const limits = new Map<string, number>()
  while (!input.tryChar(')')) {
    if (limits.size > 0) input.sp()
    const name = input.keyword('resource-name')
    if (limits.has(name)) throw input.tokenFault('setquota-list', 'each resource once')
    input.sp()
    limits.set(name, input.number64('resource-limit'))
  }
  input.end()
  return { root, limits }
}

export interface ResourceUse {
  readonly name: 'STORAGE' | 'MESSAGE'
  readonly usage: number
  readonly limit: number
}

/** `* QUOTA user/anna (STORAGE 10 512)`; of the resources that have a limit. */
export function formatQuota(root: string, resources: readonly ResourceUse[]): string {
  const list = resources.map(({ name, usage, limit }) => `${name} ${usage} ${limit}`).join(' ')
  return `* QUOTA ${formatAstring(root)} (${list})\r\n`
}

/** `* QUOTAROOT INBOX user/anna`; the mailbox in Unicode. */
export function formatQuotaRoots(spelling: NameSpelling, mailbox: string, roots: readonly string[]): string {
  return `* QUOTAROOT ${[formatMailbox(mailbox, spelling), ...roots.map(formatAstring)].join(' ')}\r\n`
}
