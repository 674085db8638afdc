/** Reads MPP messages from octets that arrive in any pieces. App. F */
import { SyntaxFault } from '../../base/errors.ts'
import { MAX_INTEGER, MAX_TYPE_OCTETS, type MppMessage } from './message.ts'

/** msg_type, two spaces, two integers of ten digits, CR. */
const MAX_HEADER_OCTETS = MAX_TYPE_OCTETS + 2 + 2 * 10 + 1
const TRAILER_OCTETS = 5
const HEADER = /^([\x21-\x7e]+) (\d{1,10}) (\d{1,10})$/
const LF = 0x0a

/**
 * `push` octets, then take messages with `next` until it answers undefined. After a SyntaxFault the stream has lost its
 * framing: close it. Holds at most one message: `maxPayloadOctets` plus what was pushed last.
 */
export class MppDecoder {
  readonly #maxPayloadOctets: number
  /** Octets not taken yet, in order; joined once a whole message is there, so that the cost is linear in its size. */
  #chunks: Buffer[] = []
  #available = 0
  #header: { readonly type: string; readonly msgno: number; readonly size: number } | undefined
  #fault: SyntaxFault | undefined

  constructor(maxPayloadOctets: number) {
    this.#maxPayloadOctets = maxPayloadOctets
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#available += chunk.length
  }

  /** The next whole message, or undefined when more octets are needed. Throws SyntaxFault. */
  next(): MppMessage | undefined {
    if (this.#fault) throw this.#fault
    this.#header ??= this.#readHeader()
    if (!this.#header) return undefined
    const { type, msgno, size } = this.#header
    if (this.#available < size + TRAILER_OCTETS) return undefined
    const payload = this.#take(size)
    const trailer = this.#take(TRAILER_OCTETS).toString('latin1')
    if (trailer !== 'END\r\n') throw this.#fail(`no END behind the ${size} octets of ${type}`, 'trailer')
    this.#header = undefined
    return { type, msgno, payload }
  }

  #readHeader() {
    if (this.#available === 0) return undefined
    const head = this.#peek(MAX_HEADER_OCTETS + 1)
    const end = head.indexOf(LF)
    if (end < 0) {
      if (head.length > MAX_HEADER_OCTETS) throw this.#fail(`no line end in ${MAX_HEADER_OCTETS} octets`, 'header')
      return undefined
    }
    const line = this.#take(end + 1).toString('latin1')
    const match = line.endsWith('\r\n') ? HEADER.exec(line.slice(0, -2)) : null
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

  /** The first `count` octets, or all there are, left in place. */
  #peek(count: number): Buffer {
    const first = this.#chunks[0]!
    if (first.length >= count || this.#chunks.length === 1) return first.subarray(0, count)
    const parts: Buffer[] = []
    for (let have = 0, i = 0; have < count && i < this.#chunks.length; i++) {
      parts.push(this.#chunks[i]!)
      have += this.#chunks[i]!.length
    }
    return Buffer.concat(parts).subarray(0, count)
  }

  /** Removes the first `count` octets; they must be available. */
  #take(count: number): Buffer {
    const parts: Buffer[] = []
    let missing = count
    let used = 0
    while (missing > 0) {
      const chunk = this.#chunks[used]!
      if (chunk.length > missing) {
        parts.push(chunk.subarray(0, missing))
        this.#chunks[used] = chunk.subarray(missing)
        missing = 0
      } else {
        parts.push(chunk)
        missing -= chunk.length
        used++
      }
    }
    this.#chunks.splice(0, used)
    this.#available -= count
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count)
  }

  #fail(message: string, rule: string): SyntaxFault {
    this.#fault = new SyntaxFault(`MPP: ${message}`, rule)
    this.#chunks = []
    this.#available = 0
    return this.#fault
  }
}
