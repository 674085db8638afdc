/** What goes to the client: replies to pipelined commands leave together, and nobody runs ahead of a slow reader. */
import type { ClientConnection } from '../server/types.ts'

/** Gathered text goes to the connection from this size on, and a producer then waits for the client. */
const PIECE_OCTETS = 32 * 1024

/** What a session writes goes through one of these. */
export class Output {
  readonly #connection: ClientConnection
  #text = ''
  #unawaited = 0

  constructor(connection: ClientConnection) {
    this.#connection = connection
  }

  /** Queues octets; a string stands for ASCII. */
  write(octets: Buffer | string): void {
    if (typeof octets === 'string') {
      this.#text += octets
      return
    }
    this.flush()
    this.#connection.write(octets)
    this.#unawaited += octets.length
  }

  /** Hands everything to the connection. */
  flush(): void {
    if (this.#text === '') return
    this.#unawaited += this.#text.length
    this.#connection.write(this.#text)
    this.#text = ''
  }

  /** To be awaited between pieces of a long reply: pauses while the client is behind. */
  async flow(): Promise<void> {
    if (this.#text.length + this.#unawaited < PIECE_OCTETS) return
    this.flush()
    this.#unawaited = 0
    await this.#connection.drain()
  }
}
