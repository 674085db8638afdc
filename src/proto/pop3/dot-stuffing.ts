/**
 * A message as the body of a multi-line response: RFC 1939 §3. Octets pass as they are, with a dot put in front of every line that
 * starts with one. Lines end with LF here, CRLF or not: most clients read bare LF as a line end, and a lone dot behind
 * one would end the message for them (docs/decisions/0060-pop3-octets.md).
 */

const LF = 0x0a
const DOT = 0x2e
const lfDot = Buffer.from('\n.')
const crlf = Buffer.from('\r\n')

export class DotStuffer {
  /** The next octet starts a line. */
  #atLineStart = true
  /** The last two octets, to tell whether the message ends with CRLF. */
  #tail = Buffer.alloc(0)

  /** The octets to send for the next ones of the message; the same Buffer when nothing is to be stuffed. */
  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return chunk
    /** Where dots to be doubled are. */
    const dots: number[] = []
    if (this.#atLineStart && chunk[0] === DOT) dots.push(0)
    for (let at = chunk.indexOf(lfDot); at >= 0; at = chunk.indexOf(lfDot, at + 2)) dots.push(at + 1)
    this.#atLineStart = chunk.at(-1) === LF
    this.#tail = chunk.length >= 2 ? Buffer.from(chunk.subarray(-2)) : Buffer.concat([this.#tail, chunk]).subarray(-2)
    if (dots.length === 0) return chunk
    const stuffed = Buffer.allocUnsafe(chunk.length + dots.length)
    let from = 0
    let to = 0
    for (const dot of dots) {
      to += chunk.copy(stuffed, to, from, dot)
      stuffed[to++] = DOT
      from = dot
    }
    chunk.copy(stuffed, to, from)
    return stuffed
  }

  /** What ends the response: a CRLF first where the message does not end with one. */
  end(): Buffer {
    const terminator = Buffer.from('.\r\n')
    return this.#tail.length === 0 || this.#tail.equals(crlf) ? terminator : Buffer.concat([crlf, terminator])
  }
}
