/**
 * A server of any line protocol that does what a test tells it to: any octets, cut anywhere, late, never, or ended after octet n. What a
 * correct server says is the business of a `Dialogue` (`pop3-script.ts`, `imap-script.ts`); here is how it is said, and what is said instead.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'

/** Octets to send (a string is latin1); undefined for none. */
export type Answer = string | Buffer | undefined

export interface Exchange {
  /** As received, without line end, latin1. */
  readonly line: string
  /** Upper case; what handlers are chosen by. */
  readonly word: string
  readonly argument: string
  /** Counts connections from 1. */
  readonly session: number
  readonly socket: Socket
  /** Sends at once, as everything else: cut and in pieces. */
  readonly send: (answer: Answer) => Promise<void>
}

export type Handler<E extends Exchange> = (exchange: E, usual: () => Answer) => Answer | Promise<Answer>

/** How a server says it. */
export interface Manner {
  greeting?: string
  /** For STLS and STARTTLS: PEM. */
  tls?: { cert: string | Buffer; key: string | Buffer }
  /** Ends each connection after so many octets of ours. */
  cutAfter?: number
  /** Sends octets in pieces of this size, each on its own. */
  pieces?: number
}

/** A correct server in one session. */
export interface Dialogue<E extends Exchange> {
  /** The first command of the input; what has to be said before its rest comes; undefined: it is not complete. */
  take(input: string): { readonly line: string; readonly rest: string } | { readonly ask: string } | undefined
  exchange(line: string, common: Pick<Exchange, 'session' | 'socket' | 'send'>): E
  usual(exchange: E): Answer
  /** It knows what to answer. */
  knows(word: string): boolean
  /** The answer of a handler as it goes out; undefined: as it is. */
  tagged?(exchange: E, answer: Answer): Answer
  /** What follows an answer. */
  after(exchange: E, answer: Answer): 'tls' | 'end' | undefined
}

export interface ScriptedServer<E extends Exchange> extends AsyncDisposable {
  readonly port: number
  /** Lines received, as `session line`; a password is received like any other line. */
  readonly received: string[]
  /** Every octet received before TLS, by session. */
  readonly clear: Buffer[]
  readonly sessions: number
  on(word: string, handler: Handler<E>): void
  /** What is not a command that it knows. */
  any(handler: Handler<E>): void
  /** Told of each command before it is answered. */
  each(listener: (exchange: E) => void | Promise<void>): void
  /** A correct server from now on. */
  reset(): void
  /** Resolves when a line matches. */
  waitFor(pattern: RegExp): Promise<void>
}

/** `manner` is read at each octet: tests change it as they go. */
export const scriptedServer = async <E extends Exchange>(
  manner: Manner,
  greeting: string,
  dialogue: () => Dialogue<E>,
): Promise<ScriptedServer<E>> => {
  const handlers = new Map<string, Handler<E>>()
  const listeners = new Set<(exchange: E) => void | Promise<void>>()
  let anyHandler: Handler<E> | undefined
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
    const correct = dialogue()
    let socket = raw
    let sent = 0
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
      const { cutAfter: cut, pieces } = manner
      const ends = cut !== undefined && sent + octets.length >= cut
      if (ends) octets = octets.subarray(0, cut - sent)
      sent += octets.length
      const size = pieces ?? octets.length
      for (let at = 0; at < octets.length; at += size) {
        if (!socket.write(octets.subarray(at, at + size)))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        if (pieces !== undefined) await new Promise((resolve) => setImmediate(resolve))
      }
      if (ends) socket.destroySoon()
    }

    const onLine = async (line: string) => {
      const exchange = correct.exchange(line, { session, socket, send })
      for (const listener of listeners) await listener(exchange)
      const { word } = exchange
      const handler = handlers.get(word) ?? (correct.knows(word) ? undefined : anyHandler)
      const usual = () => correct.usual(exchange)
      const given = await (handler === undefined ? usual() : handler(exchange, usual))
      const answer = correct.tagged === undefined ? given : correct.tagged(exchange, given)
      const next = correct.after(exchange, answer)
      const { tls } = manner
      if (next === 'tls' && tls !== undefined && !secure) {
        const plain = socket
        plain.removeAllListeners('data')
        await send(answer)
        secure = true
        input = ''
        socket = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext(tls) })
        socket.on('error', () => {})
        listen()
        return
      }
      await send(answer)
      if (next === 'end') socket.end()
    }

    const then = (work: () => Promise<void>) => {
      busy = busy.then(work).catch(() => void socket.destroy())
    }
    const listen = () =>
      socket.on('data', (chunk: Buffer) => {
        if (!secure) clear[session] = Buffer.concat([clear[session]!, chunk])
        input += chunk.toString('latin1')
        for (let taken = correct.take(input); taken !== undefined; taken = correct.take(input)) {
          if ('ask' in taken) {
            const { ask } = taken
            then(() => send(ask))
            break
          }
          const { line } = taken
          input = taken.rest
          received.push(`${session} ${line}`)
          then(() => onLine(line))
        }
        for (const waiter of waiters) waiter()
      })
    listen()
    await send(manner.greeting ?? greeting)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')

  return {
    port: address.port,
    received,
    clear,
    get sessions() {
      return sessions
    },
    any: (handler) => {
      anyHandler = handler
    },
    each: (listener) => void listeners.add(listener),
    on: (word, handler) => void handlers.set(word.toUpperCase(), handler),
    reset: () => {
      handlers.clear()
      listeners.clear()
      anyHandler = undefined
      for (const key of ['greeting', 'cutAfter', 'pieces'] as const) delete manner[key]
    },
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
}
