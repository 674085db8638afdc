/**
 * Replies of a POP3 server out of a stream of octets that may be cut anywhere. RFC 1939 §3.
 *
 * Bodies are byte-exact: dots are un-stuffed, the final CRLF belongs to the body, the terminating line doesn't. A sink
 * that answers with a promise stalls the reader; nothing is lost, and the owner is told so that it pauses the socket.
 */
import { BackendError } from '../errors.ts'
import type { BodySink } from '../types.ts'

/** What the next reply is for. The owner keeps these in the order of the commands. */
export interface Expectation {
  /** A body follows a positive reply. */
  readonly multiline: boolean
  /** Largest body, octets. */
  readonly bodyLimit: number
  /** Text behind +OK or -ERR, octets in latin1. Answers the sink of the body where there is one. */
  status(ok: boolean, text: string): BodySink | undefined
  /** `+ ` and base64, where the command is AUTH: the reply comes later. RFC 5034 §4 */
  challenge?(text: string): void
  /** The whole reply is there. */
  done(): void
}

export interface ResponseOwner {
  /** The oldest command without a reply; undefined when there is none. */
  next(): Expectation | undefined
  /** The reply to the oldest command is complete. */
  shift(): void
  /** The reader waits for a sink, or goes on. */
  stalled(waiting: boolean): void
  /** The stream can't be understood any further. */
  fault(error: BackendError): void
}

const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e
const crlfDot = Buffer.from('\r\n.')
const nothing = Buffer.alloc(0)

export class ResponseReader {
  readonly #owner: ResponseOwner
  readonly #lineOctets: number
  /** Octets that were not consumed yet; `#at` is the first of them in `#data`. */
  #data: Buffer = nothing
  #at = 0
  #queue: Buffer[] = []
  #queuedOctets = 0
  #stalled = false
  #broken = false
  #body: { readonly expectation: Expectation; readonly sink: BodySink; octets: number } | undefined
  /** The next octet of the body begins a line. */
  #lineStart = false
  /** The terminator has been read; the body ends once the sink took its last octets. */
  #endAfterStall = false
  #ended: (() => void) | undefined

  constructor(owner: ResponseOwner, lineOctets: number) {
    this.#owner = owner
    this.#lineOctets = lineOctets
  }

  get stalled(): boolean {
    return this.#stalled
  }

  /** Octets that wait to be understood. */
  get waiting(): number {
    return this.#queuedOctets + this.#data.length - this.#at
  }

  /** No octet waits to be understood, and no body is open. */
  get idle(): boolean {
    return this.#body === undefined && this.waiting === 0
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

  /** Gives up; an open body is aborted. */
  abort(reason: Error): void {
    this.#broken = true
    this.#queue = []
    this.#queuedOctets = 0
    const body = this.#body
    this.#body = undefined
    body?.sink.abort(reason)
  }

  #take(): Buffer | undefined {
    const next = this.#queue.shift()
    if (next !== undefined) this.#queuedOctets -= next.length
    return next
  }

  #run(): void {
    try {
      while (!this.#stalled && !this.#broken) {
        if (this.#at === this.#data.length) {
          const next = this.#take()
          if (next === undefined) break
          this.#data = next
          this.#at = 0
        }
        if (this.#body === undefined ? this.#status() : this.#octets()) continue
        // What is left is the beginning of something: it needs the next chunk.
        const next = this.#take()
        if (next === undefined) break
        this.#data = Buffer.concat([this.#data.subarray(this.#at), next])
        this.#at = 0
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

  /** A failure of a sink ends the session as well: its octets have nowhere to go. */
  #fail(error: unknown): void {
    const fault =
      error instanceof BackendError
        ? error
        : new BackendError('stopped', `a message could not be taken: ${String(error)}`, { cause: error })
    this.#broken = true
    this.#owner.fault(fault)
  }

  /** Consumes one status line. False when it is not complete. */
  #status(): boolean {
    const data = this.#data
    const end = data.indexOf(LF, this.#at)
    if ((end < 0 ? data.length : end) - this.#at > this.#lineOctets)
      throw new BackendError('limit', `the backend sent a line of more than ${this.#lineOctets} octets`)
    if (end < 0) return false
    const line = data.toString('latin1', this.#at, end > this.#at && data[end - 1] === CR ? end - 1 : end)
    this.#at = end + 1
    if (line === '+' || line.startsWith('+ ')) {
      const challenge = this.#owner.next()?.challenge
      if (challenge !== undefined) {
        challenge(line.slice(2))
        return true
      }
    }
    const ok = line.startsWith('+OK') && (line.length === 3 || line[3] === ' ')
    if (!ok && !(line.startsWith('-ERR') && (line.length === 4 || line[4] === ' ' || line[4] === '\t')))
      throw new BackendError('protocol', 'the backend sent something that is no POP3 reply', { serverText: line })
    const text = line.slice(ok ? 4 : 5)
    const expectation = this.#owner.next()
    if (expectation === undefined)
      throw new BackendError('closed', 'the backend spoke without being asked', { serverText: text })
    const sink = expectation.status(ok, text)
    if (ok && expectation.multiline) {
      if (sink === undefined) throw new Error('a multi-line reply needs a sink')
      this.#body = { expectation, sink, octets: 0 }
      this.#lineStart = true
    } else this.#complete(expectation)
    return true
  }

  #complete(expectation: Expectation): void {
    this.#owner.shift()
    expectation.done()
  }

  /** Consumes octets of a body. False when what is left has to wait for the next chunk. */
  #octets(): boolean {
    const data = this.#data
    if (this.#lineStart) {
      if (data[this.#at] === DOT) {
        const left = data.length - this.#at
        if (left === 1 || (left === 2 && data[this.#at + 1] === CR)) return false
        if (data[this.#at + 1] === CR && data[this.#at + 2] === LF) {
          this.#at += 3
          this.#end()
          return true
        }
        this.#at++
      }
      this.#lineStart = false
    }
    while (!this.#stalled) {
      const start = this.#at
      const hit = data.indexOf(crlfDot, start)
      if (hit < 0) {
        const last = data.length - 1
        // A CR or CRLF at the very end may be the beginning of the terminator.
        const keep =
          last >= start && data[last] === CR ? 1 : last > start && data[last] === LF && data[last - 1] === CR ? 2 : 0
        this.#at = data.length - keep
        this.#write(start, this.#at)
        return keep === 0
      }
      const behind = data[hit + 3]
      if (behind === undefined || (behind === CR && hit + 4 === data.length)) {
        this.#at = hit
        this.#write(start, hit)
        return false
      }
      if (behind === CR && data[hit + 4] === LF) {
        this.#at = hit + 5
        this.#write(start, hit + 2)
        if (this.#stalled) this.#endAfterStall = true
        else this.#end()
        return true
      }
      // A stuffed dot: the line goes on behind it.
      this.#at = hit + 3
      this.#write(start, hit + 2)
    }
    return true
  }

  #write(start: number, end: number): void {
    if (start === end) return
    const body = this.#body!
    body.octets += end - start
    if (body.octets > body.expectation.bodyLimit)
      throw new BackendError('limit', `the backend sent more than ${body.expectation.bodyLimit} octets in one reply`)
    this.#wait(body.sink.write(this.#data.subarray(start, end)))
  }

  #end(): void {
    const { expectation, sink } = this.#body!
    this.#body = undefined
    const taken = sink.end()
    if (taken instanceof Promise) this.#wait(taken.then(() => this.#complete(expectation)))
    else this.#complete(expectation)
  }

  #wait(taken: void | Promise<void>): void {
    if (!(taken instanceof Promise)) return
    this.#stalled = true
    this.#owner.stalled(true)
    taken.then(
      () => {
        this.#stalled = false
        if (this.#broken) return
        this.#owner.stalled(false)
        if (this.#endAfterStall) {
          this.#endAfterStall = false
          try {
            this.#end()
          } catch (error) {
            this.#fail(error)
          }
          if (this.#stalled) return
        }
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
