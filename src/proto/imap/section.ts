/** Body sections and partials as FETCH names them. RFC 9051 §6.4.5.1, §9 rules section, section-spec, section-part, partial */

import { formatAstring } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

const sectionTexts = ['HEADER', 'HEADER.FIELDS', 'HEADER.FIELDS.NOT', 'TEXT', 'MIME'] as const
export type SectionText = (typeof sectionTexts)[number]

export interface Section {
  /** Part numbers from 1, outermost first; empty for the message itself. */
  readonly part: readonly number[]
  /** undefined: all of the part (of the message, where `part` is empty). MIME only with a part. */
  readonly text: SectionText | undefined
  /** Field names of HEADER.FIELDS and HEADER.FIELDS.NOT, as the client wrote them; octets in latin1. */
  readonly fields: readonly string[]
}

/** `<offset.length>`: `lengthOctets` octets (at least 1, fewer at the end) from `offsetOctets` on. */
export interface Partial {
  readonly offsetOctets: number
  readonly lengthOctets: number
}

/** `"[" [section-spec] "]"` */
export function readSection(input: TokenReader): Section {
  input.char('[', 'section')
  const part: number[] = []
  let text: SectionText | undefined
  let fields: readonly string[] = []
  if (input.tryChar(']')) return { part, text, fields }
  let textFollows = true
  while (isDigit(input.peek())) {
    part.push(input.nzNumber('section-part'))
    textFollows = input.tryChar('.')
    if (!textFollows) break
  }
  if (textFollows) text = readSectionText(input, part.length > 0)
  if (text === 'HEADER.FIELDS' || text === 'HEADER.FIELDS.NOT') {
    input.sp()
    fields = input.parenthesised('header-list', () => readFieldName(input))
  }
  input.char(']', 'section')
  return { part, text, fields }
}

/** `"[" [section-part] "]"`. RFC 3516 §7 */
export function readSectionBinary(input: TokenReader): Section {
  const section = readSection(input)
  if (section.text !== undefined) throw input.tokenFault('section-binary', 'part numbers and nothing else')
  return section
}

function readSectionText(input: TokenReader, inPart: boolean): SectionText {
  const word = input.keyword('section-text')
  const text = sectionTexts.find((known) => known === word)
  if (text === undefined || (text === 'MIME' && !inPart))
    throw input.tokenFault('section-text', 'a section such as HEADER, TEXT or 1.MIME')
  return text
}

function readFieldName(input: TokenReader): string {
  const name = input.astring('header-fld-name')
  // RFC 5322 §2.2: printable, no colon. Also keeps a name that we repeat in the response free of anything else.
  for (const char of name)
    if (char <= ' ' || char > '~' || char === ':') throw input.tokenFault('header-fld-name', 'a header field name')
  return name
}

/** `["<" number64 "." nz-number64 ">"]`; undefined when none is there. */
export function readPartial(input: TokenReader): Partial | undefined {
  if (!input.tryChar('<')) return undefined
  const offsetOctets = input.number64('partial')
  input.char('.', 'partial')
  const lengthOctets = input.nzNumber64('partial')
  input.char('>', 'partial')
  return { offsetOctets, lengthOctets }
}

/** "[1.2.HEADER.FIELDS (DATE FROM)]" */
export function formatSection({ part, text, fields }: Section): string {
  const spec = [...part, ...(text === undefined ? [] : [text])].join('.')
  const list = fields.length === 0 ? '' : ` (${fields.map(formatAstring).join(' ')})`
  return `[${spec}${list}]`
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9'
}
