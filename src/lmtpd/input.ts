/** Joins a connection to the reader: lines and content in the order of the octets. */
import { LmtpReader, type Piece } from '../proto/lmtp/reader.ts'
import { ClientOctets } from '../server/client-octets.ts'
import type { Output } from '../server/output.ts'
import type { ClientConnection } from '../server/types.ts'

export class Input {
  readonly #octets: ClientOctets
  #reader = new LmtpReader()

  constructor(connection: ClientConnection, output: Output) {
    this.#octets = new ClientOctets(connection, output)
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
      this.#reader.push(await this.#octets.next())
    }
  }
}
