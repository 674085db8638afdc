/**
 * Lexical tokens of structured header fields: RFC 5322 §3.2 with the obsolete forms of §4, RFC 2045 §5.1. Reads octets in latin1;
 * those above 127 count as letters. Every method either moves forward or leaves the position alone, so reading is linear.
 */

const atext = 1
const token = 2
const white = 4

const classes = new Uint8Array(256)
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code)
  if (code > 127 || /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]/.test(char)) classes[code]! |= atext
  if (code > 32 && code !== 127 && !/[()<>@,;:\\"/[\]?=]/.test(char)) classes[code]! |= token
  if (char === ' ' || char === '\t' || char === '\r' || char === '\n') classes[code]! |= white
}

export class Lexer {
  readonly #text: string
  #at = 0
  /** The last comment that was skipped, without its outer parentheses; who looks for one sets it to undefined before. */
  comment: string | undefined

  constructor(text: string) {
    this.#text = text
  }

  get position(): number {
    return this.#at
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** The next octet, '' at the end. */
  peek(): string {
    return this.#text.charAt(this.#at)
  }

  /** Goes back to a `position` of before. */
  rewind(position: number): void {
    this.#at = position
  }

  /** Takes the octet when it is the next. */
  take(char: string): boolean {
    if (this.#text.charAt(this.#at) !== char) return false
    this.#at++
    return true
  }

  /** Whatever is next is passed over. */
  skip(): void {
    this.#at++
  }

  /** White space and comments, which may contain comments. False when a comment does not end: the rest of the text is gone. */
  skipCfws(): boolean {
    for (;;) {
      while (this.#is(white)) this.#at++
      if (this.peek() !== '(') return true
      if (!this.#skipComment()) return false
    }
  }

  #skipComment(): boolean {
    let depth = 0
    let text = ''
    let start = this.#at + 1
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]!
      if (char === '\\') {
        text += this.#text.slice(start, this.#at)
        start = ++this.#at
      } else if (char === '(') depth++
      else if (char === ')' && --depth === 0) {
        this.comment = text + this.#text.slice(start, this.#at++)
        return true
      }
    }
    return false
  }

  /** Letters of an atom; with `dots`, dots among them. '' when none is next. White space behind stays. */
  atomText(dots: boolean): string {
    const start = this.#at
    while (this.#is(atext) || (dots && this.peek() === '.')) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** A MIME token. '' when none is next. */
  token(): string {
    const start = this.#at
    while (this.#is(token)) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** Octets up to one of `stops`, or the end. */
  until(stops: string): string {
    const start = this.#at
    while (!this.atEnd && !stops.includes(this.peek())) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** What stands between the quotes, backslashes resolved. undefined when the closing quote is missing: the rest of the text is gone. */
  quotedString(): string | undefined {
    let text = ''
    let start = ++this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === '"') return text + this.#text.slice(start, this.#at++)
      if (char !== '\\') continue
      text += this.#text.slice(start, this.#at)
      start = ++this.#at
    }
    return undefined
  }

  /** `1*word` with dots as letters (obs-phrase), single spaces between words, white space behind skipped. undefined: none here. */
  phrase(): string | undefined {
    if (this.peek() === '.') return undefined
    let phrase = ''
    for (;;) {
      const word = this.peek() === '"' ? this.quotedString() : this.atomText(true)
      if (word === undefined) return undefined
      phrase += word
      if (!this.skipCfws()) return undefined
      if (!this.#is(atext) && this.peek() !== '"' && this.peek() !== '.') return phrase
      phrase += ' '
    }
  }

  /** `dot-atom`, white space around its dots and behind skipped (RFC 5322 §4.4). undefined when an atom is missing. */
  dotAtom(): string | undefined {
    const atoms: string[] = []
    do {
      this.skipCfws()
      atoms.push(this.atomText(false))
    } while (this.skipCfws() && this.take('.'))
    return atoms.includes('') ? undefined : atoms.join('.')
  }

  /** `"[" *dtext "]"` as written; undefined when the bracket does not close. */
  domainLiteral(): string | undefined {
    const start = this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === '\\') this.#at++
      else if (char === ']') {
        const literal = this.#text.slice(start, ++this.#at)
        this.skipCfws()
        return literal
      }
    }
    return undefined
  }

  #is(kind: number): boolean {
    return this.#at < this.#text.length && (classes[this.#text.charCodeAt(this.#at)]! & kind) !== 0
  }
}
