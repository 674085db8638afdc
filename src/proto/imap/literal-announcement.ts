/** The announcement of a literal at the end of a line. RFC 9051 §4.3, RFC 7888 §3, RFC 3516 §4.4 (literal8) */

export interface LiteralAnnouncement {
  /** Infinity above 15 digits: no limit is that large, and nothing is ever allocated by this number. */
  readonly sizeOctets: number
  readonly synchronising: boolean
  /** "~{…}", octets that may hold NUL. */
  readonly binary: boolean
  /** Where the announcement starts in the line. */
  readonly start: number
}

/** Looks at the end of `line` (without CRLF) only; undefined when no literal is announced there. */
export function findLiteralAnnouncement(line: string): LiteralAnnouncement | undefined {
  if (!line.endsWith('}')) return undefined
  const synchronising = line.at(-2) !== '+'
  const digitsEnd = line.length - (synchronising ? 1 : 2)
  let digitsStart = digitsEnd
  while (digitsStart > 0 && isDigit(line.charCodeAt(digitsStart - 1))) digitsStart--
  const brace = digitsStart - 1
  if (digitsStart === digitsEnd || line[brace] !== '{') return undefined
  const digits = line.slice(digitsStart, digitsEnd).replace(/^0+/, '')
  const binary = line[brace - 1] === '~'
  return {
    sizeOctets: digits.length > 15 ? Number.POSITIVE_INFINITY : Number(digits),
    synchronising,
    binary,
    start: binary ? brace - 1 : brace,
  }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
