/**
 * What a session writes to its client: short pieces are gathered, so that replies to pipelined commands leave together, bodies pass as
 * they are, and nobody runs ahead of a slow reader.
 */

import type { ClientConnection } from './types.ts'

/** Gathered text goes to the connection from this size on, and a producer then waits for the client. */
const pieceOctets = 32 * 1024
/** Buffers below this are cheaper copied than written on their own. */
const copiedOctets = 4 * 1024

export class Output {
  readonly #connection: ClientConnection
  #text = ''
  #unawaited = 0

  constructor(connection: ClientConnection) {
    this.#connection = connection
  }

  /** Queues octets; a string stands for latin1 octets. */
  write(octets: Uint8Array | string): void {
    if (typeof octets === 'string') this.#text += octets
    else if (octets.length < copiedOctets)
      this.#text += Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1')
    else {
      this.flush()
      this.#connection.write(octets)
      this.#unawaited += octets.length
      return
    }
    if (this.#text.length >= pieceOctets) this.flush()
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
    if (this.#text.length + this.#unawaited < pieceOctets) return
    this.flush()
    this.#unawaited = 0
    await this.#connection.drain()
  }
}
