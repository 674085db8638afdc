/**
 * Responses of an IMAP server out of a stream of octets that may be cut anywhere. RFC 9051 §2.2.2, §4.3.
 *
 * A literal goes to a sink as it comes where the owner has one for it, else it is collected with its response. A sink that answers with
 * a promise stalls the reader; nothing is lost, and the owner is told so that it pauses the socket.
 */
import { BackendError } from '../errors.ts'
import type { BodySink } from '../types.ts'

/** The length of a literal that went to a sink. */
export interface Streamed {
  readonly octets: number
}

/** Text between literals (octets in latin1, without the literal's header), a collected literal, or what stands for a streamed one. */
export type Part = string | Buffer | Streamed

export interface ResponseOwner {
  /** A literal of so many octets begins behind these parts. Answers where they go; undefined: collected. */
  literal(before: readonly Part[], octets: number): BodySink | undefined
  /** A response is complete; its line end is left out. */
  response(parts: readonly Part[]): void
  /** The reader waits for a sink, or goes on. */
  stalled(waiting: boolean): void
  /** The stream can't be understood any further. */
  fault(error: BackendError): void
}

export interface ReaderLimits {
  /** Of all text and collected literals of one response. */
  readonly responseOctets: number
  readonly literalOctets: number
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
/** `{12}` at the end of a line announces a literal, `~{12}` one that may hold NUL. RFC 9051 §4.3, RFC 3516 §4.2. At most 15 digits are a number. */
const literalHeader = /~?\{([0-9]{1,15})\+?\}$/
/** As above with what no server may send, but some do: no number, or too large a one. */
const brokenHeader = /~?\{[^{}"]{0,40}\}$/
const nothing = Buffer.alloc(0)

export class ResponseReader {
  readonly #owner: ResponseOwner
  readonly #limits: ReaderLimits
  /** Octets that were not consumed yet; `#at` is the first of them in `#data`. */
  #data: Buffer = nothing
  #at = 0
  #queue: Buffer[] = []
  #queuedOctets = 0
  #stalled = false
  #broken = false
  #parts: Part[] = []
  /** Octets that `#parts` hold. */
  #held = 0
  #literal: { left: number; readonly octets: number; readonly sink: BodySink | undefined; pieces: Buffer[] } | undefined
  #ended: (() => void) | undefined

  constructor(owner: ResponseOwner, limits: ReaderLimits) {
    this.#owner = owner
    this.#limits = limits
  }

  get stalled(): boolean {
    return this.#stalled
  }

  /** Octets that wait to be understood. */
  get waiting(): number {
    return this.#queuedOctets + this.#data.length - this.#at
  }

  /** No response has begun, and no octet waits. */
  get idle(): boolean {
    return this.#parts.length === 0 && this.#literal === undefined && this.waiting === 0
  }

  /** Takes back the octets that wait to be understood; for whoever reads on behind a complete response. */
  rest(): Buffer {
    const rest = Buffer.concat([this.#data.subarray(this.#at), ...this.#queue])
    this.#broken = true
    this.#queue = []
    return rest
  }

  push(chunk: Buffer): void {
    if (this.#broken || chunk.length === 0) return
    this.#queue.push(chunk)
    this.#queuedOctets += chunk.length
    if (!this.#stalled) this.#run()
  }

  /** No more octets will come: `then` runs when those that are here have been dealt with. */
  end(then: () => void): void {
    if (this.#stalled && !this.#broken) this.#ended = then
    else then()
  }

  /** Gives up; an open sink is aborted. */
  abort(reason: Error): void {
    this.#broken = true
    this.#queue = []
    this.#queuedOctets = 0
    const literal = this.#literal
    this.#literal = undefined
    literal?.sink?.abort(reason)
  }

  #run(): void {
    try {
      while (!this.#stalled && !this.#broken) {
        if (this.#at === this.#data.length && !this.#next()) break
        if (this.#literal === undefined ? this.#line() : this.#octets()) continue
        // What is left is the beginning of a line: it needs the next chunk.
        const rest = this.#data.subarray(this.#at)
        if (!this.#next()) {
          this.#data = rest
          this.#at = 0
          break
        }
        this.#data = Buffer.concat([rest, this.#data])
      }
    } catch (error) {
      this.#fail(error)
    }
    if (!this.#stalled && this.#ended !== undefined) {
      const ended = this.#ended
      this.#ended = undefined
      ended()
    }
  }

  #next(): boolean {
    const next = this.#queue.shift()
    if (next === undefined) return false
    this.#queuedOctets -= next.length
    this.#data = next
    this.#at = 0
    return true
  }

  /** A failure of a sink ends the session as well: its octets have nowhere to go. */
  #fail(error: unknown): void {
    const fault =
      error instanceof BackendError
        ? error
        : new BackendError('stopped', `a message could not be taken: ${String(error)}`, { cause: error })
    this.#broken = true
    this.#owner.fault(fault)
  }

  /** Consumes text up to a line end. False when there is none yet. */
  #line(): boolean {
    const data = this.#data
    const end = data.indexOf(lineFeed, this.#at)
    this.#hold((end < 0 ? data.length : end) - this.#at, end >= 0)
    if (end < 0) return false
    const text = data.toString('latin1', this.#at, end > this.#at && data[end - 1] === carriageReturn ? end - 1 : end)
    this.#at = end + 1
    const header = text.endsWith('}') ? literalHeader.exec(text) : null
    if (header === null) {
      if (text.endsWith('}') && brokenHeader.test(text) && /(?:BODY|RFC822|BINARY)[^ ]* ~?\{[^{}]*\}$/i.test(text))
        throw new BackendError('protocol', 'the backend announced a literal without a sensible length', {
          serverText: text,
        })
      this.#parts.push(text)
      const parts = this.#parts
      this.#parts = []
      this.#held = 0
      this.#owner.response(parts)
      return true
    }
    this.#parts.push(text.slice(0, header.index))
    this.#begin(Number(header[1]))
    return true
  }

  #begin(octets: number): void {
    if (octets > this.#limits.literalOctets)
      throw new BackendError(
        'limit',
        `the backend announced a literal of ${octets} octets, more than ${this.#limits.literalOctets}`,
      )
    const sink = this.#owner.literal(this.#parts, octets)
    if (sink === undefined) this.#hold(octets, true)
    this.#literal = { left: octets, octets, sink, pieces: [] }
    if (octets === 0) this.#end()
  }

  /** Counts octets that stay in memory with the response; of an incomplete line they will be counted again. */
  #hold(octets: number, forGood: boolean): void {
    if (this.#held + octets > this.#limits.responseOctets)
      throw new BackendError('limit', `the backend sent a response of more than ${this.#limits.responseOctets} octets`)
    if (forGood) this.#held += octets
  }

  /** Consumes octets of a literal. */
  #octets(): boolean {
    const literal = this.#literal!
    const end = Math.min(this.#data.length, this.#at + literal.left)
    const piece = this.#data.subarray(this.#at, end)
    this.#at = end
    literal.left -= piece.length
    if (literal.sink === undefined) {
      literal.pieces.push(piece)
      if (literal.left === 0) this.#end()
      return true
    }
    const taken = literal.sink.write(piece)
    if (taken instanceof Promise) this.#wait(taken, () => literal.left === 0 && this.#end())
    else if (literal.left === 0) this.#end()
    return true
  }

  #end(): void {
    const { sink, pieces, octets } = this.#literal!
    this.#literal = undefined
    this.#parts.push(sink === undefined ? Buffer.concat(pieces) : { octets })
    const taken = sink?.end()
    if (taken instanceof Promise) this.#wait(taken, () => {})
  }

  #wait(taken: Promise<void>, then: () => void): void {
    this.#stalled = true
    this.#owner.stalled(true)
    taken.then(
      () => {
        this.#stalled = false
        if (this.#broken) return
        try {
          then()
        } catch (error) {
          this.#fail(error)
          return
        }
        if (this.#stalled) return
        this.#owner.stalled(false)
        this.#run()
      },
      (error: unknown) => {
        this.#stalled = false
        this.#fail(error)
        this.#run()
      },
    )
  }
}
