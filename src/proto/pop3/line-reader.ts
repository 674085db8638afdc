/** A client's lines, from octets that arrive in any pieces. RFC 1939 §3, RFC 2449 §4 */
import { SyntaxFault } from '../../base/errors.ts'
import { OctetQueue } from '../octet-queue.ts'

/**
 * Longest line, its end counted. RFC 2449 §4 asks for 255 octets; a line of an AUTH exchange may be longer (RFC 5034 §4),
 * and so may a password.
 */
export const MAX_LINE_OCTETS = 8 * 1024

const CR = 0x0d

export class LineReader {
  readonly #queue = new OctetQueue()

  push(octets: Buffer): void {
    this.#queue.push(octets)
  }

  /** Octets received behind the last line. */
  get pending(): number {
    return this.#queue.length
  }

  /** Gives up the octets behind the last line: whoever takes them reads on by himself. */
  rest(): Buffer {
    return this.#queue.takeExactly(this.#queue.length)
  }

  /**
   * The next line without its end (CRLF; a bare LF is taken too), or undefined when none is complete. Throws SyntaxFault when
   * it is too long: the rest of it is not skipped, so the connection has to end.
   */
  next(): Buffer | undefined {
    const line = this.#queue.takeLine()
    if ((line ?? this.#queue).length > MAX_LINE_OCTETS)
      throw new SyntaxFault(`a line may have ${MAX_LINE_OCTETS} octets`, 'line')
    if (!line) return undefined
    return line.subarray(0, line.at(-2) === CR ? -2 : -1)
  }
}
