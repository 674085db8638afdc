/** What a server says, as octets. RFC 5804 §1.2, §1.3, §4 */
import type { Speaker } from './token.ts'

/** In octets; longer strings are sent as literals. */
const maxQuotedOctets = 1_024

/** A quoted string where it can be one, else a literal, which has a `+` when a client sends it. */
export function formatString(value: string | Uint8Array, speaker: Speaker = 'server'): Buffer {
  const octets =
    typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.length)
  if (octets.length > maxQuotedOctets || octets.some((octet) => octet === 0 || octet === 0x0d || octet === 0x0a))
    return formatLiteral(octets, speaker)
  const escaped = octets.toString('latin1').replace(/["\\]/g, '\\$&')
  return Buffer.from(`"${escaped}"`, 'latin1')
}

export function formatLiteral(octets: Uint8Array, speaker: Speaker = 'server'): Buffer {
  return Buffer.concat([Buffer.from(`{${octets.length}${speaker === 'client' ? '+' : ''}}\r\n`), octets])
}

/** Codes with no argument; TAG and SASL are given theirs. */
export type ResponseCode =
  | 'ACTIVE'
  | 'ALREADYEXISTS'
  | 'AUTH-TOO-WEAK'
  | 'ENCRYPT-NEEDED'
  | 'NONEXISTENT'
  | 'QUOTA'
  | 'QUOTA/MAXSCRIPTS'
  | 'QUOTA/MAXSIZE'
  | 'TRYLATER'
  | 'WARNINGS'
  | { readonly tag: Uint8Array }

/** The line that ends an answer. `text` for people, any characters. */
export function formatResponse(status: 'OK' | 'NO' | 'BYE', text?: string, code?: ResponseCode): Buffer {
  const parts: (string | Buffer)[] = [status]
  if (code !== undefined)
    parts.push(...(typeof code === 'string' ? [` (${code})`] : [' (TAG ', formatString(code.tag), ')']))
  if (text !== undefined) parts.push(' ', formatString(text))
  return Buffer.concat([...parts, '\r\n'].map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
}

/** A line of capabilities: its name, and its value where it has one. §1.7 */
export function formatCapability(name: string, value?: string): Buffer {
  return Buffer.concat([
    formatString(name),
    ...(value === undefined ? [] : [Buffer.from(' '), formatString(value)]),
    Buffer.from('\r\n'),
  ])
}

/** A challenge of AUTHENTICATE, as a literal: Cyrus's sivtest knows no other. §2.1 */
export function formatChallenge(challenge: Uint8Array): string {
  const text = Buffer.from(challenge).toString('base64')
  return `{${text.length}}\r\n${text}\r\n`
}
