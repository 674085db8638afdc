/** POSIX extended regular expressions. draft-murchison-sieve-regex-07 §3; IEEE 1003.1 §9.4. Expressions that it leaves undefined are refused. */

/** Ranges of code points, both ends included, in order. */
export type CharacterSet = readonly (readonly [first: number, last: number])[]

export type Expression =
  | { readonly type: 'set'; readonly set: CharacterSet }
  | { readonly type: 'empty' | 'line-start' | 'line-end' }
  | { readonly type: 'sequence' | 'choice'; readonly items: readonly Expression[] }
  | { readonly type: 'group'; readonly index: number; readonly item: Expression }
  | { readonly type: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number | undefined }

/** `message` says what is wrong with the expression. */
export class BadRegex extends Error {
  override readonly name = 'BadRegex'
}

/** POSIX's RE_DUP_MAX */
const mostRepetitions = 255
const deepest = 100
const lastCode = 0x10ffff

export interface ParsedRegex {
  readonly expression: Expression
  readonly groups: number
}

export function parseRegex(pattern: string): ParsedRegex {
  const parser = new RegexParser(pattern)
  return { expression: parser.whole(), groups: parser.groups }
}

class RegexParser {
  readonly #pattern: string
  #at = 0
  #depth = 0
  groups = 0

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  whole(): Expression {
    const expression = this.#choice()
    if (this.#at < this.#pattern.length) throw new BadRegex('")" closes no group: write "\\\\)" for the character')
    return expression
  }

  #choice(): Expression {
    const items = [this.#sequence()]
    while (this.#take('|')) items.push(this.#sequence())
    return items.length === 1 ? items[0]! : { type: 'choice', items }
  }

  #sequence(): Expression {
    const items: Expression[] = []
    for (;;) {
      const char = this.#pattern[this.#at]
      if (char === undefined || char === '|' || char === ')') break
      items.push(this.#repeated())
    }
    if (items.length === 0) return { type: 'empty' }
    return items.length === 1 ? items[0]! : { type: 'sequence', items }
  }

  #repeated(): Expression {
    let item = this.#one()
    for (let times = 0; ; times++) {
      const bounds = this.#bounds()
      if (bounds === undefined) return item
      if (item.type === 'line-start' || item.type === 'line-end')
        throw new BadRegex('an anchor can\'t be repeated: remove the "*", "+", "?" or "{" behind it')
      if (times >= deepest) throw new BadRegex('too many repetitions of one item: remove some')
      item = { type: 'repeat', item, min: bounds[0], max: bounds[1] }
    }
  }

  #bounds(): readonly [min: number, max: number | undefined] | undefined {
    if (this.#take('*')) return [0, undefined]
    if (this.#take('+')) return [1, undefined]
    if (this.#take('?')) return [0, 1]
    if (!this.#take('{')) return undefined
    const min = this.#number()
    const max = this.#take(',') ? this.#number() : min
    if (min === undefined || !this.#take('}'))
      throw new BadRegex('"{" wants {n}, {n,} or {n,m} behind it: write "\\\\{" for the character')
    if (max !== undefined && max < min) throw new BadRegex(`{${min},${max}} has its numbers in the wrong order`)
    if (Math.max(min, max ?? 0) > mostRepetitions)
      throw new BadRegex(`more than ${mostRepetitions} repetitions: use fewer`)
    return [min, max]
  }

  #number(): number | undefined {
    const start = this.#at
    while (/^\d$/.test(this.#pattern[this.#at] ?? '') && this.#at - start < 5) this.#at++
    return this.#at === start ? undefined : Number(this.#pattern.slice(start, this.#at))
  }

  #one(): Expression {
    const code = this.#pattern.codePointAt(this.#at)!
    this.#at += code > 0xffff ? 2 : 1
    switch (String.fromCodePoint(code)) {
      case '(':
        return this.#group()
      case '[':
        return { type: 'set', set: this.#bracket() }
      case '.':
        return { type: 'set', set: complement([[10, 10]]) }
      case '^':
        return { type: 'line-start' }
      case '$':
        return { type: 'line-end' }
      case '*':
      case '+':
      case '?':
      case '{':
        throw new BadRegex(
          `"${String.fromCodePoint(code)}" has nothing before it to repeat: write "\\\\${String.fromCodePoint(code)}" for the character`,
        )
      case '\\':
        return this.#escaped()
      default:
        return { type: 'set', set: [[code, code]] }
    }
  }

  #group(): Expression {
    const index = ++this.groups
    if (++this.#depth > deepest) throw new BadRegex(`groups lie more than ${deepest} deep in one another`)
    const item = this.#choice()
    this.#depth--
    if (!this.#take(')')) throw new BadRegex('a group has no end: close it with ")"')
    return { type: 'group', index, item }
  }

  #escaped(): Expression {
    const code = this.#pattern.codePointAt(this.#at)
    if (code === undefined) throw new BadRegex('it ends in a backslash: write "\\\\\\\\" for the character')
    const char = String.fromCodePoint(code)
    if (/^[A-Za-z0-9<>]$/.test(char))
      throw new BadRegex(
        `"\\${char}" is no POSIX regular expression: there are classes such as [[:alnum:]], and no back-references or word boundaries`,
      )
    this.#at += char.length
    return { type: 'set', set: [[code, code]] }
  }

  /** Behind "[". */
  #bracket(): CharacterSet {
    const negated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    for (let first = true; first || this.#pattern[this.#at] !== ']'; first = false) {
      if (this.#at >= this.#pattern.length) throw new BadRegex('a bracket expression has no end: close it with "]"')
      if (this.#pattern.startsWith('[:', this.#at)) {
        ranges.push(...this.#class())
        continue
      }
      const start = this.#element()
      const isRange =
        this.#pattern[this.#at] === '-' && this.#pattern[this.#at + 1] !== ']' && this.#at + 1 < this.#pattern.length
      if (isRange) this.#at++
      const end = isRange ? this.#element() : start
      if (end < start)
        throw new BadRegex(
          `the range ${String.fromCodePoint(start)}-${String.fromCodePoint(end)} has its ends in the wrong order`,
        )
      ranges.push([start, end])
    }
    this.#at++
    const set = ordered(ranges)
    return negated ? complement(set) : set
  }

  #class(): CharacterSet {
    const end = this.#pattern.indexOf(':]', this.#at + 2)
    const name = end < 0 ? '' : this.#pattern.slice(this.#at + 2, end)
    const set = classes.get(name)
    if (set === undefined)
      throw new BadRegex(`there is no class [:${name}:]: use one of ${[...classes.keys()].join(', ')}`)
    this.#at = end + 2
    return set
  }

  /** A character, or one in `[.x.]` or `[=x=]`. */
  #element(): number {
    const kind = this.#pattern[this.#at + 1]
    if (this.#pattern[this.#at] === '[' && (kind === '.' || kind === '=')) {
      const end = this.#pattern.indexOf(`${kind}]`, this.#at + 3)
      const name = end < 0 ? '' : this.#pattern.slice(this.#at + 2, end)
      if ([...name].length !== 1) throw new BadRegex(`[${kind} ${kind}] may have only one character in it`)
      this.#at = end + 2
      return name.codePointAt(0)!
    }
    const code = this.#pattern.codePointAt(this.#at)
    if (code === undefined) throw new BadRegex('a bracket expression has no end: close it with "]"')
    this.#at += code > 0xffff ? 2 : 1
    return code
  }

  #take(char: string): boolean {
    if (this.#pattern[this.#at] !== char) return false
    this.#at++
    return true
  }
}

const upper: CharacterSet = [[65, 90]]
const lower: CharacterSet = [[97, 122]]
const digit: CharacterSet = [[48, 57]]

/** Of the POSIX locale. */
const classes: ReadonlyMap<string, CharacterSet> = new Map([
  ['alnum', [...digit, ...upper, ...lower]],
  ['alpha', [...upper, ...lower]],
  [
    'blank',
    [
      [9, 9],
      [32, 32],
    ],
  ],
  [
    'cntrl',
    [
      [0, 31],
      [127, 127],
    ],
  ],
  ['digit', digit],
  ['graph', [[33, 126]]],
  ['lower', lower],
  ['print', [[32, 126]]],
  [
    'punct',
    [
      [33, 47],
      [58, 64],
      [91, 96],
      [123, 126],
    ],
  ],
  [
    'space',
    [
      [9, 13],
      [32, 32],
    ],
  ],
  ['upper', upper],
  ['xdigit', [...digit, [65, 70], [97, 102]]],
])

/** Sorted, with overlapping ranges joined. */
export function ordered(ranges: readonly (readonly [number, number])[]): CharacterSet {
  const joined: [number, number][] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else joined.push([first, last])
  }
  return joined
}

function complement(set: CharacterSet): CharacterSet {
  const rest: [number, number][] = []
  let from = 0
  for (const [first, last] of set) {
    if (first > from) rest.push([from, first - 1])
    from = last + 1
  }
  if (from <= lastCode) rest.push([from, lastCode])
  return rest
}
