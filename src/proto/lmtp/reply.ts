/** A server's replies: RFC 5321 §4.2, with the enhanced status codes of RFC 2034. */

/** Longest line, CR LF counted. RFC 5321 §4.5.3.1.5 */
const maxReplyOctets = 512
const maxLines = 30

export interface Reply {
  readonly code: number
  /** RFC 3463, `2.1.0`; undefined where RFC 2034 §4 has none: greetings, replies to LHLO, and 3yz. */
  readonly status?: string | undefined
  /** Several lines where there are line ends in it. */
  readonly text: string
}

/** As it is sent: octets in latin1. `isUtf8`: the client understands what is not ASCII (RFC 6531 §3.7.4.1); else it is told as question marks. */
export function formatReply({ code, status, text }: Reply, isUtf8 = false): string {
  const lines = text.split(/\r?\n/).slice(0, maxLines)
  const prefix = status === undefined ? '' : `${status} `
  return lines
    .map((line, index) => {
      const start = `${code}${index === lines.length - 1 ? ' ' : '-'}${prefix}`
      return `${start}${cut(isUtf8 ? utf8(line) : ascii(line), maxReplyOctets - 2 - start.length)}\r\n`
    })
    .join('')
}

const ascii = (line: string): string => line.replace(/[^\x20-\x7e]/gu, '?')
const utf8 = (line: string): string => Buffer.from(line.replace(/\p{Cc}/gu, '?')).toString('latin1')

/** Not in the middle of a character. */
function cut(octets: string, length: number): string {
  let end = length
  while (end > 0 && /[\x80-\xbf]/.test(octets[end] ?? '')) end--
  return octets.slice(0, octets.length <= length ? length : end)
}
