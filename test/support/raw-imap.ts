/** A bare IMAP client for tests: sends commands as they are and gives responses as they came, octet for octet. */
import { connect, type Socket } from 'node:net'

/** One response line: its text in latin1 with every literal replaced by `{n}` and the literals in order. */
export interface ImapLine {
  readonly text: string
  readonly literals: readonly Buffer[]
}

export class RawImap implements AsyncDisposable {
  readonly #socket: Socket
  #buffered: Buffer[] = []
  #length = 0
  #ended: Error | undefined
  #wake: (() => void) | undefined
  #tag = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#buffered.push(chunk)
      this.#length += chunk.length
      this.#wake?.()
    })
    const end = (error?: Error) => {
      this.#ended ??= error ?? new Error('the server closed the connection')
      this.#wake?.()
    }
    socket.on('error', end)
    socket.on('close', () => end())
  }

  /** Connected, greeting read. */
  static async connect(port: number, host = '127.0.0.1'): Promise<RawImap> {
    const client = new RawImap(connect({ port, host, noDelay: true }))
    await client.line()
    return client
  }

  async #need(octets: number): Promise<void> {
    while (this.#length < octets) {
      if (this.#ended !== undefined) throw this.#ended
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #all(): Buffer {
    if (this.#buffered.length !== 1) this.#buffered = [Buffer.concat(this.#buffered)]
    return this.#buffered[0]!
  }

  #take(octets: number): Buffer {
    const all = this.#all()
    this.#buffered = [all.subarray(octets)]
    this.#length -= octets
    return all.subarray(0, octets)
  }

  async #untilCrlf(): Promise<string> {
    let searched = 0
    for (;;) {
      const at = this.#length === 0 ? -1 : this.#all().indexOf('\r\n', searched)
      if (at >= 0) return this.#take(at + 2).toString('latin1', 0, at)
      searched = Math.max(0, this.#length - 1)
      await this.#need(this.#length + 1)
    }
  }

  /** The next response line, whoever it answers. */
  async line(): Promise<ImapLine> {
    let text = ''
    const literals: Buffer[] = []
    for (;;) {
      const piece = await this.#untilCrlf()
      text += piece
      // Behind a literal there may be nothing more.
      const literal = /\{(\d{1,10})\}$/.exec(piece)
      if (literal === null) return { text, literals }
      const octets = Number(literal[1])
      await this.#need(octets)
      literals.push(Buffer.from(this.#take(octets)))
    }
  }

  /** Reads on until a line's text matches. */
  async until(pattern: RegExp): Promise<ImapLine> {
    for (;;) {
      const line = await this.line()
      if (pattern.test(line.text)) return line
    }
  }

  send(octets: string): void {
    this.#socket.write(octets, 'latin1')
  }

  /** Runs a command; answers its untagged lines. Throws with the server's words unless the answer is OK. */
  async command(text: string): Promise<ImapLine[]> {
    const tag = `t${++this.#tag}`
    this.send(`${tag} ${text}\r\n`)
    const lines: ImapLine[] = []
    for (;;) {
      const line = await this.line()
      if (!line.text.startsWith(`${tag} `)) lines.push(line)
      else if (line.text.startsWith(`${tag} OK`)) return lines
      else throw new Error(line.text)
    }
  }

  async login(user: string, password: string): Promise<void> {
    await this.command(`LOGIN ${user} ${password}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
  }
}
