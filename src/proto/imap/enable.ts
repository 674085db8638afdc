/** ENABLE. RFC 9051 §6.3.1, RFC 5161 */

import type { TokenReader } from './token-reader.ts'

export interface EnableArgs {
  /** Upper case, as the client ordered them. */
  readonly capabilities: readonly string[]
}

/** `1*(SP capability) CRLF` */
export function readEnableArgs(input: TokenReader): EnableArgs {
  const capabilities: string[] = []
  do {
    input.sp()
    capabilities.push(input.keyword('capability'))
  } while (input.peek() !== '')
  return { capabilities }
}

/** "* ENABLED CONDSTORE" of those that this command enabled. */
export function formatEnabled(capabilities: readonly string[]): string {
  return `* ${['ENABLED', ...capabilities].join(' ')}\r\n`
}
