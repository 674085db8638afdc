/** Joins a connection to the line reader. */
import { LineReader } from '../proto/pop3/line-reader.ts'
import type { Output } from '../server/output.ts'
import type { ClientConnection } from '../server/types.ts'

/** The client is gone: nothing can be told to it any more. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected'
}

/** The daemon is stopping. */
export class Stopping extends Error {
  override readonly name = 'Stopping'
}

/** The client's lines, one after the other. */
export class Input {
  readonly #connection: ClientConnection
  readonly #output: Output
  #interrupt: (reason: Error) => void = () => {}
  #lines = new LineReader()

  constructor(connection: ClientConnection, output: Output) {
    this.#connection = connection
    this.#output = output
    connection.stopping.addEventListener('abort', () => this.#interrupt(new Stopping('stopping')), { once: true })
  }

  /** Octets received behind the last line. */
  get pending(): number {
    return this.#lines.pending
  }

  /** TLS came up: nothing of what was before it counts. RFC 2595 §4 */
  restart(): void {
    this.#lines = new LineReader()
  }

  /** Octets received behind the last line, for whoever reads on from the connection. */
  rest(): Buffer {
    return this.#lines.rest()
  }

  /**
   * Next line without its end. Throws Disconnected, Stopping, ConnectionTimeout, and SyntaxFault for a line that is too long.
   * What was queued for the client leaves before any wait.
   */
  async line(): Promise<Buffer> {
    for (;;) {
      const line = this.#lines.next()
      if (line !== undefined) return line
      this.#output.flush()
      const octets = await this.#read()
      if (octets === undefined) throw new Disconnected('closed by the client')
      this.#lines.push(octets)
    }
  }

  #read(): Promise<Buffer | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
    this.#interrupt = reject
    if (this.#connection.stopping.aborted) reject(new Stopping('stopping'))
    else this.#connection.read().then(resolve, reject)
    return promise
  }
}
