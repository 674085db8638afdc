/**
 * GW-24: a content checking server, asked by HTTP about each message: is it to be stored as it is, another one in its place, or not at all. docs/cccp.md
 */
import { Agent, type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { RemoteError } from '#src/base/errors.ts'
import { type HeldMessage, Holding } from './held.ts'

export interface CheckerSettings {
  readonly host: string
  readonly port: number
  /** For one message, from the first octet of the request to the last one of the answer. */
  readonly timeoutMs: number
  /** Of a message, in both directions. */
  readonly maxOctets: number
}

export interface Checked {
  readonly userId: string
  readonly origin: string
  readonly mailbox: string
  readonly message: HeldMessage
}

export type CheckVerdict =
  | { readonly kind: 'unchanged' }
  /** To be released. */
  | { readonly kind: 'replaced'; readonly message: HeldMessage }
  | { readonly kind: 'refused'; readonly text: string }
  /** The server is there and has not decided about this message. */
  | { readonly kind: 'undecided'; readonly text: string }

const mostConnections = 32
const textOctets = 2_000

export class ContentChecker {
  readonly #settings: CheckerSettings
  readonly #agent = new Agent({ keepAlive: true, maxSockets: mostConnections })

  constructor(settings: CheckerSettings) {
    this.#settings = settings
  }

  /** Throws RemoteError when the server can't be reached. */
  async check(checked: Checked): Promise<CheckVerdict> {
    if (checked.message.sizeOctets > this.#settings.maxOctets)
      return {
        kind: 'refused',
        text: `larger than the ${this.#settings.maxOctets} octets that are checked (cccp_max_size)`,
      }
    try {
      return await this.#ask(checked, this.#agent)
    } catch (error) {
      // A server may end a connection at any time between two requests.
      if (error instanceof LostBefore) return this.#ask(checked, false)
      throw error
    }
  }

  async #ask({ userId, origin, mailbox, message }: Checked, agent: Agent | false): Promise<CheckVerdict> {
    const { host, port, timeoutMs } = this.#settings
    const sent = request({
      host,
      port,
      agent,
      method: 'POST',
      path: '/convert',
      headers: {
        'Content-Type': 'message/rfc822',
        'Content-Length': message.sizeOctets,
        'Wherry-User': encodeURI(userId),
        'Wherry-Origin': encodeURI(origin),
        'Wherry-Mailbox': encodeURI(mailbox),
      },
    })
    let isLate = false
    let timer: NodeJS.Timeout | undefined
    // Those that wait for a connection are not late yet.
    sent.once('socket', () => {
      timer = setTimeout(() => {
        isLate = true
        sent.destroy(new Error('it is late'))
      }, timeoutMs)
    })
    const octets = Readable.from(message.chunks(), { objectMode: false })
    try {
      const answered = new Promise<IncomingMessage>((resolve, reject) => {
        sent.once('response', resolve)
        sent.on('error', reject)
        octets.once('error', (error) => sent.destroy(error))
      })
      octets.pipe(sent)
      return await this.#read(await answered)
    } catch (error) {
      if (isLate) return { kind: 'undecided', text: `no answer within ${timeoutMs / 1_000} s` }
      const { code, message: text } = error as NodeJS.ErrnoException
      const isLost = code === 'ECONNRESET' || code === 'EPIPE'
      if (isLost && sent.reusedSocket) throw new LostBefore(text)
      // It was there, and went away over this message.
      if (isLost) return { kind: 'undecided', text }
      throw new RemoteError(
        `the content checking server ${host}:${port} does not answer (cccp_host, cccp_port): ${text}`,
        {
          retryable: true,
          cause: error,
        },
      )
    } finally {
      clearTimeout(timer)
      octets.destroy()
      // An answer that came before the whole message was sent.
      if (!sent.writableFinished) sent.destroy()
    }
  }

  async #read(answer: IncomingMessage): Promise<CheckVerdict> {
    const { statusCode } = answer
    const type = answer.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
    if (statusCode === 204) {
      answer.resume()
      return { kind: 'unchanged' }
    }
    if (statusCode === 200 && type === 'message/rfc822') return this.#readMessage(answer)
    const text = await readText(answer)
    if (statusCode === 403) return { kind: 'refused', text: text === '' ? 'no reason' : text }
    return { kind: 'undecided', text: `${statusCode}${statusCode === 200 ? ` with ${type}` : ''} ${text}`.trim() }
  }

  async #readMessage(answer: IncomingMessage): Promise<CheckVerdict> {
    const holding = new Holding()
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        await holding.write(chunk)
        if (holding.sizeOctets > this.#settings.maxOctets) {
          await holding.discard()
          return { kind: 'undecided', text: `an answer larger than ${this.#settings.maxOctets} octets (cccp_max_size)` }
        }
      }
    } catch (error) {
      await holding.discard()
      throw error
    }
    if (holding.sizeOctets > 0) return { kind: 'replaced', message: await holding.finish() }
    await holding.discard()
    return { kind: 'undecided', text: 'an empty message' }
  }
}

class LostBefore extends Error {
  override readonly name = 'LostBefore'
}

async function readText(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1')
    if (text.length >= textOctets) break
  }
  return Buffer.from(text.slice(0, textOctets), 'latin1')
    .toString('utf8')
    .replace(/[\x00-\x1f\x7f]+/g, ' ')
    .trim()
}
