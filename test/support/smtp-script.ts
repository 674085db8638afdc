/**
 * A submission server that does what a test tells it to. Unless told otherwise it is a correct one (RFC 5321) that takes everything.
 *
 *     await using server = await scriptedSmtp()
 *     server.on('RCPT', () => '450 4.2.0 later\r\n')
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

export interface SmtpExchange {
  /** Without CRLF, latin1. */
  readonly line: string
  /** Counts connections from 1. */
  readonly session: number
  readonly socket: Socket
  /** Behind the data: the message, without dot-stuffing. */
  readonly message: string
}

/** What is sent; undefined for nothing. */
export type SmtpHandler = (exchange: SmtpExchange) => string | undefined | Promise<string | undefined>

export interface ScriptedSmtp extends AsyncDisposable {
  readonly port: number
  /** Words of commands, and `.` for the end of a message. Undefined brings the usual answer back. */
  on(word: string, handler: SmtpHandler | undefined): void
  /** Messages that came whole, whatever the answer was. */
  readonly messages: string[]
  /** Every command line. */
  readonly lines: string[]
  readonly sessions: number
}

export interface ScriptedSmtpOptions {
  /** Lines of EHLO; undefined: HELO only. */
  readonly extensions?: readonly string[] | undefined
}

export async function scriptedSmtp(options: ScriptedSmtpOptions = {}): Promise<ScriptedSmtp> {
  const extensions = 'extensions' in options ? options.extensions : ['PIPELINING', '8BITMIME', 'SIZE 1000000']
  const handlers = new Map<string, SmtpHandler>()
  const messages: string[] = []
  const lines: string[] = []
  const sockets = new Set<Socket>()
  let sessions = 0
  const usual = (word: string): string => {
    if (word === 'GREETING') return '220 mx.example.org ESMTP\r\n'
    if (word === 'EHLO') {
      if (extensions === undefined) return '502 5.5.1 what\r\n'
      const all = ['mx.example.org', ...extensions]
      return all.map((line, index) => `250${index === all.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
    }
    if (word === 'DATA') return '354 go on\r\n'
    return word === 'QUIT' ? '221 bye\r\n' : '250 2.0.0 ok\r\n'
  }
  const server = createServer((socket) => {
    const session = ++sessions
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    let rest = ''
    let inData = false
    let recipients = 0
    let turn: Promise<void> = Promise.resolve()
    const answer = async (word: string, line: string, message = ''): Promise<void> => {
      const handler = handlers.get(word)
      const isRefused = word === 'DATA' && recipients === 0
      const usually = isRefused ? '503 5.5.1 no recipients\r\n' : usual(word)
      const reply = isRefused || handler === undefined ? usually : await handler({ line, session, socket, message })
      if (reply !== undefined && !socket.destroyed) socket.write(reply)
      if (word === 'RCPT' && reply?.startsWith('2')) recipients++
      else if (word !== 'DATA') recipients = 0
      if (word === 'DATA') inData = reply?.startsWith('354') === true
      if (word === 'QUIT') socket.end()
    }
    const read = async (): Promise<void> => {
      for (;;) {
        if (inData) {
          const end = rest.startsWith('.\r\n') ? -2 : rest.indexOf('\r\n.\r\n')
          if (end === -1) return
          const message = end < 0 ? '' : rest.slice(0, end + 2).replace(/^\.(?=.)/gm, '')
          rest = rest.slice(end + 5)
          inData = false
          messages.push(message)
          await answer('.', '.', message)
          continue
        }
        const end = rest.indexOf('\r\n')
        if (end < 0) return
        const line = rest.slice(0, end)
        rest = rest.slice(end + 2)
        lines.push(line)
        await answer(line.split(' ')[0]!.toUpperCase(), line)
      }
    }
    turn = answer('GREETING', '')
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1')
      turn = turn.then(read)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    on: (word, handler) => void (handler === undefined ? handlers.delete(word) : handlers.set(word, handler)),
    messages,
    lines,
    get sessions() {
      return sessions
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
