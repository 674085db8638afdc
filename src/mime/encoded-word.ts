/** Header text with its encoded words decoded. RFC 2047, with the language of RFC 2231 §5 */

import { decodeCharset, decodeUnlabelled } from './charset.ts'
import { decodeTransfer } from './transfer.ts'

/** `=?charset[*language]?encoding?text?=`. No part of it can hold a '?' or white space, so matching is linear. */
const encodedWord = /=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bq])\?([^?\s]*)\?=/gi

interface Word {
  /** As it stands. */
  readonly raw: string
  readonly charset: string
  readonly octets: Buffer
}

/**
 * The text of an unfolded field body (octets in latin1). Words in an unknown charset stay as they are; 8-bit octets outside of words
 * are read as UTF-8 where they can be. White space between two encoded words is not part of the text (RFC 2047 §6.2). Neighbours of
 * one charset are decoded together, because writers split characters between them.
 */
export function decodeEncodedWords(value: string): string {
  let text = ''
  let end = 0
  let words: Word[] = []
  for (const match of value.matchAll(encodedWord)) {
    const between = value.slice(end, match.index)
    const word = readWord(match)
    const isNeighbour = words.length > 0 && between.trim() === ''
    if (!isNeighbour || words[0]!.charset !== word.charset) {
      text += decodeWords(words)
      words = []
    }
    if (!isNeighbour) text += decodePlain(between)
    words.push(word)
    end = match.index + match[0].length
  }
  return text + decodeWords(words) + decodePlain(value.slice(end))
}

function readWord([raw, charset, encoding, text]: RegExpExecArray): Word {
  const octets =
    encoding!.toLowerCase() === 'b'
      ? decodeTransfer(Buffer.from(text!, 'latin1'), 'base64')
      : decodeTransfer(Buffer.from(text!.replaceAll('_', ' '), 'latin1'), 'quoted-printable')
  return { raw, charset: charset!.toLowerCase(), octets }
}

function decodeWords(words: readonly Word[]): string {
  const first = words[0]
  if (first === undefined) return ''
  const octets = Buffer.concat(words.map((word) => word.octets))
  return decodeCharset(octets, first.charset) ?? words.map((word) => word.raw).join(' ')
}

function decodePlain(octets: string): string {
  return /[\x80-\xff]/.test(octets) ? decodeUnlabelled(Buffer.from(octets, 'latin1')) : octets
}
