/** Where in the text of ms.conf the content of elements stands that spasscrypt encrypts. The text is XML that the reader has found well formed. */

export interface MarkedText {
  /** Of the element. */
  readonly name: string
  /** Between its tags, as it stands there. */
  readonly start: number
  readonly end: number
}

/** Marked elements have text alone, in the order of the file. */
export const markedTexts = (xml: string): readonly MarkedText[] => {
  const found: MarkedText[] = []
  let open: { name: string; start: number } | undefined
  for (let at = xml.indexOf('<'); at >= 0; at = xml.indexOf('<', at)) {
    const skipped = sections.find(([begin]) => xml.startsWith(begin, at))
    if (skipped !== undefined) {
      at = after(xml, skipped[1], at)
      continue
    }
    const end = tagEnd(xml, at)
    const tag = xml.slice(at + 1, end - 1)
    if (tag.startsWith('/')) {
      if (open !== undefined) found.push({ ...open, end: at })
      open = undefined
    } else if (/\sservpass:encrypt\s*=\s*(["'])true\1/.test(tag) && !tag.endsWith('/'))
      open = { name: /^[^\s>]+/.exec(tag)![0], start: end }
    at = end
  }
  return found
}

const sections = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
  ['<?', '?>'],
] as const

const after = (xml: string, what: string, from: number): number => {
  const at = xml.indexOf(what, from)
  return at < 0 ? xml.length : at + what.length
}

/** Behind the `>` of the tag that begins at `from`; one in the value of an attribute is none. */
const tagEnd = (xml: string, from: number): number => {
  let quote = ''
  for (let at = from; at < xml.length; at++) {
    const char = xml[at]!
    if (quote !== '') quote = char === quote ? '' : quote
    else if (char === '"' || char === "'") quote = char
    else if (char === '>') return at + 1
  }
  return xml.length
}
