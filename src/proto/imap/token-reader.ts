/**
 * Reads the arguments of one complete command, a method for each rule of RFC 9051 §9 and RFC 3501 §9.
 * Every method consumes what it reads or throws SyntaxFault naming the rule and the octet offset; the client's own
 * octets never get into an error's text. Text is octets in latin1 until a method says that it decodes.
 */

import { SyntaxFault } from '../../base/errors.ts'
import { parseDate, parseDateTime } from './date-time.ts'
import { canonicalFlag } from './flags.ts'
import { decodeMailboxName, decodeUtf8, foldInbox, MailboxNameFault, type NameSpelling } from './mailbox-name.ts'
import { type MessageSet, parseSequenceSet, type SequenceSet, savedResult } from './sequence-set.ts'

/** A command's text without CRLF; where a piece ends and another follows, the literal of that index stands between them. */
export interface CommandText {
  /** Octets in latin1; literal announcements ("{5}", "{5+}") are taken off the ends. */
  readonly pieces: readonly string[]
  /** One fewer than pieces. */
  readonly literals: readonly Buffer[]
}

/** Classes of octets, RFC 9051 §9; one bit for each. */
const atomChar = 1
const astringChar = 2
const listChar = 4
const tagChar = 8
const digitChar = 16

const classes = new Uint8Array(256)
for (let octet = 0x21; octet < 0x7f; octet++) {
  const char = String.fromCharCode(octet)
  const special = '(){%*"\\]'.includes(char)
  let bits = special ? 0 : atomChar | astringChar | listChar | tagChar
  if (char === ']') bits = astringChar | listChar | tagChar
  if (char === '%' || char === '*') bits = listChar
  if (char === '+') bits &= ~tagChar
  if (char >= '0' && char <= '9') bits |= digitChar
  classes[octet] = bits
}

const numberMax = 2n ** 32n - 1n
const number64Max = 2n ** 63n - 1n

export class TokenReader {
  /** Of mailbox names; with UTF-8, quoted strings are of it too. RFC 6855 §3 */
  spelling: NameSpelling = 'UTF-7'
  readonly #text: CommandText
  #piece = 0
  #at = 0
  /** Octets of the command before the current piece, for error offsets. */
  #base = 0
  /** Offset of the last atom, number or string. */
  #token = 0

  constructor(text: CommandText) {
    this.#text = text
  }

  get #line(): string {
    return this.#text.pieces[this.#piece]!
  }

  /** Octets of the command's text and literals that were read. */
  get offset(): number {
    return this.#base + this.#at
  }

  /** The next octet as a char: '{' where a literal stands, '' at the end of the command. */
  peek(): string {
    if (this.#at < this.#line.length) return this.#line[this.#at]!
    return this.#literalIsNext() ? '{' : ''
  }

  /** The fault to throw when `rule` can't be read here. */
  fault(rule: string, expected: string): SyntaxFault {
    return new SyntaxFault(`${rule}: expected ${expected} at octet ${this.offset}`, rule)
  }

  /** The fault to throw when the token just read (atom, number, string) is not what `rule` wants. */
  tokenFault(rule: string, expected: string): SyntaxFault {
    return new SyntaxFault(`${rule}: expected ${expected} at octet ${this.#token}`, rule)
  }

  /** Consumes `char` when it is next; says whether it was. */
  tryChar(char: string): boolean {
    if (this.#line[this.#at] !== char) return false
    this.#at++
    return true
  }

  /** Consumes these octets when they are next; says whether they were. */
  tryString(octets: string): boolean {
    if (!this.#line.startsWith(octets, this.#at)) return false
    this.#at += octets.length
    return true
  }

  char(char: string, rule: string): void {
    if (!this.tryChar(char)) throw this.fault(rule, `"${char}"`)
  }

  /** Exactly one space. */
  sp(): void {
    if (this.tryChar(' ')) return
    throw this.fault('SP', this.peek() === '' ? 'a space and a further argument' : 'a space')
  }

  /** The end of the command. */
  end(): void {
    if (this.peek() !== '') throw this.fault('CRLF', 'the end of the command')
  }

  /** 1*ASTRING-CHAR except "+" */
  tag(): string {
    return this.#run(tagChar, 'tag', 'a tag')
  }

  atom(rule = 'atom'): string {
    return this.#run(atomChar, rule, 'an atom')
  }

  /** An atom that is a word of the grammar, in upper case. */
  keyword(rule: string): string {
    return this.#run(atomChar, rule, 'a word').toUpperCase()
  }

  /** The same, ending before `stop` even where that is an ATOM-CHAR: "BODY" of "BODY[". */
  keywordBefore(stop: string, rule: string): string {
    const start = this.#at
    const word = this.keyword(rule)
    const length = word.indexOf(stop)
    if (length < 0) return word
    if (length === 0) throw this.fault(rule, 'a word')
    this.#at = start + length
    return word.slice(0, length)
  }

  /** Consumes the atom `word` (upper case here, any case there) when it is next and ends there; says whether it was. */
  tryWord(word: string): boolean {
    const end = this.#at + word.length
    if (this.#line.slice(this.#at, end).toUpperCase() !== word) return false
    if ((classes[this.#line.charCodeAt(end)]! & astringChar) !== 0) return false
    this.#at = end
    return true
  }

  /** Digits, 0 to 2^32-1. Leading zeros are legal and mean nothing. */
  number(rule = 'number'): number {
    return this.#number(rule, 0, numberMax)
  }

  nzNumber(rule = 'nz-number'): number {
    if (this.peek() === '0') throw this.fault(rule, 'a number from 1 to 4294967295, without leading zero')
    return this.#number(rule, 1, numberMax)
  }

  /** Up to 2^63-1 on the wire; above 2^53-1, where no offset or size of ours lies, the result is 2^53-1. */
  number64(rule = 'number64'): number {
    return this.#number(rule, 0, number64Max)
  }

  nzNumber64(rule = 'nz-number64'): number {
    return this.#number(rule, 1, number64Max)
  }

  /** quoted or literal. 8-bit octets pass in both (RFC 9051 QUOTED-CHAR); NUL in neither. */
  string(rule = 'string'): string {
    if (this.tryChar('"')) return this.#quoted(rule)
    if (this.#at === this.#line.length && this.#literalIsNext()) return this.#literal(rule).toString('latin1')
    throw this.fault(rule, 'a quoted string or a literal')
  }

  /** undefined for NIL. */
  nstring(rule = 'nstring'): string | undefined {
    if (/^nil(?![^ ()])/i.test(this.#line.slice(this.#at, this.#at + 4))) {
      this.#at += 3
      return undefined
    }
    return this.string(rule)
  }

  /** nstring or literal8: there may be NUL in a literal. RFC 4466 §2.1, RFC 5464 §5 rule value */
  nstring8(rule: string): string | undefined {
    if (this.#at === this.#line.length && this.#literalIsNext()) return this.#literal(rule, true).toString('latin1')
    return this.nstring(rule)
  }

  astring(rule = 'astring'): string {
    return this.#stringOr(astringChar, rule, 'an atom, a quoted string or a literal')
  }

  /** astring as octets of their own, for what must not linger in interned text: passwords. */
  astringOctets(rule = 'astring'): Buffer {
    if (this.#at === this.#line.length && this.#literalIsNext()) return this.#literal(rule)
    return Buffer.from(this.astring(rule), 'latin1')
  }

  /** astring decoded as UTF-8. */
  astringText(rule = 'astring'): string {
    const octets = this.astringOctets(rule)
    const text = octets.toString('utf8')
    if (!Buffer.from(text, 'utf8').equals(octets)) throw this.tokenFault(rule, 'UTF-8')
    return text
  }

  /** A mailbox name in Unicode; the first level INBOX in upper case. Throws MailboxNameFault behind it. */
  mailbox(rule = 'mailbox'): string {
    return foldInbox(this.#decodedName(this.astring(rule), rule))
  }

  /** The pattern of LIST and LSUB in Unicode, wildcards in it. Throws MailboxNameFault behind it. */
  listMailbox(): string {
    const rule = 'list-mailbox'
    return this.#decodedName(this.#stringOr(listChar, rule, 'a mailbox name, maybe with % or *'), rule)
  }

  sequenceSet(): SequenceSet {
    const start = this.#at
    let end = start
    while (end < this.#line.length && '0123456789:,*'.includes(this.#line[end]!)) end++
    const set = parseSequenceSet(this.#line.slice(start, end))
    if (set === undefined) throw this.fault('sequence-set', 'message numbers such as 1:3,5 or *')
    this.#at = end
    return set
  }

  /** A sequence set, or "$". RFC 5182 §3 */
  messageSet(): MessageSet {
    return this.tryChar(savedResult) ? savedResult : this.sequenceSet()
  }

  /** One flag, system flags in RFC spelling. \Recent and unknown \-flags are faults. */
  flag(): string {
    const backslash = this.tryChar('\\')
    const name = this.atom('flag')
    if (!backslash) return name
    const flag = canonicalFlag(`\\${name}`)
    if (flag === undefined)
      throw this.tokenFault('flag', '\\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft or a keyword')
    return flag
  }

  /** "(" [flag *(SP flag)] ")"; each flag once, compared without case. */
  flagList(): readonly string[] {
    return distinctFlags(this.parenthesised('flag-list', () => this.flag(), { empty: true }))
  }

  /** flag *(SP flag), as STORE also takes them. */
  bareFlags(): readonly string[] {
    const flags = [this.flag()]
    while (this.tryChar(' ')) flags.push(this.flag())
    return distinctFlags(flags)
  }

  /** "(" item *(SP item) ")". */
  parenthesised<T>(rule: string, item: () => T, options: { readonly empty?: boolean } = {}): T[] {
    this.char('(', rule)
    const items: T[] = []
    if (options.empty === true && this.tryChar(')')) return items
    do items.push(item())
    while (this.tryChar(' '))
    if (!this.tryChar(')')) throw this.fault(rule, '")" or a space and another item')
    return items
  }

  /** date-time, quotes included: seconds since 1970. */
  dateTime(): number {
    const quoted = /^"[^"]{0,26}"/.exec(this.#line.slice(this.#at, this.#at + 28))?.[0] ?? ''
    const seconds = parseDateTime(quoted.slice(1, -1))
    if (seconds === undefined) throw this.fault('date-time', 'a date such as "17-Jul-1996 02:44:25 -0700"')
    this.#at += quoted.length
    return seconds
  }

  /** date, quoted or not: whole days since 1970-01-01. */
  date(): number {
    const quoted = this.tryChar('"')
    let end = this.#at
    while (end < this.#line.length && end < this.#at + 12 && !'" )'.includes(this.#line[end]!)) end++
    const days = parseDate(this.#line.slice(this.#at, end))
    if (days === undefined) throw this.fault('date', 'a date such as 1-Feb-1994')
    this.#at = end
    if (quoted) this.char('"', 'date')
    return days
  }

  #literalIsNext(): boolean {
    return this.#piece < this.#text.literals.length
  }

  #literal(rule: string, mayHaveNul = false): Buffer {
    const octets = this.#text.literals[this.#piece]!
    if (!mayHaveNul && octets.includes(0)) throw this.fault(rule, 'a literal without NUL')
    this.#token = this.offset
    this.#base += this.#at + octets.length
    this.#piece++
    this.#at = 0
    return octets
  }

  /** Behind the opening quote. */
  #quoted(rule: string): string {
    const line = this.#line
    this.#token = this.offset - 1
    let text = ''
    for (let from = this.#at, at = from; at < line.length; at++) {
      const octet = line.charCodeAt(at)
      if (octet === 0x22) {
        this.#at = at + 1
        text += line.slice(from, at)
        if (this.spelling === 'UTF-8' && decodeUtf8(text) === undefined) throw this.tokenFault(rule, 'UTF-8 in quotes')
        return text
      }
      if (octet === 0x5c) {
        const escaped = line[at + 1]
        // Before anything else a backslash stands for itself: clients send DOMAIN\user as its owner typed it.
        if (escaped !== '"' && escaped !== '\\') continue
        text += line.slice(from, at)
        from = ++at
      } else if (octet === 0 || octet === 0x0d || octet === 0x0a) throw this.fault(rule, 'no NUL, CR or LF in quotes')
    }
    throw this.fault(rule, 'a closing quote on the same line')
  }

  #stringOr(charClass: number, rule: string, expected: string): string {
    const next = this.peek()
    if (next === '"' || next === '{') return this.string(rule)
    return this.#run(charClass, rule, expected)
  }

  #run(charClass: number, rule: string, expected: string): string {
    const line = this.#line
    let end = this.#at
    while (end < line.length && (classes[line.charCodeAt(end)]! & charClass) !== 0) end++
    if (end === this.#at) throw this.fault(rule, expected)
    const run = line.slice(this.#at, end)
    this.#token = this.offset
    this.#at = end
    return run
  }

  #number(rule: string, least: number, most: bigint): number {
    const start = this.#at
    let end = start
    while ((classes[this.#line.charCodeAt(end)]! & digitChar) !== 0) end++
    const digits = this.#line.slice(start, end).replace(/^0+(?=\d)/, '')
    // the length first: BigInt's work grows faster than its digits
    const value = digits !== '' && digits.length <= 19 ? BigInt(digits) : -1n
    if (value < least || value > most) throw this.fault(rule, `a number from ${least} to ${most}`)
    this.#token = this.offset
    this.#at = end
    return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
  }

  #decodedName(octets: string, rule: string): string {
    const name = decodeMailboxName(octets, this.spelling)
    if (name === undefined) throw new MailboxNameFault(rule, this.spelling)
    return name
  }
}

function distinctFlags(flags: readonly string[]): readonly string[] {
  return [...new Map(flags.map((flag) => [flag.toLowerCase(), flag])).values()]
}
