/** Joins a connection to the reader: lines and content in the order of the octets. */
import { LmtpReader, type Piece } from '../proto/lmtp/reader.ts'
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

export class Input {
  readonly #connection: ClientConnection
  readonly #output: Output
  #interrupt: (reason: Error) => void = () => {}
  #reader = new LmtpReader()

  constructor(connection: ClientConnection, output: Output) {
    this.#connection = connection
    this.#output = output
    connection.stopping.addEventListener('abort', () => this.#interrupt(new Stopping('stopping')), { once: true })
  }

  /** Octets received behind what was given last. */
  get pending(): number {
    return this.#reader.pending
  }

  /** TLS came up: nothing of what was before it counts. RFC 3207 §4.2 */
  restart(): void {
    this.#reader = new LmtpReader()
  }

  /** Next line. Throws Disconnected, Stopping, ConnectionTimeout, and SyntaxFault for one that ends the session. */
  async line(): Promise<Buffer> {
    const piece = await this.#next()
    if (piece.kind !== 'line') throw new Error(`a line was expected, not ${piece.kind}`)
    return piece.octets
  }

  /** The message that follows, to its end. Throws as `line` does. */
  message(): AsyncGenerator<Buffer> {
    this.#reader.expectMessage()
    return this.#content()
  }

  /** So many octets that follow. */
  chunk(octets: number): AsyncGenerator<Buffer> {
    this.#reader.expectChunk(octets)
    return this.#content()
  }

  async *#content(): AsyncGenerator<Buffer> {
    for (let piece = await this.#next(); piece.kind === 'content'; piece = await this.#next()) yield piece.octets
  }

  /** What was queued for the client leaves before any wait. RFC 2920 §3.2 */
  async #next(): Promise<Piece> {
    for (;;) {
      const piece = this.#reader.next()
      if (piece !== undefined) return piece
      this.#output.flush()
      const octets = await this.#read()
      if (octets === undefined) throw new Disconnected('closed by the client')
      this.#reader.push(octets)
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
