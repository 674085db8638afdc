import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** One LMTP session that delivers one message after another, each transaction with one command a round trip less by PIPELINING. RFC 2033, RFC 2920 */
export class LmtpClient implements Disposable {
  private readonly socket: Socket
  private received = ''
  private waiting: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.received += text
      this.waiting?.()
    })
    // Whoever waits for a reply finds that none comes.
    socket.on('close', () => this.waiting?.())
    socket.on('error', () => {})
  }

  static async connect(port: number): Promise<LmtpClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const client = new LmtpClient(socket)
    await client.replies(1)
    socket.write('LHLO client.bench.example\r\n')
    await client.replies(1)
    return client
  }

  /** `octets`: dot-stuffed, with the end of the data. The replies for the recipients, also told as they come. Throws when the connection ends before. */
  async deliver(
    sender: string,
    recipients: readonly string[],
    octets: Buffer,
    told: (reply: string) => void = () => {},
  ): Promise<readonly string[]> {
    const to = recipients.map((recipient) => `RCPT TO:<${recipient}>\r\n`).join('')
    this.socket.write(`MAIL FROM:<${sender}>\r\n${to}DATA\r\n`)
    for (const reply of await this.replies(recipients.length + 2))
      if (!/^[23]/.test(reply)) throw new Error(`not taken: ${reply}`)
    this.socket.write(octets)
    return await this.replies(recipients.length, told)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  /** The last lines of so many replies. */
  private async replies(count: number, told: (reply: string) => void = () => {}): Promise<readonly string[]> {
    const replies: string[] = []
    for (;;) {
      const lines = this.received.split('\r\n')
      this.received = lines.pop()!
      for (const line of lines)
        if (line[3] !== '-') {
          replies.push(line)
          told(line)
        }
      if (replies.length >= count) return replies
      if (this.socket.closed) throw new Error('the server closed the connection')
      await new Promise<void>((resolve) => {
        this.waiting = resolve
      })
    }
  }
}

/** As it goes over the line, with the end of the data. RFC 5321 §4.5.2 */
export function stuffed(octets: Buffer): Buffer {
  return Buffer.from(`${octets.toString('latin1').replace(/^\./gm, '..')}.\r\n`, 'latin1')
}
