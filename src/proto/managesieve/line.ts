/** One line, or the part of it up to a literal: a client's tokens have single spaces between them, a server's any number. RFC 5804 §4 */

import { SyntaxFault } from '../../base/errors.ts'
import type { Speaker, Token } from './token.ts'

/** Between the quotes; a few clients send long SASL responses so. §4: 1024 */
const maxQuotedOctets = 8_192
const maxAtomOctets = 1_024
const maxTokens = 16

const [space, quote, backslash, brace] = [0x20, 0x22, 0x5c, 0x7b]
const literalPattern = /^\{(0|[1-9][0-9]{0,9})\+?\}$/

export interface Part {
  readonly tokens: readonly Token[]
  /** Octets of the literal that comes next; undefined: the line is complete. */
  readonly literal: number | undefined
}

/** `octets` without their CRLF. A literal is {n+}; also {n}, which only servers may send, from clients that do. Throws SyntaxFault. */
export function readLine(octets: Buffer, speaker: Speaker = 'client'): Part {
  const tokens: Token[] = []
  let at = 0
  while (at < octets.length) {
    if (speaker === 'server' && octets[at] === space) {
      at += 1
      continue
    }
    if (tokens.length === maxTokens) throw new SyntaxFault('there are too many arguments', 'command')
    if (speaker === 'server' && isParenthesis(octets[at]!)) {
      tokens.push({ type: 'parenthesis', text: octets[at] === 0x28 ? '(' : ')' })
      at += 1
      continue
    }
    if (octets[at] === brace) return { tokens, literal: literalAt(octets, at) }
    const [token, end] = octets[at] === quote ? quotedAt(octets, at) : atomAt(octets, at)
    tokens.push(token)
    at = end
    if (at === octets.length) break
    if (speaker === 'server') continue
    if (octets[at] !== space || at + 1 === octets.length)
      throw new SyntaxFault('one space is expected between arguments, and none behind the last', 'command')
    at += 1
  }
  return { tokens, literal: undefined }
}

function literalAt(octets: Buffer, at: number): number {
  const found = literalPattern.exec(octets.toString('latin1', at, at + 16))
  const count = Number(found?.[1] ?? Number.NaN)
  if (found === null || at + found[0].length !== octets.length || !(count <= 0xffffffff))
    throw new SyntaxFault('a literal is {number+}, at the end of a line', 'literal-c2s')
  return count
}

function quotedAt(octets: Buffer, start: number): readonly [Token, number] {
  const held = Buffer.alloc(Math.min(octets.length - start, maxQuotedOctets))
  let length = 0
  for (let at = start + 1; at < octets.length; at += 1) {
    let octet = octets[at]!
    if (octet === quote) return [{ type: 'string', octets: held.subarray(0, length) }, at + 1]
    if (octet === backslash) {
      at += 1
      octet = octets[at] ?? 0
      if (octet !== quote && octet !== backslash)
        throw new SyntaxFault('a backslash in a quoted string comes before a quote or a backslash only', 'quoted')
    }
    if (octet === 0 || octet === 0x0d)
      throw new SyntaxFault('a quoted string has no NUL and no line end: use a literal', 'quoted')
    if (length === maxQuotedOctets) throw new SyntaxFault('a quoted string is too long: use a literal', 'quoted')
    held[length++] = octet
  }
  throw new SyntaxFault('a quoted string does not end in its line: use a literal for what has line ends', 'quoted')
}

function atomAt(octets: Buffer, start: number): readonly [Token, number] {
  let at = start
  while (at < octets.length && isAtomChar(octets[at]!)) at += 1
  if (at === start || at - start > maxAtomOctets)
    throw new SyntaxFault('a word, a number, a quoted string or a literal is expected', 'atom')
  return [{ type: 'atom', text: octets.toString('latin1', start, at) }, at]
}

/** §4 ATOM-CHAR */
const isAtomChar = (octet: number): boolean =>
  octet > space && octet < 0x7f && octet !== quote && octet !== backslash && octet !== brace && !isParenthesis(octet)

const isParenthesis = (octet: number): boolean => octet === 0x28 || octet === 0x29
