/**
 * Reverse-paths and forward-paths. RFC 5321 §4.1.2, §4.1.3, with the UTF-8 of RFC 6531 §3.3. Two liberties: a local part may have dots in any place, as addresses in
 * use have them, and the domain may be missing, as mail servers leave it out for their own users.
 */
import { isIP } from 'node:net'
import { SyntaxFault } from '../../base/errors.ts'

export interface MailAddress {
  /** As it was given, without angle brackets and source route. */
  readonly text: string
  /** Without quotes and backslashes. */
  readonly local: string
  /** As it was given; undefined where there is none. An address literal has its brackets. */
  readonly domain: string | undefined
}

/** Octets between the angle brackets: twice what RFC 5321 §4.5.3.1.3 asks for, since rewritten senders (SRS, BATV, VERP) use more. */
const maxPathOctets = 512

/** `<…>` at the beginning of the text, and what follows it. An address of undefined is the null reverse-path, `<>`. Throws SyntaxFault. */
export function readPath(text: string): { readonly address: MailAddress | undefined; readonly rest: string } {
  if (!text.startsWith('<')) throw new SyntaxFault('an address stands in angle brackets: <user@example.org>', 'path')
  const end = endOf(text)
  const inner = text.slice(1, end)
  if (Buffer.byteLength(inner) > maxPathOctets)
    throw new SyntaxFault(`an address may have ${maxPathOctets} octets`, 'path')
  const rest = text.slice(end + 1)
  return { address: inner === '' ? undefined : readMailbox(withoutRoute(inner)), rest }
}

/** Of the angle bracket that closes: one in a quoted string does not. */
function endOf(text: string): number {
  let isQuoted = false
  for (let at = 1; at < text.length; at++) {
    const character = text[at]
    if (character === '"') isQuoted = !isQuoted
    else if (character === '\\') at++
    else if (character === '>' && !isQuoted) return at
  }
  throw new SyntaxFault('the angle bracket of the address does not close', 'path')
}

/** RFC 5321 §4.1.1.3: accepted, and ignored. */
function withoutRoute(inner: string): string {
  if (!inner.startsWith('@')) return inner
  const colon = inner.indexOf(':')
  const hops = inner.slice(0, Math.max(colon, 0)).split(',')
  if (colon < 0 || !hops.every((hop) => hop.startsWith('@') && isDomain(hop.slice(1))))
    throw new SyntaxFault('the source route before the address is none', 'path')
  return inner.slice(colon + 1)
}

function readMailbox(text: string): MailAddress {
  const { local, end } = text.startsWith('"') ? quotedLocal(text) : plainLocal(text)
  if (end === text.length) return { text, local, domain: undefined }
  const domain = text.slice(end + 1)
  if (text[end] !== '@' || !(isDomain(domain) || isLiteral(domain)))
    throw new SyntaxFault('what is behind the @ of the address is neither a domain nor an address literal', 'path')
  return { text, local, domain }
}

function plainLocal(text: string): { readonly local: string; readonly end: number } {
  const at = text.indexOf('@')
  const end = at < 0 ? text.length : at
  const local = text.slice(0, end)
  // atext of RFC 5322 §3.2.3, UTF8-non-ascii, and dots.
  if (!/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u{80}-\u{10ffff}-]+$/u.test(local))
    throw new SyntaxFault('the name in the address has a character that needs quotes, or is empty', 'path')
  return { local, end }
}

function quotedLocal(text: string): { readonly local: string; readonly end: number } {
  let local = ''
  for (let at = 1; at < text.length; at++) {
    let character = text[at]!
    if (character === '"') return { local, end: at + 1 }
    if (character === '\\') character = text[++at] ?? ''
    if (character < ' ' || character === '\x7f') break
    local += character
  }
  throw new SyntaxFault('the quoted name in the address is not one', 'path')
}

/** Names in use have underscores too; U-labels: RFC 6531 §3.3. */
const isDomain = (text: string): boolean =>
  text.length <= 255 &&
  text.split('.').every((label) => label.length <= 63 && /^[A-Za-z0-9_\u{80}-\u{10ffff}-]+$/u.test(label))

/** RFC 5321 §4.1.3. Of the tagged ones IPv6 alone is registered. */
function isLiteral(text: string): boolean {
  const inner = /^\[(.*)\]$/.exec(text)?.[1]
  if (inner === undefined) return false
  return /^ipv6:/i.test(inner) ? isIP(inner.slice(5)) === 6 : isIP(inner) === 4
}
