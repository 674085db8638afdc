/** FETCH's arguments. RFC 9051 §6.4.5, RFC 3501 §6.4.5, §9 rules fetch, fetch-att; RFC 8474 §7, RFC 8514 §5, RFC 3516 §7, RFC 8970 §6 rule fetch-att; RFC 4466 §2.4 fetch-modifier; RFC 7162 §3.1.4, §3.2.6; RFC 9394 §3.3 */

import { type PartialRange, readPartialRange } from './partial-range.ts'
import { formatSection, type Partial, readPartial, readSection, readSectionBinary, type Section } from './section.ts'
import type { MessageSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

const dataItems = [
  'BODY',
  'BODYSTRUCTURE',
  'EMAILID',
  'ENVELOPE',
  'FLAGS',
  'INTERNALDATE',
  'MODSEQ',
  'RFC822.SIZE',
  'SAVEDATE',
  'THREADID',
  'UID',
] as const
/** An item without section; also its name in the response. */
export type FetchDataItem = (typeof dataItems)[number]

/** BODY[…], BODY.PEEK[…], and RFC822, RFC822.HEADER, RFC822.TEXT as the sections they are. */
export interface FetchSectionItem {
  readonly item: 'section'
  /** The item's name in the response: 'BODY[1.MIME]<0>', 'RFC822.TEXT'. */
  readonly label: string
  /** \Seen is not set by it. */
  readonly peek: boolean
  readonly section: Section
  readonly partial: Partial | undefined
}

/** BINARY[…] and BINARY.PEEK[…]: what a section is without its Content-Transfer-Encoding. RFC 3516 §4.2 */
export interface FetchBinaryItem {
  readonly item: 'binary'
  /** 'BINARY[1]<0>' */
  readonly label: string
  readonly peek: boolean
  /** Without text. */
  readonly section: Section
  /** Of the decoded octets. */
  readonly partial: Partial | undefined
}

/** BINARY.SIZE[…] */
export interface FetchBinarySizeItem {
  readonly item: 'binary-size'
  readonly label: string
  readonly section: Section
}

/** Made of the octets of a message. */
export type FetchOctetsItem = FetchSectionItem | FetchBinaryItem | FetchBinarySizeItem
/** RFC 8970 §6 */
export interface FetchPreviewItem {
  readonly item: 'preview'
  /** Only where it can be told at once. */
  readonly lazy: boolean
}

export type FetchItem = { readonly item: FetchDataItem } | FetchOctetsItem | FetchPreviewItem

export interface FetchArgs extends FetchModifiers {
  readonly set: MessageSet
  /** In the client's order, macros expanded, each response name once. */
  readonly items: readonly FetchItem[]
}

export interface FetchModifiers {
  /** Only messages with a higher MODSEQ. */
  readonly changedSince?: number
  /** Also the UIDs of what left since then. */
  readonly vanished?: true
  /** Only these of the messages of the set. */
  readonly partial?: PartialRange
}

/** RFC 3501 §6.4.5 */
const macros: Readonly<Record<string, readonly FetchDataItem[]>> = {
  FAST: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'],
  ALL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'],
  FULL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'],
}

const wholeMessage: Section = { part: [], text: undefined, fields: [] }

/** `SP sequence-set SP (macro / fetch-att / "(" fetch-att *(SP fetch-att) ")") [SP "(" fetch-modifier *(SP fetch-modifier) ")"] CRLF` */
export function readFetchArgs(input: TokenReader): FetchArgs {
  input.sp()
  const set = input.messageSet()
  input.sp()
  const items =
    input.peek() === '(' ? input.parenthesised('fetch-att', () => readFetchAtt(input)) : readMacroOrAtt(input)
  const modifiers = input.tryChar(' ') ? readModifiers(input) : {}
  input.end()
  if (modifiers.changedSince === undefined) return { set, items: distinctItems(items), ...modifiers }
  return { set, items: distinctItems([...items, { item: 'MODSEQ' }]), ...modifiers }
}

/** Behind the opening parenthesis: `fetch-att *(SP fetch-att) ")"`; each response name once. RFC 5465 §8 */
export function readFetchAtts(input: TokenReader): readonly FetchItem[] {
  const items: FetchItem[] = []
  do items.push(readFetchAtt(input))
  while (input.tryChar(' '))
  input.char(')', 'fetch-atts')
  return distinctItems(items)
}

function readModifiers(input: TokenReader): FetchModifiers {
  let modifiers: FetchModifiers = {}
  input.parenthesised('fetch-modifier', () => {
    const word = input.keyword('fetch-modifier')
    switch (word) {
      case 'CHANGEDSINCE':
        input.sp()
        modifiers = { ...modifiers, changedSince: input.number64('mod-sequence-value') }
        return
      case 'VANISHED':
        modifiers = { ...modifiers, vanished: true }
        return
      case 'PARTIAL':
        input.sp()
        modifiers = { ...modifiers, partial: readPartialRange(input) }
        return
      default:
        throw input.tokenFault('fetch-modifier', 'CHANGEDSINCE, PARTIAL or VANISHED')
    }
  })
  if (modifiers.vanished && modifiers.changedSince === undefined)
    throw input.fault('fetch-modifier', 'CHANGEDSINCE beside VANISHED')
  return modifiers
}

function readMacroOrAtt(input: TokenReader): readonly FetchItem[] {
  const word = readWord(input)
  if (Object.hasOwn(macros, word)) return macros[word]!.map((item) => ({ item }))
  return [attOf(word, input)]
}

function readFetchAtt(input: TokenReader): FetchItem {
  return attOf(readWord(input), input)
}

/** '[' is an ATOM-CHAR, so "BODY[" has to be read up to it by hand. */
function readWord(input: TokenReader): string {
  return input.keywordBefore('[', 'fetch-att')
}

function attOf(word: string, input: TokenReader): FetchItem {
  if ((word === 'BODY' || word === 'BODY.PEEK') && input.peek() === '[') {
    const section = readSection(input)
    const partial = readPartial(input)
    const label = `BODY${formatSection(section)}${originOf(partial)}`
    return { item: 'section', label, peek: word === 'BODY.PEEK', section, partial }
  }
  if (input.peek() === '[') {
    switch (word) {
      case 'BINARY':
      case 'BINARY.PEEK': {
        const section = readSectionBinary(input)
        const partial = readPartial(input)
        const label = `BINARY${formatSection(section)}${originOf(partial)}`
        return { item: 'binary', label, peek: word === 'BINARY.PEEK', section, partial }
      }
      case 'BINARY.SIZE': {
        const section = readSectionBinary(input)
        return { item: 'binary-size', label: `BINARY.SIZE${formatSection(section)}`, section }
      }
    }
  }
  switch (word) {
    case 'PREVIEW':
      return { item: 'preview', lazy: readPreviewModifiers(input) }
    case 'RFC822':
      return { item: 'section', label: word, peek: false, section: wholeMessage, partial: undefined }
    case 'RFC822.HEADER':
      return {
        item: 'section',
        label: word,
        peek: true,
        section: { ...wholeMessage, text: 'HEADER' },
        partial: undefined,
      }
    case 'RFC822.TEXT':
      return {
        item: 'section',
        label: word,
        peek: false,
        section: { ...wholeMessage, text: 'TEXT' },
        partial: undefined,
      }
  }
  const item = dataItems.find((known) => known === word)
  if (item === undefined) throw input.tokenFault('fetch-att', 'an item such as FLAGS or BODY.PEEK[]')
  return { item }
}

/** `[SP "(" preview-mod *(SP preview-mod) ")"]`; says whether LAZY is among them. */
function readPreviewModifiers(input: TokenReader): boolean {
  if (!input.tryString(' (')) return false
  do {
    if (input.keyword('preview-mod') !== 'LAZY') throw input.tokenFault('preview-mod', 'LAZY')
  } while (input.tryChar(' '))
  input.char(')', 'preview-mod')
  return true
}

const originOf = (partial: Partial | undefined) => (partial === undefined ? '' : `<${partial.offsetOctets}>`)

/** One item of each response name; BODY[x] wins over BODY.PEEK[x], as its effect is asked for; likewise BINARY[x]. */
export function distinctItems(items: readonly FetchItem[]): readonly FetchItem[] {
  const byName = new Map<string, FetchItem>()
  for (const item of items) {
    const name = nameOf(item)
    const before = byName.get(name)
    if (before === undefined || ('peek' in before && before.peek)) byName.set(name, item)
  }
  return [...byName.values()]
}

function nameOf(item: FetchItem): string {
  if (!('label' in item)) return item.item
  return 'partial' in item ? `${item.label}.${item.partial?.lengthOctets}` : item.label
}
