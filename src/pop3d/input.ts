/** Joins a connection to the line reader. */
import { LineReader } from '../proto/pop3/line-reader.ts'
import { ClientOctets } from '../server/client-octets.ts'
import type { Output } from '../server/output.ts'
import type { ClientConnection } from '../server/types.ts'

/** The client's lines, one after the other. */
export class Input {
  readonly #octets: ClientOctets
  #lines = new LineReader()

  constructor(connection: ClientConnection, output: Output) {
    this.#octets = new ClientOctets(connection, output)
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
      this.#lines.push(await this.#octets.next())
    }
  }
}
