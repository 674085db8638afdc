/**
 * What a client sends, from octets that arrive in any pieces: command lines, and in between the octets of messages, where the session said that they come. A
 * message is never looked at as commands, nor commands as a message. RFC 5321 §2.3.8, RFC 3030 §2
 */
import { SyntaxFault } from '../../base/errors.ts'
import { OctetQueue } from '../octet-queue.ts'
import { DotUnstuffer } from './dot-unstuffing.ts'

/** Longest line, its end counted: what AUTH may need (RFC 4954 §4), which is more than paths and parameters of all extensions do. */
export const maxLineOctets = 12_288

const cr = 0x0d

export type Piece =
  /** A command, or a response to a challenge, without CR LF. */
  | { readonly kind: 'line'; readonly octets: Buffer }
  /** Of the message; not more than arrived in one piece. */
  | { readonly kind: 'content'; readonly octets: Buffer }
  /** The dot behind the message, or the last octet of the chunk, was read: lines follow. */
  | { readonly kind: 'end' }

export class LmtpReader {
  readonly #queue = new OctetQueue()
  /** Of the message that is being read. */
  #unstuffer: DotUnstuffer | undefined
  #chunkLeft: number | undefined

  push(octets: Buffer): void {
    this.#queue.push(octets)
  }

  /** Octets received behind the last piece. */
  get pending(): number {
    return this.#queue.length
  }

  /** A message follows, up to CR LF dot CR LF. */
  expectMessage(): void {
    this.#unstuffer = new DotUnstuffer()
  }

  /** So many octets of a message follow, as they are. */
  expectChunk(octets: number): void {
    this.#chunkLeft = octets
  }

  /**
   * The next piece, or undefined when none is there yet. Throws SyntaxFault for a line that is too long or does not end with CR LF: whoever sent it and we may not agree
   * about what lines are, so nothing behind it can be a command.
   */
  next(): Piece | undefined {
    if (this.#unstuffer !== undefined) return this.#nextOfMessage(this.#unstuffer)
    if (this.#chunkLeft !== undefined) return this.#nextOfChunk(this.#chunkLeft)
    const line = this.#queue.takeLine()
    if ((line ?? this.#queue).length > maxLineOctets)
      throw new SyntaxFault(`a line may have ${maxLineOctets} octets`, 'line')
    if (line === undefined) return undefined
    if (line.at(-2) !== cr) throw new SyntaxFault('a line ends with CR LF, not with LF alone', 'line')
    return { kind: 'line', octets: line.subarray(0, -2) }
  }

  #nextOfMessage(unstuffer: DotUnstuffer): Piece | undefined {
    for (;;) {
      const chunk = this.#queue.peek()
      if (chunk === undefined) return undefined
      const { octets, endsAt } = unstuffer.push(chunk)
      this.#queue.takeExactly(endsAt ?? chunk.length)
      if (endsAt !== undefined) {
        this.#unstuffer = undefined
        if (octets.length === 0) return { kind: 'end' }
        // The end comes with the next call.
        this.#chunkLeft = 0
      }
      if (octets.length > 0) return { kind: 'content', octets }
    }
  }

  #nextOfChunk(left: number): Piece | undefined {
    if (left === 0) {
      this.#chunkLeft = undefined
      return { kind: 'end' }
    }
    const octets = this.#queue.take(left)
    if (octets === undefined) return undefined
    this.#chunkLeft = left - octets.length
    return { kind: 'content', octets }
  }
}
