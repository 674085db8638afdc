/** An IMAP client that looks for the end of an answer and at nothing else, so that what is measured is the server. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly ms: number
  readonly octets: number
}

/** The tagged answer of LOGIN, with all capabilities, is shorter. */
const tailOctets = 8192

export class DiscardingImap implements AsyncDisposable {
  readonly #socket: Socket
  #tag = 0

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Connected, greeting read. */
  static async connect(port: number): Promise<DiscardingImap> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'data')
    return new DiscardingImap(socket)
  }

  /** Throws with the server's words unless the answer is OK. */
  async command(text: string): Promise<Answer> {
    const tag = `d${++this.#tag}`
    const start = performance.now()
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    let octets = 0
    let tail = ''
    const onData = (chunk: Buffer) => {
      octets += chunk.length
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - tailOctets))).slice(-tailOctets)
      if (!tail.endsWith('\r\n')) return
      const before = tail.lastIndexOf('\r\n', tail.length - 3)
      const last = before === -1 ? tail : tail.slice(before + 2)
      if (last.startsWith(`${tag} OK`)) resolve(octets)
      else if (last.startsWith(tag)) reject(new Error(`${text}: ${last}`))
    }
    const onClose = () => reject(new Error(`${text}: the server closed the connection`))
    this.#socket.on('data', onData).once('close', onClose)
    try {
      this.#socket.write(`${tag} ${text}\r\n`)
      return { octets: await promise, ms: performance.now() - start }
    } finally {
      this.#socket.off('data', onData).off('close', onClose)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
  }
}
