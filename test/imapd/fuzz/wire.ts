/** A client's connection without sockets: whoever writes knows when the session has done all that it can. */
import { type ClientConnection, ConnectionLost } from '#src/server/types.ts'

export class Wire implements ClientConnection {
  readonly id: string
  readonly remoteAddress = '127.0.0.1'
  readonly localAddress = '127.0.0.1'
  readonly isLocal = false
  readonly channel = undefined
  readonly canUpgrade = true
  isCompressed = false
  readonly #gone = new AbortController()
  readonly #stopping = new AbortController()
  readonly #incoming: Buffer[] = []
  #reader: ((octets: Buffer | undefined) => void) | undefined
  #wake: () => void = () => {}
  /** What the session said, octets in latin1. */
  said = ''
  closed = false

  constructor(id: string) {
    this.id = id
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  read(): Promise<Buffer | undefined> {
    const octets = this.#incoming.shift()
    if (octets !== undefined) return Promise.resolve(octets)
    if (this.closed) return Promise.resolve(undefined)
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
    this.#reader = resolve
    this.#wake()
    return promise
  }

  write(octets: Uint8Array | string): void {
    this.said += typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1')
  }

  async drain(): Promise<void> {
    if (this.closed) throw new ConnectionLost('closed')
  }

  setIdleTimeout(): void {}
  authenticated(): void {}
  unauthenticated(): void {}
  async upgrade(): Promise<void> {}

  async compress(): Promise<void> {
    this.isCompressed = true
  }

  async uncompress(): Promise<void> {
    this.isCompressed = false
  }

  async close(): Promise<void> {
    this.closed = true
    this.#wake()
  }

  /** The client sends this. Resolves when the session waits for more, or has ended. Rejects when it does neither. */
  async send(octets: string, patienceMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`nothing in ${patienceMs} ms`)), patienceMs)
    this.#wake = resolve
    this.#give(Buffer.from(octets, 'latin1'))
    if (!this.closed)
      try {
        await promise
      } finally {
        clearTimeout(timer)
        this.#wake = () => {}
      }
    else clearTimeout(timer)
  }

  /** The client is gone. */
  hangUp(): void {
    this.closed = true
    this.#gone.abort(new ConnectionLost('gone'))
    const reader = this.#reader
    this.#reader = undefined
    reader?.(undefined)
  }

  #give(octets: Buffer): void {
    const reader = this.#reader
    this.#reader = undefined
    if (reader === undefined) this.#incoming.push(octets)
    else reader(octets)
  }
}
