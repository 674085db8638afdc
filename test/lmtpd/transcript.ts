/**
 * Runs a written LMTP dialogue.
 *
 *     RFC 2033 §4.2: what the scenario shows    (line 1: where the rule stands)
 *     C: NOOP                                   the client sends a line; lines behind one another leave together
 *     C+: text                                  the same without CR LF
 *     S: 250 2.0.0 ...                          the next line of the server; `...` stands for anything
 *     H: client                                 LHLO, and its reply is skipped
 *     T:                                        the client begins a TLS handshake
 *     X:                                        the server closes
 *     M: <user> <mailbox> <count>               so many messages are there
 *
 * `\r`, `\n`, `\\` and `\xHH` are escapes. A line behind `#` is a remark.
 */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const patienceMs = 10_000

export class LmtpClient {
  #socket: Socket
  #received = ''
  #ended = false
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#listen()
  }

  static async open(at: { readonly host: string; readonly port: number } | { readonly path: string }) {
    const socket = connect(at)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.once('connect', resolve).once('error', reject)
    await promise
    return new LmtpClient(socket)
  }

  /** Introduced. */
  static async greeted(at: Parameters<typeof LmtpClient.open>[0]): Promise<LmtpClient> {
    const client = await LmtpClient.open(at)
    await client.reply()
    await client.say('LHLO client.example')
    return client
  }

  write(octets: string | Buffer): void {
    this.#socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets)
  }

  /** Resolves when the system has taken them. */
  async send(octets: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.write(octets, () => resolve())
    await promise
  }

  /** One command, its reply. */
  say(command: string): Promise<string> {
    this.write(`${command}\r\n`)
    return this.reply()
  }

  /** MAIL and RCPTs, and the message by DATA; the replies behind it. */
  async deliver(from: string, recipients: readonly string[], message: string | Buffer): Promise<readonly string[]> {
    await this.say(`MAIL FROM:<${from}>`)
    const replies: string[] = []
    for (const to of recipients) replies.push(await this.say(`RCPT TO:<${to}>`))
    const accepted = replies.filter((reply) => reply.startsWith('2'))
    if (accepted.length === 0) return replies
    await this.say('DATA')
    this.write(stuffed(typeof message === 'string' ? message : message.toString('latin1')))
    const last: string[] = []
    for (const _ of accepted) last.push(await this.reply())
    return last
  }

  /** Next reply, its lines joined by LF. */
  async reply(): Promise<string> {
    const lines: string[] = []
    for (;;) {
      const line = await this.line()
      lines.push(line)
      if (!/^\d{3}-/.test(line)) return lines.join('\n')
    }
  }

  async line(): Promise<string> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const end = this.#received.indexOf('\r\n')
      if (end >= 0) {
        const line = this.#received.slice(0, end)
        this.#received = this.#received.slice(end + 2)
        return line
      }
      if (this.#ended) throw new Error(`closed by the server; left over: ${JSON.stringify(this.#received)}`)
      await this.#more(deadline)
    }
  }

  async closed(): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!this.#ended) await this.#more(deadline)
    if (this.#received !== '') throw new Error(`left over: ${JSON.stringify(this.#received)}`)
  }

  async startTls(): Promise<void> {
    this.#socket.removeAllListeners()
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.once('secureConnect', resolve).once('error', reject)
    await promise
    this.#socket = socket
    this.#listen()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#wake()
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  async #more(deadline: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = () => reject(new Error(`nothing in ${patienceMs} ms; so far: ${JSON.stringify(this.#received)}`))
    const timer = setTimeout(late, Math.max(0, deadline - Date.now()))
    this.#wake = resolve
    await promise.finally(() => clearTimeout(timer))
  }
}

/** As DATA wants it: RFC 5321 §4.5.2 */
export const stuffed = (message: string): string =>
  `${message.replace(/(^|\r\n)\./g, '$1..')}${/\r\n$|^$/.test(message) ? '' : '\r\n'}.\r\n`

const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', '\\': '\\' }
const decoded = (text: string) =>
  Buffer.from(text)
    .toString('latin1')
    .replace(/\\(?:x([0-9A-Fa-f]{2})|([rn\\]))/g, (_, hex: string | undefined, letter: string) =>
      hex === undefined ? escapes[letter]! : String.fromCharCode(Number.parseInt(hex, 16)),
    )
const pattern = (text: string) => new RegExp(`^${decoded(text).split('...').map(RegExp.escape).join('.*')}$`)

/** Throws with the scenario's line and what came instead. */
export async function runTranscript(
  text: string,
  at: Parameters<typeof LmtpClient.open>[0],
  count: (user: string, mailbox: string) => Promise<number>,
): Promise<void> {
  const client = await LmtpClient.open(at)
  try {
    for (const [index, raw] of text.split('\n').entries()) {
      const line = raw.replace(/\s+$/, '')
      if (index === 0 || line === '' || line.startsWith('#')) continue
      const [, kind, body = ''] = /^(C\+?|S|H|T|X|M):(?: (.*))?$/.exec(line) ?? []
      try {
        if (kind === 'C') client.write(`${decoded(body)}\r\n`)
        else if (kind === 'C+') client.write(decoded(body))
        else if (kind === 'H') await client.say(`LHLO ${body}`)
        else if (kind === 'T') await client.startTls()
        else if (kind === 'X') await client.closed()
        else if (kind === 'M') {
          const [user = '', mailbox = '', number] = body.split(' ')
          const found = await count(user, mailbox)
          if (found !== Number(number)) throw new Error(`there are ${found}`)
        } else if (kind === 'S') {
          const got = await client.line()
          if (!pattern(body).test(got)) throw new Error(`got ${JSON.stringify(got)}`)
        } else throw new Error('not a step')
      } catch (error) {
        throw new Error(`line ${index + 1} (${line}): ${(error as Error).message}`)
      }
    }
  } finally {
    client.destroy()
  }
}
