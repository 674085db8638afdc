/** Reads MPP messages from octets that arrive in any pieces. App. F */
import { SyntaxFault } from '../../base/errors.ts'
import { OctetQueue } from '../octet-queue.ts'
import { MAX_INTEGER, MAX_TYPE_OCTETS, type MppMessage } from './message.ts'

/** msg_type, two spaces, two integers of ten digits, CRLF. */
const MAX_HEADER_OCTETS = MAX_TYPE_OCTETS + 2 + 2 * 10 + 2
const TRAILER = 'END\r\n'
const HEADER = /^([\x21-\x7e]+) (\d{1,10}) (\d{1,10})\r\n$/

/**
 * `push` octets, then take messages with `next` until it answers undefined. After a SyntaxFault the stream has lost its
 * framing: close it. Holds at most one message: `maxPayloadOctets` plus what was pushed last.
 */
export class MppDecoder {
  readonly #maxPayloadOctets: number
  readonly #queue = new OctetQueue()
  #header: { readonly type: string; readonly msgno: number; readonly size: number } | undefined
  #fault: SyntaxFault | undefined

  constructor(maxPayloadOctets: number) {
    this.#maxPayloadOctets = maxPayloadOctets
  }

  push(chunk: Buffer): void {
    this.#queue.push(chunk)
  }

  /** The next whole message, or undefined when more octets are needed. Throws SyntaxFault. */
  next(): MppMessage | undefined {
    if (this.#fault) throw this.#fault
    this.#header ??= this.#readHeader()
    if (!this.#header) return undefined
    const { type, msgno, size } = this.#header
    if (this.#queue.length < size + TRAILER.length) return undefined
    const payload = this.#take(size)
    if (this.#take(TRAILER.length).toString('latin1') !== TRAILER)
      throw this.#fail(`no END behind the ${size} octets of ${type}`, 'trailer')
    this.#header = undefined
    return { type, msgno, payload }
  }

  #readHeader() {
    const line = this.#queue.takeLine()
    if ((line ?? this.#queue).length > MAX_HEADER_OCTETS)
      throw this.#fail(`no line end in ${MAX_HEADER_OCTETS} octets`, 'header')
    if (!line) return undefined
    const match = HEADER.exec(line.toString('latin1'))
    if (!match) throw this.#fail('not "msg_type SP msgno SP size CRLF"', 'header')
    const [, type, msgnoDigits, sizeDigits] = match as unknown as [string, string, string, string]
    const msgno = Number(msgnoDigits)
    const size = Number(sizeDigits)
    if (msgno > MAX_INTEGER) throw this.#fail(`msgno above ${MAX_INTEGER}`, 'msgno')
    if (size > MAX_INTEGER) throw this.#fail(`size above ${MAX_INTEGER}`, 'size')
    if (size > this.#maxPayloadOctets)
      throw this.#fail(`payload of ${size} octets, at most ${this.#maxPayloadOctets} are accepted`, 'size')
    return { type, msgno, size }
  }

  /** The next `count` octets; they must be there. */
  #take(count: number): Buffer {
    const parts: Buffer[] = []
    for (let missing = count; missing > 0; ) {
      const part = this.#queue.take(missing)!
      parts.push(part)
      missing -= part.length
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count)
  }

  #fail(message: string, rule: string): SyntaxFault {
    this.#fault = new SyntaxFault(`MPP: ${message}`, rule)
    return this.#fault
  }
}
