/**
 * Mailbox names between the wire's modified UTF-7 (RFC 3501 §5.1.3) or UTF-8 (RFC 6855 §3) and Unicode. Decoding is strict, so that every name
 * has one spelling only: what is accepted here encodes to exactly the same octets again.
 */

import { isUtf8 } from 'node:buffer'
import { SyntaxFault } from '../../base/errors.ts'

/** How a session spells mailbox names: UTF-8 once the client enabled it. */
export type NameSpelling = 'UTF-7' | 'UTF-8'

/** The command is well-formed, but no mailbox can have the name: NO rather than BAD. The reader stands behind the name. */
export class MailboxNameFault extends SyntaxFault {
  constructor(rule: string, spelling: NameSpelling) {
    super(
      spelling === 'UTF-8'
        ? 'Mailbox name is not in UTF-8'
        : 'Mailbox name is not in modified UTF-7 ("&" alone is written "&-")',
      rule,
    )
  }
}

const base64Name = /^[A-Za-z0-9+,]+$/

/** Unicode of a name; undefined when it is not in the one legal spelling (in modified UTF-7, 8-bit octets among that). */
export function decodeMailboxName(octets: string, spelling: NameSpelling = 'UTF-7'): string | undefined {
  if (spelling === 'UTF-8') return decodeUtf8(octets)
  let name = ''
  let at = 0
  while (at < octets.length) {
    const shift = octets.indexOf('&', at)
    name += octets.slice(at, shift < 0 ? octets.length : shift)
    if (shift < 0) break
    const end = octets.indexOf('-', shift)
    if (end < 0) return undefined
    const code = octets.slice(shift + 1, end)
    const part = code === '' ? '&' : base64Name.test(code) ? decodeRun(code) : undefined
    if (part === undefined) return undefined
    name += part
    at = end + 1
  }
  // One spelling: no base64 for printable ASCII, no needless shift, no bits left over, no unprintable octet unencoded.
  return name.isWellFormed() && encodeMailboxName(name) === octets ? name : undefined
}

/** Text of UTF-8 octets in latin1; undefined when they are none. */
export function decodeUtf8(octets: string): string | undefined {
  if (/^[\0-\x7f]*$/.test(octets)) return octets
  const raw = Buffer.from(octets, 'latin1')
  return isUtf8(raw) ? raw.toString('utf8') : undefined
}

/** Of a Unicode name the octets in latin1; modified UTF-7 is pure ASCII, without CR, LF and NUL whatever the name holds. */
export function encodeMailboxName(name: string, spelling: NameSpelling = 'UTF-7'): string {
  if (spelling === 'UTF-8') return Buffer.from(name).toString('latin1')
  return name.replace(/&|[^\x20-\x7e]+/g, (run) => (run === '&' ? '&-' : `&${encodeRun(run)}-`))
}

/** INBOX in any case, alone or as the first level, in upper case. RFC 9051 §5.1 */
export function foldInbox(name: string): string {
  return /^inbox(?![^/])/i.test(name) ? `INBOX${name.slice(5)}` : name
}

function decodeRun(code: string): string {
  const octets = Buffer.from(code.replaceAll(',', '/'), 'base64')
  return octets
    .subarray(0, octets.length & ~1)
    .swap16()
    .toString('utf16le')
}

function encodeRun(run: string): string {
  return Buffer.from(run, 'utf16le').swap16().toString('base64').replaceAll('/', ',').replace(/=+$/, '')
}
