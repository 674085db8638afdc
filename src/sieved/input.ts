/** Joins a connection to the line reader. */
import { type LineLimits, LineReader } from '../proto/managesieve/line-reader.ts'
import type { Token } from '../proto/managesieve/token.ts'
import { ClientOctets } from '../server/client-octets.ts'
import type { Output } from '../server/output.ts'
import type { ClientConnection } from '../server/types.ts'

/** Nobody has logged in: a response of SASL is all that is long, and nothing is read to be forgotten. */
const strangerLimits: LineLimits = { literalOctets: 16 * 1024, forgottenOctets: 16 * 1024 }
const forgottenOctets = 16 * 1024 * 1024
/** Also where scripts that are kept have to be smaller: CHECKSCRIPT knows no quota. RFC 5804 §2.12 */
const checkedOctets = 128 * 1024

/** The client's lines, one after the other. */
export class Input {
  readonly #octets: ClientOctets
  #lines = new LineReader(strangerLimits)

  constructor(connection: ClientConnection, output: Output) {
    this.#octets = new ClientOctets(connection, output)
  }

  /** Octets received behind the last line. */
  get pending(): number {
    return this.#lines.pending
  }

  /** Somebody logged in, who may send scripts of this size. */
  takeScripts(maxOctets: number): void {
    this.#lines.limits = { literalOctets: Math.max(maxOctets, checkedOctets), forgottenOctets }
  }

  /** Nobody is logged in any more. */
  takeNoScripts(): void {
    this.#lines.limits = strangerLimits
  }

  /** TLS came up: nothing of what was before it counts. RFC 5804 §2.2 */
  restart(): void {
    this.#lines = new LineReader(strangerLimits)
  }

  /**
   * Next line. Throws Disconnected, Stopping, ConnectionTimeout, and what `LineReader.next` throws. What was queued for the client leaves before any
   * wait.
   */
  async line(): Promise<readonly Token[]> {
    for (;;) {
      const line = this.#lines.next()
      if (line !== undefined) return line
      this.#lines.push(await this.#octets.next())
    }
  }
}
