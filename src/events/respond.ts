/** Answers requests that other processes send to the services of this one. */
import { RemoteError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Json } from './types.ts'
import * as wire from './wire.ts'

/** What asking and answering need of the connection; `send` drops while there is none. */
export interface Connection {
  readonly where: string
  readonly isProtected: boolean
  nextMsgno(): number
  send(octets: Buffer): void
}

type Handler = (request: Json, signal: AbortSignal) => Promise<Json>

/** The services of this process, and the requests that it is answering. */
export class Responder {
  readonly #connection: Connection
  readonly #log: Log
  readonly #handlers = new Map<string, Handler>()
  /** By the hub's msgno. */
  readonly #running = new Map<number, AbortController>()

  constructor(connection: Connection, log: Log) {
    this.#connection = connection
    this.#log = log
  }

  serve(service: string, handler: Handler): () => void {
    if (!wire.isServiceName(service)) throw new RangeError(`${service} can't be a service`)
    if (wire.SECRET_SERVICES.has(service) && !this.#connection.isProtected)
      throw new RemoteError(
        `${service} takes credentials and is not served to ${this.#connection.where} in the clear: set msevent_host to a Unix socket path, or msevent_tls to true`,
        { retryable: false },
      )
    if (this.#handlers.has(service)) throw new RangeError(`${service} is served by this process already`)
    this.#handlers.set(service, handler)
    this.#connection.send(wire.encodeHub('serve', 0, { service }))
    return () => {
      if (this.#handlers.get(service) !== handler) return
      this.#handlers.delete(service)
      this.#connection.send(wire.encodeHub('unserve', 0, { service }))
    }
  }

  /** On a new connection. */
  restore(): void {
    for (const service of this.#handlers.keys()) this.#connection.send(wire.encodeHub('serve', 0, { service }))
  }

  /** Nobody waits any more for what is being answered. */
  disconnected(): void {
    for (const controller of this.#running.values()) controller.abort(new Error('the asking connection is gone'))
    this.#running.clear()
  }

  cancel(msgno: number): void {
    this.#running.get(msgno)?.abort(new Error('the asking process gave up'))
    this.#running.delete(msgno)
  }

  request(service: string, msgno: number, payload: Buffer): void {
    const controller = new AbortController()
    this.#running.set(msgno, controller)
    this.#answer(service, payload, controller.signal).then((answer) => {
      // A cancelled request has no asker, and its msgno may be in use again.
      if (this.#running.get(msgno) !== controller) return
      this.#running.delete(msgno)
      this.#connection.send(answer(msgno))
    })
  }

  async #answer(service: string, payload: Buffer, signal: AbortSignal): Promise<(msgno: number) => Buffer> {
    const failure = (failed: wire.Failure) => (msgno: number) =>
      wire.encodeService(service, 'failure', msgno, { ...failed })
    const handler = this.#handlers.get(service)
    if (!handler) return failure({ text: `${service} is not served here`, retryable: true, reason: 'unserved' })
    try {
      const value = await handler(wire.decodeJson(payload), signal)
      const octets = Buffer.byteLength(JSON.stringify(value))
      if (octets > wire.MAX_PAYLOAD_OCTETS) throw new RangeError(`answer of ${octets} octets`)
      return (msgno) => wire.encodeService(service, 'answer', msgno, value)
    } catch (error) {
      if (error instanceof RemoteError)
        return failure({ text: error.message.slice(0, 1000), retryable: error.retryable })
      // The text could quote the request: it stays out of the answer and of the log.
      if (!signal.aborted)
        this.#log.log('err', `answering a request to ${service} failed`, { error: (error as Error).name })
      return failure({ text: `${service} failed on this request`, retryable: true })
    }
  }
}
