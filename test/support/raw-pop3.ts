/** A bare POP3 client for tests: one command after the other, messages un-stuffed and otherwise octet for octet. */
import { connect, type Socket } from 'node:net'

const end = Buffer.from('\r\n.\r\n')

export class RawPop3 implements AsyncDisposable {
  readonly #socket: Socket
  readonly #chunks: AsyncIterator<Buffer>
  #buffered: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#chunks = socket[Symbol.asyncIterator]()
  }

  /** Connected and logged in. `utf8`: it takes messages with octets above 127 in their headers as they are, where the server asks for that (RFC 6856). */
  static async login(port: number, user: string, password: string, utf8 = false): Promise<RawPop3> {
    const client = new RawPop3(connect({ port, host: '127.0.0.1', noDelay: true }))
    await client.#line()
    if (utf8) await client.command('UTF8').catch(() => {})
    await client.command(`USER ${user}`)
    await client.command(`PASS ${password}`)
    return client
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next()
    if (done) throw new Error('the server closed the connection')
    this.#buffered = this.#buffered.length === 0 ? value : Buffer.concat([this.#buffered, value])
  }

  async #line(): Promise<string> {
    let at = this.#buffered.indexOf('\r\n')
    for (; at < 0; at = this.#buffered.indexOf('\r\n')) await this.#more()
    const text = this.#buffered.toString('latin1', 0, at)
    this.#buffered = this.#buffered.subarray(at + 2)
    if (!text.startsWith('+OK')) throw new Error(text)
    return text
  }

  /** The text of the positive reply. Throws with a negative one. */
  async command(text: string): Promise<string> {
    this.#socket.write(`${text}\r\n`)
    return await this.#line()
  }

  /** The octets of a multi-line reply, un-stuffed, with the CRLF of its last line. */
  async lines(text: string): Promise<Buffer> {
    await this.command(text)
    const parts: Buffer[] = []
    let first = true
    for (;;) {
      if (first && this.#buffered.subarray(0, 3).equals(Buffer.from('.\r\n'))) {
        this.#buffered = this.#buffered.subarray(3)
        return Buffer.alloc(0)
      }
      const at = this.#buffered.indexOf(end)
      if (at >= 0) {
        parts.push(this.#buffered.subarray(0, at + 2))
        this.#buffered = this.#buffered.subarray(at + end.length)
        return Buffer.from(
          Buffer.concat(parts)
            .toString('latin1')
            .replace(/(^|\r\n)\./g, '$1'),
          'latin1',
        )
      }
      await this.#more()
      first = this.#buffered.length < 3
    }
  }

  /** Every message with its unique-id, in the order of the listing. */
  async *messages(): AsyncGenerator<{ uidl: string; octets: Buffer }> {
    const listing = (await this.lines('UIDL')).toString('latin1').split('\r\n').filter(Boolean)
    for (const entry of listing) {
      const [number, uidl] = entry.split(' ') as [string, string]
      yield { uidl, octets: await this.lines(`RETR ${number}`) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
  }
}

/** Of a maildrop, in a session of its own that reads every message. */
export const uidlsOf = async (port: number, user: string, password: string): Promise<readonly string[]> => {
  await using pop = await RawPop3.login(port, user, password)
  const all: string[] = []
  for await (const { uidl } of pop.messages()) all.push(uidl)
  await pop.command('QUIT')
  return all
}
