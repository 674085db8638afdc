/** What texts are equal and which comes first. RFC 4790 §9, RFC 5051 */

import { titleCase, unicodeCasemap } from '../mime/unicode-casemap.ts'
import type { Comparator } from './language.ts'
import { isAscii, octetsOf } from './text.ts'

export const octet: Comparator = {
  name: 'i;octet',
  fold: (text) => text,
  order: byOctets,
  substring: true,
  character: 'octet',
}

/** The default. RFC 4790 §9.2: letters of US-ASCII count as their upper-case forms. */
export const asciiCasemap: Comparator = {
  name: 'i;ascii-casemap',
  fold: asciiUpper,
  order: (a, b) => byOctets(asciiUpper(a), asciiUpper(b)),
  substring: true,
  character: 'octet',
}

/** RFC 4790 §9.1: what begins with no digit is more than every number, and equal to its kind. Numbers may be of any length. */
export const asciiNumeric: Comparator = {
  name: 'i;ascii-numeric',
  fold: digitsOf,
  order: (a, b) => byNumber(digitsOf(a), digitsOf(b)),
  substring: false,
  character: 'octet',
}

export const unicode: Comparator = {
  name: 'i;unicode-casemap',
  fold: unicodeCasemap,
  order: (a, b) => byOctets(unicodeCasemap(a), unicodeCasemap(b)),
  substring: true,
  character: 'code-point',
}

export function asciiUpper(text: string): string {
  return isAscii(text) ? text.toUpperCase() : text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}

/**
 * For comparators that look at characters: the text in composed form, and the same with its characters folded one for one, so that what is found in the second can be cut out of the
 * first.
 */
export function foldedCharacters(text: string): { readonly plain: string; readonly folded: string } {
  if (isAscii(text)) return { plain: text, folded: text.toUpperCase() }
  const plain = text.normalize('NFKC')
  let folded = ''
  for (const char of plain) {
    const title = char < '\x80' ? char.toUpperCase() : titleCase(char)
    folded += title.length === char.length ? title : char
  }
  return { plain, folded }
}

/** '' for what is no number. */
function digitsOf(text: string): string {
  let end = 0
  while (text.charCodeAt(end) >= 0x30 && text.charCodeAt(end) <= 0x39) end++
  if (end === 0) return ''
  let start = 0
  while (start < end - 1 && text[start] === '0') start++
  return text.slice(start, end)
}

function byNumber(a: string, b: string): number {
  if (a === '' || b === '') return Number(a === '') - Number(b === '')
  return a.length - b.length || byUnits(a, b)
}

/** UTF-16 and UTF-8 order texts alike as long as there are no surrogates. */
function byOctets(a: string, b: string): number {
  return hasSurrogates(a) || hasSurrogates(b) ? octetsOf(a).compare(octetsOf(b)) : byUnits(a, b)
}

const byUnits = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const hasSurrogates = (text: string) => /[\ud800-\udfff]/.test(text)
