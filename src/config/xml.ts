/**
 * Reads a small XML file into a tree that knows the line of every element and attribute.
 *
 * fast-xml-parser finds the structure; what it lets through is refused or put right here: it does not validate (XMLValidator
 * runs first), accepts a DOCTYPE, several roots, control characters and `<` in attributes, and decodes no numeric entities.
 * Entities other than the five of XML itself are an error, so nothing is ever expanded.
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { ConfigError, type Finding } from './finding.ts'

export interface XmlAttribute {
  readonly value: string
  readonly line: number
}
export interface XmlElement {
  readonly name: string
  readonly attributes: ReadonlyMap<string, XmlAttribute>
  readonly children: readonly XmlElement[]
  /** Character data and CDATA of the element itself, entities decoded, not trimmed. */
  readonly text: string
  /** Line of the start tag, from 1. */
  readonly line: number
}

/** Deeper nesting than any file of ours has. */
const maxDepth = 16
const positions = XMLParser.getMetaDataSymbol() as symbol
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  captureMetaData: true,
  cdataPropName: '#cdata',
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: maxDepth,
})

/** The root element of a file's octets; `file` is for the messages. Throws ConfigError. */
export const parseXml = (octets: Buffer, file: string): XmlElement => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(octets)
  } catch {
    throw fault(file, undefined, 'the file is not UTF-8; convert it, for instance with iconv')
  }
  const lines = lineStarts(text)
  const lineAt = (index: number) => lineOf(lines, index)
  const refuse = (index: number, message: string) => fault(file, lineAt(index), message)

  const control = text.search(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/)
  if (control >= 0)
    throw refuse(control, `holds the control character ${hex(text.charCodeAt(control))}, which XML does not allow`)
  const encoding = /^<\?xml[^>]{0,200}?encoding=["']([^"']{1,40})["']/.exec(text)?.[1]
  if (encoding !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(encoding))
    throw refuse(0, `declares the encoding ${encoding}; write the file in UTF-8`)
  const declaration = findDeclaration(text)
  if (declaration >= 0)
    throw refuse(declaration, 'has a DOCTYPE or another <! declaration; remove it, entities are never expanded here')

  const valid = XMLValidator.validate(text)
  if (valid !== true) throw fault(file, valid.err.line, `is not well-formed XML: ${withoutContent(valid.err.msg)}`)
  let roots: readonly ParsedNode[]
  try {
    roots = parser.parse(text) as readonly ParsedNode[]
  } catch (cause) {
    throw fault(file, undefined, `is not XML that can be read: ${withoutContent((cause as Error).message)}`)
  }
  const elements = roots.filter((node) => nameOf(node) !== '#text')
  if (elements.length !== 1)
    throw fault(file, lineAt(startOf(elements[1])), `has ${elements.length} top elements; exactly one is allowed`)
  return build(elements[0]!, { text, lineAt, refuse })
}

/** What preserveOrder gives: one key with the children, `:@` with the attributes, and the offsets under a symbol. */
type ParsedNode = { readonly [key: string | symbol]: unknown }
interface Place {
  readonly text: string
  lineAt(index: number): number
  refuse(index: number, message: string): ConfigError
}

const nameOf = (node: ParsedNode): string => Object.keys(node).find((key) => key !== ':@') ?? ''
const startOf = (node: ParsedNode | undefined): number =>
  (node?.[positions] as { startIndex?: number } | undefined)?.startIndex ?? 0

/** Recursion is bounded by `maxDepth`. */
const build = (node: ParsedNode, place: Place): XmlElement => {
  const name = nameOf(node)
  const start = startOf(node)
  const line = place.lineAt(start)
  const decode = (raw: string, what: string) =>
    decodeEntities(raw, () =>
      place.refuse(
        start,
        `${what} has a & that begins none of &lt; &gt; &amp; &quot; &apos; and numbers like &#228;; write & itself as &amp;`,
      ),
    )
  const children: XmlElement[] = []
  let text = ''
  for (const child of node[name] as readonly ParsedNode[]) {
    const childName = nameOf(child)
    if (childName === '#text') text += decode(String(child['#text']), `<${name}>`)
    else if (childName === '#cdata')
      text += (child['#cdata'] as readonly ParsedNode[]).map((part) => String(part['#text'])).join('')
    else children.push(build(child, place))
  }
  const attributes = new Map<string, XmlAttribute>()
  const raw = node[':@'] as Readonly<Record<string, string>> | undefined
  if (raw !== undefined) {
    const offsets = attributeOffsets(place.text, start)
    for (const [key, value] of Object.entries(raw)) {
      const at = offsets.get(key) ?? start
      if (value.includes('<')) throw place.refuse(at, `attribute ${key} of <${name}> has a <; write it as &lt;`)
      attributes.set(key, { value: decode(value, `attribute ${key} of <${name}>`), line: place.lineAt(at) })
    }
  }
  return { name, attributes, children, text, line }
}

/** Where each attribute's name stands in the start tag at `start`; the tag is known to be well-formed. */
const attributeOffsets = (text: string, start: number): ReadonlyMap<string, number> => {
  const offsets = new Map<string, number>()
  let index = start + 1
  while (index < text.length && !/[\s/>]/.test(text[index]!)) index++
  while (index < text.length && text[index] !== '>') {
    if (/[\s/]/.test(text[index]!)) {
      index++
      continue
    }
    const nameStart = index
    while (index < text.length && !/[\s=>]/.test(text[index]!)) index++
    offsets.set(text.slice(nameStart, index), nameStart)
    while (index < text.length && text[index] !== '"' && text[index] !== "'" && text[index] !== '>') index++
    if (text[index] === '>' || index >= text.length) break
    index = text.indexOf(text[index]!, index + 1) + 1
    if (index === 0) break
  }
  return offsets
}

const predefined = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

const decodeEntities = (raw: string, unknown: () => Error): string =>
  raw.includes('&')
    ? raw.replace(/&([^;&\s]{0,12};?)/g, (_, body: string) => {
        const name = body.endsWith(';') ? body.slice(0, -1) : ''
        const known = predefined.get(name)
        if (known !== undefined) return known
        const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name)
        const code = number === null ? -1 : Number.parseInt(number[1] ?? number[2]!, number[1] === undefined ? 10 : 16)
        if (!isXmlCharacter(code)) throw unknown()
        return String.fromCodePoint(code)
      })
    : raw

/** XML 1.0 §2.2 */
const isXmlCharacter = (code: number) =>
  code === 0x9 ||
  code === 0xa ||
  code === 0xd ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x10000 && code <= 0x10ffff)

/** Offset of the first `<!` that is neither a comment nor CDATA; -1 without one. */
const findDeclaration = (text: string): number => {
  let index = text.indexOf('<!')
  while (index >= 0) {
    const end = text.startsWith('<!--', index)
      ? text.indexOf('-->', index + 4)
      : text.startsWith('<![CDATA[', index)
        ? text.indexOf(']]>', index + 9)
        : undefined
    if (end === undefined) return index
    // An end that is missing is the validator's to report.
    if (end < 0) return -1
    index = text.indexOf('<!', end + 3)
  }
  return -1
}

const lineStarts = (text: string): readonly number[] => {
  const starts = [0]
  for (let index = text.indexOf('\n'); index >= 0; index = text.indexOf('\n', index + 1)) starts.push(index + 1)
  return starts
}
const lineOf = (starts: readonly number[], index: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= index) low = middle
    else high = middle - 1
  }
  return low + 1
}

/** What the library says without the pieces of the file in it: a password may be among them. */
const withoutContent = (message: string) =>
  message
    .trim()
    .replace(/'[^']*'|"[^"]*"/g, (quoted) => (quoted.length === 3 ? quoted : "'…'"))
    .slice(0, 160)

const hex = (code: number) => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
const fault = (file: string, line: number | undefined, message: string): ConfigError => {
  const finding: Finding = { severity: 'error', file, line, option: undefined, message }
  return new ConfigError([finding])
}
