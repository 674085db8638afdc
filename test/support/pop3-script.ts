/**
 * A POP3 server that does what a test tells it to: any octets, cut anywhere, late, never, or ended after octet n.
 *
 *     await using backend = await scriptedPop3({ messages: [{ uidl: 'a', octets: Buffer.from('Subject: x\r\n\r\nx\r\n') }] })
 *     backend.on('UIDL', () => '-ERR no\r\n')
 *
 * Unless told otherwise it is a correct server (RFC 1939, RFC 2449) with one maildrop that all logins share.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'

export interface ScriptedMessage {
  uidl: string
  octets: Buffer
  /** What LIST and STAT say; default: the truth. */
  size?: number
}

export interface Exchange {
  /** As received, without CRLF, latin1. */
  readonly line: string
  readonly word: string
  readonly argument: string
  /** Counts connections from 1. */
  readonly session: number
  readonly socket: Socket
  /** Messages of this session by number, as they were at the login. */
  readonly messages: readonly ScriptedMessage[]
}

/** Octets to send (a string is latin1); 'default' for the correct answer; undefined for none. */
export type Answer = string | Buffer | undefined
export type Handler = (exchange: Exchange, usual: () => Answer) => Answer | Promise<Answer>

export interface ScriptedOptions {
  messages?: ScriptedMessage[]
  /** Capability lines behind +OK; undefined: no CAPA. */
  capabilities?: readonly string[] | undefined
  greeting?: string
  user?: string
  password?: string
  /** For STLS: PEM. */
  tls?: { cert: string | Buffer; key: string | Buffer }
  /** Ends each connection after so many octets of ours. */
  cutAfter?: number
  /** Sends octets in pieces of this size, each on its own. */
  pieces?: number
}

export interface ScriptedPop3 extends AsyncDisposable {
  readonly port: number
  messages: ScriptedMessage[]
  options: ScriptedOptions
  /** Lines received, as `session line`; a password is received like any other line. */
  readonly received: string[]
  /** Every octet received before TLS, by session. */
  readonly clear: Buffer[]
  readonly sessions: number
  on(word: string, handler: Handler): void
  /** What is not a command that it knows, and AUTH. */
  any(handler: Handler): void
  /** Resolves when a line matches. */
  waitFor(pattern: RegExp): Promise<void>
}

const known = new Set([
  'CAPA',
  'STLS',
  'USER',
  'PASS',
  'NOOP',
  'STAT',
  'UIDL',
  'LIST',
  'RETR',
  'TOP',
  'DELE',
  'RSET',
  'QUIT',
])

/** A message body as RETR sends it: dots stuffed, terminated. */
export const stuffed = (octets: Buffer): Buffer => {
  const text = octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..')
  return Buffer.from(`${text}${text.endsWith('\r\n') || text === '' ? '' : '\r\n'}.\r\n`, 'latin1')
}

export const scriptedPop3 = async (options: ScriptedOptions = {}): Promise<ScriptedPop3> => {
  const handlers = new Map<string, Handler>()
  let anyHandler: Handler | undefined
  const sockets = new Set<Socket>()
  const waiters = new Set<() => void>()
  const received: string[] = []
  const clear: Buffer[] = []
  let sessions = 0

  const server = createServer((socket) => {
    serve(socket).catch(() => socket.destroy())
  })

  const serve = async (raw: Socket) => {
    const session = ++sessions
    let socket = raw
    let sent = 0
    let deleted = new Set<number>()
    let messages: readonly ScriptedMessage[] = []
    let input = ''
    let secure = false
    let busy = Promise.resolve()
    clear[session] = Buffer.alloc(0)
    sockets.add(raw)
    raw.setNoDelay(true)
    raw.on('close', () => sockets.delete(raw))
    raw.on('error', () => {})

    const send = async (answer: Answer) => {
      if (answer === undefined) return
      let octets = typeof answer === 'string' ? Buffer.from(answer, 'latin1') : answer
      const cut = self.options.cutAfter
      const ends = cut !== undefined && sent + octets.length >= cut
      if (ends) octets = octets.subarray(0, cut - sent)
      sent += octets.length
      const size = self.options.pieces ?? octets.length
      for (let at = 0; at < octets.length; at += size) {
        if (!socket.write(octets.subarray(at, at + size)))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        if (self.options.pieces !== undefined) await new Promise((resolve) => setImmediate(resolve))
      }
      if (ends) socket.destroySoon()
    }

    const list = (line: (message: ScriptedMessage, number: number) => string): Answer =>
      `+OK\r\n${messages.map((message, index) => (deleted.has(index + 1) ? '' : `${line(message, index + 1)}\r\n`)).join('')}.\r\n`
    const usual = ({ word, argument }: Exchange): Answer => {
      const number = Number.parseInt(argument, 10)
      const message = deleted.has(number) ? undefined : messages[number - 1]
      const size = ({ size, octets }: ScriptedMessage) => size ?? octets.length
      switch (word) {
        case 'CAPA':
          return self.options.capabilities === undefined
            ? '-ERR unknown command\r\n'
            : `+OK\r\n${self.options.capabilities.map((line) => `${line}\r\n`).join('')}.\r\n`
        case 'STLS':
          return self.options.tls === undefined ? '-ERR unknown command\r\n' : '+OK begin\r\n'
        case 'USER':
        case 'NOOP':
          return '+OK\r\n'
        case 'PASS':
          if (argument !== (self.options.password ?? 'pw')) return '-ERR [AUTH] no\r\n'
          messages = [...self.messages]
          return '+OK\r\n'
        case 'STAT': {
          const there = messages.filter((_, index) => !deleted.has(index + 1))
          return `+OK ${there.length} ${there.reduce((sum, message) => sum + size(message), 0)}\r\n`
        }
        case 'UIDL':
          return list(({ uidl }, index) => `${index} ${uidl}`)
        case 'LIST':
          return list((message, index) => `${index} ${size(message)}`)
        case 'RETR':
          if (message === undefined) return '-ERR no such message\r\n'
          return Buffer.concat([Buffer.from(`+OK ${size(message)} octets\r\n`), stuffed(message.octets)])
        case 'TOP': {
          if (message === undefined) return '-ERR no such message\r\n'
          const end = message.octets.indexOf('\r\n\r\n')
          return Buffer.concat([
            Buffer.from('+OK\r\n'),
            stuffed(end < 0 ? message.octets : message.octets.subarray(0, end + 4)),
          ])
        }
        case 'DELE':
          if (message === undefined) return '-ERR no such message\r\n'
          deleted.add(number)
          return '+OK\r\n'
        case 'RSET':
          deleted = new Set()
          return '+OK\r\n'
        case 'QUIT': {
          const gone = new Set([...deleted].map((index) => messages[index - 1]))
          self.messages = self.messages.filter((each) => !gone.has(each))
          return '+OK bye\r\n'
        }
        default:
          return '-ERR unknown command\r\n'
      }
    }

    const onLine = async (line: string) => {
      const space = line.indexOf(' ')
      const word = (space < 0 ? line : line.slice(0, space)).toUpperCase()
      const exchange: Exchange = {
        line,
        word,
        argument: space < 0 ? '' : line.slice(space + 1),
        session,
        socket,
        messages,
      }
      const handler = handlers.get(word) ?? (known.has(word) ? undefined : anyHandler)
      const answer = await (handler === undefined ? usual(exchange) : handler(exchange, () => usual(exchange)))
      const plain = socket
      if (word === 'STLS' && self.options.tls !== undefined && !secure && String(answer).startsWith('+OK')) {
        plain.removeAllListeners('data')
        await send(answer)
        secure = true
        input = ''
        socket = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext(self.options.tls) })
        socket.on('error', () => {})
        listen()
        return
      }
      await send(answer)
      if (word === 'QUIT') socket.end()
    }

    const listen = () =>
      socket.on('data', (chunk: Buffer) => {
        if (!secure) clear[session] = Buffer.concat([clear[session]!, chunk])
        input += chunk.toString('latin1')
        for (let end = input.indexOf('\r\n'); end >= 0; end = input.indexOf('\r\n')) {
          const line = input.slice(0, end)
          input = input.slice(end + 2)
          received.push(`${session} ${line}`)
          busy = busy.then(() => onLine(line)).catch(() => void socket.destroy())
        }
        for (const waiter of waiters) waiter()
      })
    listen()
    await send(self.options.greeting ?? '+OK ready\r\n')
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')

  const self: ScriptedPop3 = {
    port: address.port,
    messages: options.messages ?? [],
    options,
    received,
    clear,
    get sessions() {
      return sessions
    },
    any: (handler) => {
      anyHandler = handler
    },
    on: (word, handler) => void handlers.set(word.toUpperCase(), handler),
    waitFor: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          if (!received.some((line) => pattern.test(line))) return
          waiters.delete(look)
          resolve()
        }
        waiters.add(look)
        look()
      }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return self
}
