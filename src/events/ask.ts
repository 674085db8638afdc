/**
 * Requests to the process that serves a service. A request goes out once more, and only once, when the connection broke or
 * the answering process died before the answer: what is asked must be harmless to repeat, as authenticate and sync are.
 */
import type { Clock } from '../base/clock.ts'
import { RemoteError, SyntaxFault } from '../base/errors.ts'
import type { Connection } from './respond.ts'
import type { AskOptions, Json } from './types.ts'
import * as wire from './wire.ts'

/** How long a restarting service is waited for, within the request's own timeout. */
const UNSERVED_GRACE_MS = 3000
const UNSERVED_PAUSE_MS = 100

interface Pending {
  /** Octets of `answer` or `presences`, or the failure. `more` follows when it answers true. */
  take(verb: string, payload: Buffer): boolean
  lost(): void
}

/** A failure of the way, not of what was asked. */
class Undelivered extends Error {
  readonly reason: 'unserved' | 'lost'
  constructor(reason: 'unserved' | 'lost', message: string) {
    super(message)
    this.reason = reason
  }
}

/** What this process asks others, and the hub for the table of presences. Everything throws RemoteError. */
export class Asker {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #closed: AbortSignal
  readonly #pending = new Map<number, Pending>()
  #connected = false
  #waiting = Promise.withResolvers<void>()
  #lastReason: string | undefined

  constructor(connection: Connection, clock: Clock, closed: AbortSignal) {
    this.#connection = connection
    this.#clock = clock
    this.#closed = closed
  }

  connected(): void {
    this.#connected = true
    this.#waiting.resolve()
  }

  disconnected(): void {
    // A connection that ended before it was welcomed: who waits, waits for the next one.
    if (this.#connected) this.#waiting = Promise.withResolvers()
    this.#connected = false
    for (const pending of [...this.#pending.values()]) pending.lost()
  }

  unreachable(reason: string): void {
    this.#lastReason = reason
  }

  answer(verb: string, msgno: number, payload: Buffer): void {
    const pending = this.#pending.get(msgno)
    if (pending && !pending.take(verb, payload)) this.#pending.delete(msgno)
  }

  list(user: string | null | undefined, timeoutMs: number): Promise<readonly wire.ListedPresence[]> {
    return this.#withDeadline('list of presences', timeoutMs, undefined, (signal) => {
      const found: wire.ListedPresence[] = []
      return this.#exchange(
        (msgno) => wire.encodeHub('list', msgno, { user }),
        (_verb, payload) => {
          const { presences, more } = wire.decodePresences(payload)
          found.push(...presences)
          return more ? undefined : { value: found }
        },
        signal,
      )
    })
  }

  ask(service: string, request: Json, { secret = false, timeoutMs, signal }: AskOptions): Promise<Json> {
    if (!wire.isServiceName(service)) throw new RangeError(`${service} can't be a service`)
    const failed = (message: string) => Promise.reject(new RemoteError(message, { retryable: false }))
    if (secret && !this.#connection.isProtected)
      return failed(
        `a credential is not sent to ${this.#connection.where} in the clear: set msevent_host to a Unix socket path, or msevent_tls to true`,
      )
    const payload = Buffer.byteLength(JSON.stringify(request))
    if (payload > wire.MAX_PAYLOAD_OCTETS) return failed(`request of ${payload} octets to ${service}`)
    return this.#withDeadline(`answer from ${service}`, timeoutMs, signal, (giveUp) =>
      this.#exchange(
        (msgno) => wire.encodeService(service, secret ? 'secret' : 'ask', msgno, request),
        (verb, octets) => {
          if (verb === 'answer') return { value: wire.decodeJson(octets) }
          const failure = wire.decodeFailure(octets)
          if (failure.reason) throw new Undelivered(failure.reason, failure.text)
          throw new RemoteError(failure.text, { retryable: failure.retryable })
        },
        giveUp,
      ),
    )
  }

  /** Repeats `exchange` as the head of this file says, until the time is up, the caller gives up or the bus is closed. */
  async #withDeadline<T>(
    what: string,
    timeoutMs: number,
    callerSignal: AbortSignal | undefined,
    exchange: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const finished = new AbortController()
    const giveUp = new AbortController()
    const signal = AbortSignal.any([giveUp.signal, this.#closed, ...(callerSignal ? [callerSignal] : [])])
    this.#clock.sleep(timeoutMs, finished.signal).then(
      () => giveUp.abort(new RemoteError(this.#timeoutText(what, timeoutMs), { retryable: true })),
      () => {},
    )
    let lost = 0
    const served = this.#clock.monotonic() + UNSERVED_GRACE_MS
    try {
      for (;;) {
        signal.throwIfAborted()
        await abortable(this.#waiting.promise, signal)
        try {
          return await exchange(signal)
        } catch (error) {
          if (error instanceof SyntaxFault)
            throw new RemoteError(`unreadable ${what}: ${error.message}`, { retryable: false })
          if (!(error instanceof Undelivered)) throw error
          const again = error.reason === 'lost' ? lost++ === 0 : this.#clock.monotonic() < served
          if (!again) throw new RemoteError(error.message, { retryable: true })
          if (error.reason === 'unserved') await this.#clock.sleep(UNSERVED_PAUSE_MS, signal)
        }
      }
    } finally {
      finished.abort()
    }
  }

  #exchange<T>(
    encode: (msgno: number) => Buffer,
    decode: (verb: string, payload: Buffer) => { readonly value: T } | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#connected) throw new Undelivered('lost', `${this.#connection.where} is away`)
      const msgno = this.#connection.nextMsgno()
      const onAbort = () => {
        this.#pending.delete(msgno)
        this.#connection.send(wire.encodeHub('cancel', msgno))
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const settled = () => {
        this.#pending.delete(msgno)
        signal.removeEventListener('abort', onAbort)
      }
      this.#pending.set(msgno, {
        take(verb, payload) {
          try {
            const decoded = decode(verb, payload)
            if (!decoded) return true
            resolve(decoded.value)
          } catch (error) {
            reject(error)
          }
          settled()
          return false
        },
        lost: () => {
          settled()
          reject(new Undelivered('lost', `the connection to ${this.#connection.where} broke before the answer`))
        },
      })
      this.#connection.send(encode(msgno))
    })
  }

  #timeoutText(what: string, timeoutMs: number): string {
    if (this.#connected) return `no ${what} within ${timeoutMs} ms`
    const reason = this.#lastReason ? `: ${this.#lastReason}` : ''
    return `${this.#connection.where} could not be reached within ${timeoutMs} ms${reason}`
  }
}

const abortable = (promise: Promise<void>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
  })
