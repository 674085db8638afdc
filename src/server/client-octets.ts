/** What a client sends, for a daemon's input: waits that end when the client is gone, or when the session is to. */
import type { Output } from './output.ts'
import type { ClientConnection } from './types.ts'

/** The client is gone: nothing can be told to it any more. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected'
}

/** The session is to end, for the reason that is the message. */
export class Stopping extends Error {
  override readonly name = 'Stopping'
  constructor({ reason }: AbortSignal) {
    super(reason instanceof Error ? reason.message : 'the service is stopping')
  }
}

export class ClientOctets {
  readonly #connection: ClientConnection
  readonly #output: Output
  #interrupt: (reason: Error) => void = () => {}

  constructor(connection: ClientConnection, output: Output) {
    this.#connection = connection
    this.#output = output
    const { stopping } = connection
    stopping.addEventListener('abort', () => this.#interrupt(new Stopping(stopping)), { once: true })
  }

  /** The next ones. Throws Disconnected, Stopping or ConnectionTimeout. What was queued for the client leaves before any wait. */
  async next(): Promise<Buffer> {
    this.#output.flush()
    const octets = await this.#read()
    if (octets === undefined) throw new Disconnected('closed by the client')
    return octets
  }

  #read(): Promise<Buffer | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
    this.#interrupt = reject
    if (this.#connection.stopping.aborted) reject(new Stopping(this.#connection.stopping))
    else this.#connection.read().then(resolve, reject)
    return promise
  }
}
