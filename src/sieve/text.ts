/**
 * Sieve's strings are octets that are nearly always UTF-8; here they are JavaScript strings. An octet that is part of no character is the lone surrogate U+DC00 plus
 * the octet, so that nothing is lost on the way there and back.
 */

import { isUtf8 } from 'node:buffer'

const escapes = 0xdc00

export function textOf(octets: Buffer): string {
  if (isUtf8(octets)) return octets.toString()
  let text = ''
  for (let at = 0; at < octets.length; ) {
    const length = characterOctets(octets, at)
    text += length === 0 ? String.fromCharCode(escapes + octets[at]!) : octets.toString('utf8', at, at + length)
    at += length || 1
  }
  return text
}

export function octetsOf(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text)
  const pieces: Buffer[] = []
  for (const piece of text.split(/((?<![\ud800-\udbff])[\udc80-\udcff])/)) {
    const code = piece.charCodeAt(0)
    const isEscape = piece.length === 1 && code >= escapes + 0x80 && code <= escapes + 0xff
    pieces.push(isEscape ? Buffer.of(code - escapes) : Buffer.from(piece))
  }
  return Buffer.concat(pieces)
}

/** The octets, each as one character. */
export const octetString = (text: string): string => (isAscii(text) ? text : octetsOf(text).toString('latin1'))

/** The other way round. */
export const fromOctetString = (octets: string): string =>
  isAscii(octets) ? octets : textOf(Buffer.from(octets, 'latin1'))

export const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text)

/** As text for a person: what is no character becomes U+FFFD. */
export const shown = (text: string): string => text.toWellFormed()

/** Length of the UTF-8 character at `at`, 0: there is none. */
function characterOctets(octets: Buffer, at: number): number {
  const first = octets[at]!
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  return length > 0 && at + length <= octets.length && isUtf8(octets.subarray(at, at + length)) ? length : 0
}
