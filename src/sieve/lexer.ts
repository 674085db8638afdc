/**
 * Tokens of a script. RFC 5228 §8.1. Lines may also end in LF alone, as files of most editors do; in strings every line end is CRLF.
 */

import { isUtf8 } from 'node:buffer'
import { scriptLimits } from './limits.ts'
import type { Position, ScriptProblem } from './types.ts'

export type Token = Position &
  (
    | { readonly type: 'identifier' | 'tag'; readonly text: string }
    | { readonly type: 'string'; readonly text: string }
    | { readonly type: 'number'; readonly value: number }
    | { readonly type: ';' | '{' | '}' | '(' | ')' | '[' | ']' | ',' | 'end' }
  )

/** What can't be read any further. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
  readonly problem: ScriptProblem

  constructor(problem: ScriptProblem) {
    super(problem.text)
    this.problem = problem
  }
}

const punctuation: ReadonlySet<string> = new Set([';', '{', '}', '(', ')', '[', ']', ','])
const quantifiers: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

export class ScriptLexer {
  readonly #text: string
  readonly #hasPairs: boolean
  #at = 0
  #line = 1
  #lineStart = 0
  #strings = 0

  /** Throws `Unreadable` for octets that no script consists of. */
  constructor(octets: Uint8Array) {
    if (octets.length > scriptLimits.scriptOctets)
      throw new Unreadable({
        line: 1,
        column: 1,
        text: `the script has ${octets.length} octets; make it shorter than ${scriptLimits.scriptOctets}`,
      })
    const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
    this.#text = buffer.toString('utf8')
    this.#hasPairs = /[\ud800-\udfff]/.test(this.#text)
    if (!isUtf8(octets))
      this.#unreadable(firstBadCharacter(buffer, this.#text), 'this is no UTF-8: save the script as UTF-8')
    const nul = this.#text.indexOf('\0')
    if (nul >= 0) this.#unreadable(nul, 'a NUL character: remove it')
    if (this.#text.startsWith('\ufeff')) this.#at = this.#lineStart = 1
  }

  next(): Token {
    this.#skipWhite()
    const start = this.#at
    const { line, column } = this.#position(start)
    const char = this.#text[start]
    if (char === undefined) return { line, column, type: 'end' }
    if (punctuation.has(char)) {
      this.#at++
      return { line, column, type: char as ';' }
    }
    const position = { line, column }
    if (char === '"') return { line, column, type: 'string', text: this.#quoted(position) }
    if (isDigit(char)) return { line, column, type: 'number', value: this.#number(position) }
    if (char === ':') {
      this.#at++
      const text = this.#word()
      if (text === '') throw unreadable(position, '":" begins a tag such as :contains: put a name behind it')
      return { line, column, type: 'tag', text: text.toLowerCase() }
    }
    const word = this.#word()
    if (word === '') throw unreadable(position, `"${shownCharacter(this.#text, start)}" can't stand here`)
    if (word.toLowerCase() === 'text' && this.#text[this.#at] === ':')
      return { line, column, type: 'string', text: this.#multiLine(position) }
    return { line, column, type: 'identifier', text: word }
  }

  #position(offset: number): Position {
    const column = this.#hasPairs ? [...this.#text.slice(this.#lineStart, offset)].length : offset - this.#lineStart
    return { line: this.#line, column: column + 1 }
  }

  /** At any offset: the lines before it are counted. */
  #unreadable(offset: number, text: string): never {
    const before = this.#text.slice(0, offset)
    const line = before.split('\n')
    throw unreadable({ line: line.length, column: [...line.at(-1)!].length + 1 }, text)
  }

  #skipWhite(): void {
    for (;;) {
      const char = this.#text[this.#at]
      if (char === ' ' || char === '\t') this.#at++
      else if (char === '\n' || (char === '\r' && this.#text[this.#at + 1] === '\n')) {
        this.#at += char === '\r' ? 2 : 1
        this.#newLine()
      } else if (char === '#') this.#skipLine()
      else if (char === '/' && this.#text[this.#at + 1] === '*') this.#skipComment()
      else return
    }
  }

  #newLine(): void {
    this.#line++
    this.#lineStart = this.#at
  }

  /** Up to the line end, which stays. */
  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#text.length : this.#text[end - 1] === '\r' ? end - 1 : end
  }

  #skipComment(): void {
    const position = this.#position(this.#at)
    const end = this.#text.indexOf('*/', this.#at + 2)
    if (end < 0) throw unreadable(position, 'the comment that begins here has no end: close it with "*/"')
    this.#countLines(this.#at, end)
    this.#at = end + 2
  }

  #countLines(from: number, to: number): void {
    for (let lf = this.#text.indexOf('\n', from); lf >= 0 && lf < to; lf = this.#text.indexOf('\n', lf + 1)) {
      this.#line++
      this.#lineStart = lf + 1
    }
  }

  #word(): string {
    const start = this.#at
    if (isDigit(this.#text[start] ?? '')) return ''
    while (isWordCharacter(this.#text.charCodeAt(this.#at))) this.#at++
    if (this.#at - start > scriptLimits.nameCharacters)
      throw unreadable(
        this.#position(start),
        `this name has ${this.#at - start} characters: there is none of more than ${scriptLimits.nameCharacters}`,
      )
    return this.#text.slice(start, this.#at)
  }

  #number(position: Position): number {
    const start = this.#at
    while (isDigit(this.#text[this.#at] ?? '')) this.#at++
    const digits = this.#text.slice(start, this.#at)
    const factor = quantifiers[(this.#text[this.#at] ?? '').toLowerCase()]
    if (factor !== undefined) this.#at++
    if (isWordCharacter(this.#text.charCodeAt(this.#at)))
      throw unreadable(
        position,
        'a number has digits and at most one of K, M and G behind them: remove what follows, or put it in quotes',
      )
    const value = Number(digits) * (factor ?? 1)
    if (!(value <= scriptLimits.number))
      throw unreadable(position, `this number is too large: ${scriptLimits.number} is the largest`)
    return value
  }

  #quoted(position: Position): string {
    const start = this.#at + 1
    let end = start
    let escaped = false
    for (;;) {
      const code = this.#text.charCodeAt(end)
      if (code === 0x22) break
      if (code === 0x5c) {
        escaped = true
        end++
      }
      if (!(end < this.#text.length))
        throw unreadable(position, 'the string that begins here has no end: close it with a quote (")')
      end++
    }
    this.#at = end + 1
    const raw = this.#text.slice(start, end)
    this.#countLines(start, end)
    return this.#string(escaped ? raw.replace(/\\(.)/gs, '$1') : raw, position)
  }

  /** At the colon of "text:". §2.4.2 */
  #multiLine(position: Position): string {
    this.#at++
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++
    if (this.#text[this.#at] === '#') this.#skipLine()
    if (this.#text[this.#at] === '\r') this.#at++
    if (this.#text[this.#at] !== '\n')
      throw unreadable(position, '"text:" has to be the end of its line: begin the text on the next one')
    const start = ++this.#at
    this.#newLine()
    for (;;) {
      const lf = this.#text.indexOf('\n', this.#at)
      const lineEnd = lf < 0 ? this.#text.length : lf
      const line = this.#text.slice(this.#at, Math.min(lineEnd, this.#at + 3))
      if (line === '.' || line === '.\r') {
        const raw = this.#text.slice(start, this.#at)
        this.#at = this.#text[this.#at + 1] === '\r' ? this.#at + 2 : this.#at + 1
        return this.#string(raw.replace(/^\.\./gm, '.'), position)
      }
      if (lf < 0)
        throw unreadable(position, 'the text that begins here has no end: close it with a line that has only a dot')
      this.#at = lf + 1
      this.#newLine()
    }
  }

  #string(raw: string, position: Position): string {
    if (++this.#strings > scriptLimits.strings)
      throw unreadable(position, `the script has more than ${scriptLimits.strings} strings: divide it`)
    if (raw.length > scriptLimits.stringCharacters)
      throw unreadable(
        position,
        `this string has ${raw.length} characters; make it shorter than ${scriptLimits.stringCharacters}`,
      )
    return raw.includes('\n') ? raw.replace(/\r?\n/g, '\r\n') : raw
  }
}

const unreadable = (position: Position, text: string) => new Unreadable({ ...position, text })

const isDigit = (char: string) => char >= '0' && char <= '9'

const isWordCharacter = (code: number) =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f

function shownCharacter(text: string, at: number): string {
  const code = text.codePointAt(at)!
  return code < 32 || code === 127 ? `\\x${code.toString(16).padStart(2, '0')}` : String.fromCodePoint(code)
}

/** Index in the text of the first character that the octets don't say. */
function firstBadCharacter(octets: Buffer, text: string): number {
  let at = 0
  for (let octet = 0; ; ) {
    const code = text.codePointAt(at)!
    const length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (code === 0xfffd && !isUtf8(octets.subarray(octet, octet + 3))) return at
    if (code === 0xfffd && octets[octet] !== 0xef) return at
    octet += length
    at += code > 0xffff ? 2 : 1
  }
}
