/** Joins a connection to the push parser: events in the order of the octets. */

import { preAuthLimits, type ReceiverLimits } from '../proto/imap/limits.ts'
import { CommandReceiver } from '../proto/imap/receiver.ts'
import type { ReceiverEvent } from '../proto/imap/receiver-events.ts'
import { ClientOctets } from '../server/client-octets.ts'
import type { Output } from '../server/output.ts'
import type { ClientConnection } from '../server/types.ts'
import { Refusal } from './replies.ts'

export class Input {
  readonly #octets: ClientOctets
  #receiver = new CommandReceiver(preAuthLimits)

  constructor(connection: ClientConnection, output: Output) {
    this.#octets = new ClientOctets(connection, output)
  }

  /** Octets received behind the last event. */
  get pending(): number {
    return this.#receiver.pending
  }

  /** From now on the client may send this much. */
  limit(limits: ReceiverLimits): void {
    this.#receiver.limits = limits
  }

  /** TLS came up: nothing of what was before it counts. RFC 3501 §6.2.1 */
  restart(): void {
    this.#receiver = new CommandReceiver(preAuthLimits)
  }

  /** Next event. Throws Disconnected, Stopping or ConnectionTimeout. What was queued for the client leaves before any wait. */
  async next(): Promise<ReceiverEvent> {
    for (;;) {
      const event = this.#receiver.next()
      if (event !== undefined) return event
      this.#receiver.push(await this.#octets.next())
    }
  }

  /** Octets received behind the last event, for whoever reads on from the connection. Nothing else may be asked for afterwards. */
  rest(): Buffer {
    return this.#receiver.rest()
  }

  /** The next line as it is, not as a command. Throws Refusal when it is too long. */
  async line(): Promise<Buffer> {
    this.#receiver.expectLine()
    const event = await this.next()
    if (event.type === 'line') return event.octets
    if (event.type !== 'fault') throw new Error(`a line was expected, not ${event.type}`)
    throw new Refusal(event.status, event.code, event.text)
  }

  /** Takes the announced message literal: its octets come with `next`. */
  accept(): void {
    this.#receiver.accept()
  }

  /** Declines the announced message literal, or what is still to come of the command. */
  refuse(): void {
    this.#receiver.refuse()
  }
}
