/**
 * A POP3 server that does what a test tells it to (`scripted-server.ts`).
 *
 *     await using backend = await scriptedPop3({ messages: [{ uidl: 'a', octets: Buffer.from('Subject: x\r\n\r\nx\r\n') }] })
 *     backend.on('UIDL', () => '-ERR no\r\n')
 *
 * Unless told otherwise it is a correct server (RFC 1939, RFC 2449) with one maildrop that all logins share.
 */
import {
  type Answer,
  type Dialogue,
  type Exchange,
  type Manner,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

export interface ScriptedMessage {
  uidl: string
  octets: Buffer
  /** What LIST and STAT say; default: the truth. */
  size?: number
}

export interface Pop3Exchange extends Exchange {
  /** Messages of this session by number, as they were at the login. */
  readonly messages: readonly ScriptedMessage[]
}

export interface ScriptedOptions extends Manner {
  messages?: ScriptedMessage[]
  /** Capability lines behind +OK; undefined: no CAPA. */
  capabilities?: readonly string[] | undefined
  password?: string
}

export interface ScriptedPop3 extends ScriptedServer<Pop3Exchange> {
  messages: ScriptedMessage[]
  options: ScriptedOptions
}

const known = new Set('CAPA STLS USER PASS NOOP STAT UIDL LIST RETR TOP DELE RSET QUIT'.split(' '))

/** A message body as RETR sends it: dots stuffed, terminated. */
export const stuffed = (octets: Buffer): Buffer => {
  const text = octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..')
  return Buffer.from(`${text}${text.endsWith('\r\n') || text === '' ? '' : '\r\n'}.\r\n`, 'latin1')
}

/** Header and so many lines of the body. RFC 1939 §7 */
const topOf = (octets: Buffer, lines: number): Buffer => {
  let end = octets.indexOf('\r\n\r\n')
  if (end < 0) return octets
  end += 4
  for (let line = 0; line < lines && end < octets.length; line++) {
    const next = octets.indexOf('\r\n', end)
    end = next < 0 ? octets.length : next + 2
  }
  return octets.subarray(0, end)
}

export const scriptedPop3 = async (options: ScriptedOptions = {}): Promise<ScriptedPop3> => {
  const dialogue = (): Dialogue<Pop3Exchange> => {
    let deleted = new Set<number>()
    let messages: readonly ScriptedMessage[] = []
    const size = (message: ScriptedMessage) => message.size ?? message.octets.length
    const list = (line: (message: ScriptedMessage, number: number) => string): Answer =>
      `+OK\r\n${messages.map((message, index) => (deleted.has(index + 1) ? '' : `${line(message, index + 1)}\r\n`)).join('')}.\r\n`
    const usual = ({ word, argument }: Exchange): Answer => {
      const number = Number.parseInt(argument, 10)
      const message = deleted.has(number) ? undefined : messages[number - 1]
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
        case 'TOP':
          if (message === undefined) return '-ERR no such message\r\n'
          return Buffer.concat([
            Buffer.from('+OK\r\n'),
            stuffed(topOf(message.octets, Number.parseInt(argument.split(' ')[1] ?? '0', 10))),
          ])
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
    return {
      take: (input) => {
        const end = input.indexOf('\r\n')
        return end < 0 ? undefined : { line: input.slice(0, end), rest: input.slice(end + 2) }
      },
      exchange: (line, common) => {
        const space = line.indexOf(' ')
        const word = (space < 0 ? line : line.slice(0, space)).toUpperCase()
        return { ...common, line, word, argument: space < 0 ? '' : line.slice(space + 1), messages }
      },
      usual,
      knows: (word) => known.has(word),
      after: ({ word }, answer) =>
        word === 'QUIT' ? 'end' : word === 'STLS' && String(answer).startsWith('+OK') ? 'tls' : undefined,
    }
  }
  const server = await scriptedServer(options, '+OK ready\r\n', dialogue)
  const self: ScriptedPop3 = Object.defineProperties(
    { messages: options.messages ?? [], options },
    Object.getOwnPropertyDescriptors(server),
  ) as ScriptedPop3
  return self
}
