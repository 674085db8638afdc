/** A header block: fields as they stand, and what they say unfolded. RFC 5322 §2.2 */

export interface Field {
  /** Lower case; empty for a line that is no field (no colon). */
  readonly name: string
  /** Name, colon, value, folding and line ends as in the message; octets in latin1. Always ends in a line end. */
  readonly raw: string
}

/**
 * The fields of a header block (octets in latin1) in its order; the empty line that ends it, when there, is left out.
 * Lines end in LF, with or without CR. A line that begins with white space belongs to the field before.
 */
export function splitFields(header: string): Field[] {
  const fields: Field[] = []
  let start = 0
  while (start < header.length) {
    let end = lineEnd(header, start)
    if (isEmptyLine(header, start)) break
    while (isWhite(header.charCodeAt(end))) end = lineEnd(header, end)
    const raw = header.slice(start, end)
    // A block that was cut off (or the end of a message without a body) may lack the last line end.
    fields.push({ name: fieldName(raw), raw: raw.endsWith('\n') ? raw : `${raw}\r\n` })
    start = end
  }
  return fields
}

/** The field's body on one line: without line ends (RFC 5322 §2.2.3) and without the white space behind the colon on its first line. */
export function fieldValue({ raw }: Field): string {
  let start = raw.indexOf(':') + 1
  while (isWhite(raw.charCodeAt(start))) start++
  const value = raw.slice(start, raw.endsWith('\r\n') ? -2 : -1)
  const oneLine = value.includes('\n') ? value.replace(/\r?\n/g, '') : value
  // IMAP has no way to send NUL (RFC 9051 §9 rule CHAR8); U+FFFD stands for it, in UTF-8.
  return oneLine.includes('\0') ? oneLine.replaceAll('\0', '\xef\xbf\xbd') : oneLine
}

/** Folding writes tabs and runs of spaces where the author wrote one space; clients show subjects and names as they come. */
export function singleSpaced(text: string): string {
  return /[\t\r]| {2}|^ | $/.test(text) ? text.replace(/[ \t\r]+/g, ' ').replace(/^ | $/g, '') : text
}

function fieldName(raw: string): string {
  const colon = raw.indexOf(':')
  // An obsolete field has white space before its colon. RFC 5322 §4.5.8
  return colon < 0 ? '' : raw.slice(0, colon).trimEnd().toLowerCase()
}

/** Index behind the line's LF, or the end. */
function lineEnd(text: string, start: number): number {
  const lf = text.indexOf('\n', start)
  return lf < 0 ? text.length : lf + 1
}

function isEmptyLine(text: string, start: number): boolean {
  const code = text.charCodeAt(start)
  return code === 10 || (code === 13 && text.charCodeAt(start + 1) === 10)
}

function isWhite(code: number): boolean {
  return code === 32 || code === 9
}
