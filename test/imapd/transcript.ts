/**
 * Runs a written IMAP dialogue of one or several connections against any server.
 *
 *     RFC 3501 §7.4.1: what the scenario shows          (line 1: where the rule stands)
 *     C1: a1 LOGIN <user> <password>                    connection 1 sends; it is opened at its first mention
 *     S1: a1 OK ...                                     what connection 1 then receives
 *
 * - `...` stands for anything, `<name>` for a value: the first time it is met in an S line it is caught, afterwards (and
 *   in C lines) it is that value. `<user>` and `<password>` are given. `\r`, `\n`, `\t` and `\xHH` are escapes.
 * - `{{text}}` is a literal of that text with its count; in a C line the continuation is awaited, `{{+text}}` does not wait.
 * - S lines behind one another are a group. It ends at its last tagged or continuation line, or, without one, when every line of it was met.
 *   Responses with mail data (EXISTS, RECENT, EXPUNGE, FETCH, SEARCH, ESEARCH, LIST, LSUB, STATUS, VANISHED, BYE) must all be expected, those of one
 *   kind in the order written (ESEARCH, LIST, LSUB and STATUS in any); other untagged responses may come unexpected.
 * - `S1?:` may come or not, before the end of its group.
 * - Flags of a FETCH response may come in any order, and MODSEQ anywhere.
 * - `X1:` the server must have closed connection 1.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib'

export interface Server {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

interface Expectation {
  readonly text: string
  readonly optional: boolean
}

const patienceMs = 10_000

/** Throws with the scenario's line and what came instead. */
export async function runTranscript(text: string, server: Server): Promise<void> {
  const values = new Map([
    ['user', server.user],
    ['password', server.password],
  ])
  const connections = new Map<string, Peer>()
  const lines = text.split('\n').map((line, index) => ({ line: line.trimEnd(), number: index + 1 }))
  const steps = lines.slice(1).filter(({ line }) => line !== '' && !line.startsWith('#'))
  try {
    for (let at = 0; at < steps.length; ) {
      const { line, number } = steps[at]!
      const match = /^([CSX])(\d+)\??:(?: (.*))?$/.exec(line)
      if (match === null) throw new Error(`line ${number}: not a step: ${line}`)
      const [, kind, id, body = ''] = match
      let peer = connections.get(id!)
      if (peer === undefined) {
        peer = await Peer.open(server)
        connections.set(id!, peer)
      }
      try {
        if (kind === 'C') {
          await peer.send(fill(body, values))
          at++
        } else if (kind === 'X') {
          await peer.closed()
          at++
        } else {
          const group: Expectation[] = []
          for (; at < steps.length; at++) {
            const [, , sameId, optional, text = ''] = /^(S)(\d+)(\??):(?: (.*))?$/.exec(steps[at]!.line) ?? []
            if (sameId !== id) break
            group.push({ text, optional: optional === '?' })
          }
          await peer.expect(group, values)
        }
      } catch (error) {
        throw new Error(`line ${number} (${line}): ${(error as Error).message}`)
      }
    }
  } finally {
    for (const peer of connections.values()) peer.destroy()
  }
}

const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t' }
const decodeEscapes = (text: string) =>
  text.replace(/\\(?:x([0-9A-Fa-f]{2})|([rnt]))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? escapes[letter]! : String.fromCharCode(Number.parseInt(hex, 16)),
  )

function literals(text: string): string {
  return text.replace(/\{\{(\+?)(.*?)\}\}/g, (_, plus: string, content: string) => {
    const octets = decodeEscapes(content)
    return `{${octets.length}${plus}}\r\n${octets}`
  })
}

/** Flags are a set: whoever lists them, here they stand in one order, and MODSEQ behind the other items. */
const sortFlags = (line: string) =>
  line
    .replace(
      /(FETCH \(.*?FLAGS \()([^().]*)\)/,
      (_, head: string, flags: string) => `${head}${flags.split(' ').sort().join(' ')})`,
    )
    .replace(/(FETCH \(.*?)(MODSEQ \([^)]*\)) (.*)\)$/, '$1$3 $2)')

const fill = (text: string, values: ReadonlyMap<string, string>) =>
  decodeEscapes(literals(text)).replace(/<([a-z][a-z0-9]*)>/g, (whole, name: string) => values.get(name) ?? whole)

/** The pattern of an S line; names not caught yet become groups of the expression. */
function pattern(text: string, values: ReadonlyMap<string, string>): { expression: RegExp; names: string[] } {
  const names: string[] = []
  const source = sortFlags(decodeEscapes(literals(text)))
    .split(/(\.\.\.|<[a-z][a-z0-9]*>)/)
    .map((piece) => {
      if (piece === '...') return '[\\s\\S]*'
      const name = /^<([a-z][a-z0-9]*)>$/.exec(piece)?.[1]
      if (name === undefined) return RegExp.escape(piece)
      if (values.has(name)) return RegExp.escape(values.get(name)!)
      if (names.includes(name)) return `\\${names.indexOf(name) + 1}`
      names.push(name)
      return '([^ \\]()"]+)'
    })
  return { expression: new RegExp(`^${source.join('')}$`, 'i'), names }
}

function kindOf(line: string): string {
  if (ends(line)) return 'end'
  const numbered = /^\* (?:\d+|\.\.\.) (EXISTS|RECENT|EXPUNGE|FETCH)\b/i.exec(line)?.[1]
  if (numbered !== undefined) return numbered.toUpperCase()
  return /^\* (SEARCH|ESEARCH|LIST|LSUB|STATUS|VANISHED|BYE)\b/i.exec(line)?.[1]?.toUpperCase() ?? 'other'
}
const anyOrder = new Set(['ESEARCH', 'LIST', 'LSUB', 'STATUS', 'other'])
const ends = (line: string) => !line.startsWith('* ')

/** One connection. Responses are lines with their literals in place, octets as latin1. */
export class Peer {
  readonly #socket: Socket
  readonly #out: Writable
  #received = ''
  #ended = false
  #wake: () => void = () => {}

  private constructor(socket: Socket, incoming: Readable = socket, outgoing: Writable = socket) {
    this.#socket = socket
    this.#out = outgoing
    incoming.setEncoding('latin1')
    incoming.on('data', (chunk: string) => {
      this.#received += chunk
      this.#wake()
    })
    incoming.on('error', () => {})
    incoming.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  static async open(server: Pick<Server, 'host' | 'port'>): Promise<Peer> {
    const socket = connect(server.port, server.host)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new Peer(socket)
  }

  /** Behind the OK to STARTTLS. Any certificate will do. */
  async startTls(): Promise<Peer> {
    this.#socket.removeAllListeners('data')
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new Peer(socket)
  }

  /** Behind the OK to COMPRESS. `chunkOctets`: of what leaves at once. */
  compress(chunkOctets = Number.POSITIVE_INFINITY): Peer {
    const plain = this.#socket.removeAllListeners('data')
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
    plain.on('data', (text: string) => inflate.write(Buffer.from(text, 'latin1')))
    plain.on('close', () => inflate.end())
    const deflate = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH })
    deflate.on('data', (octets: Buffer) => {
      for (let at = 0; at < octets.length; at += chunkOctets) plain.write(octets.subarray(at, at + chunkOctets))
    })
    return new Peer(plain, inflate, deflate)
  }

  /** The other way round. */
  uncompress(): Peer {
    return new Peer(this.#socket.removeAllListeners('data'))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  write(octets: string): void {
    this.#out.write(octets, 'latin1')
  }

  /** Sends a command; stops before the octets of each synchronising literal until the server asks for them. */
  async send(command: string): Promise<void> {
    let rest = command
    for (;;) {
      const literal = /\{(\d+)\}\r\n/.exec(rest)
      if (literal === null) break
      const end = literal.index + literal[0].length
      this.write(rest.slice(0, end))
      const reply = await this.line()
      if (!reply.startsWith('+')) throw new Error(`instead of a continuation came: ${reply}`)
      rest = rest.slice(end)
    }
    this.write(`${rest}\r\n`)
  }

  /** Next response. Throws when none comes in time. */
  async line(): Promise<string> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const end = this.#responseEnd()
      if (end !== undefined) {
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
  }

  /** Everything up to the tagged reply, that included. */
  async until(tag: string): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.line()
      lines.push(line)
      if (line.startsWith(`${tag} `)) return lines
    }
  }

  async command(tag: string, text: string): Promise<string[]> {
    await this.send(`${tag} ${text}`)
    return this.until(tag)
  }

  async expect(group: readonly Expectation[], values: Map<string, string>): Promise<void> {
    const open = [...group]
    const received: string[] = []
    const take = (line: string): boolean => {
      const kind = kindOf(line)
      for (const [index, { text, optional }] of open.entries()) {
        if (kindOf(text) !== kind) continue
        const { expression, names } = pattern(text, values)
        const match = expression.exec(sortFlags(line))
        if (match !== null) {
          for (const [i, name] of names.entries()) values.set(name, match[i + 1]!)
          open.splice(index, 1)
          return true
        }
        if (!anyOrder.has(kind) && !optional) return false
      }
      return false
    }
    const missing = () => open.filter(({ optional }) => !optional).map(({ text }) => text)
    const fault = (reason: string) => {
      const lines = received.map((line) => JSON.stringify(line)).join('\n  ')
      return new Error(`${reason}\nstill expected:\n  ${missing().join('\n  ')}\nreceived:\n  ${lines}`)
    }
    while (missing().length > 0) {
      let line: string
      try {
        line = await this.line()
      } catch (error) {
        throw fault((error as Error).message)
      }
      received.push(line)
      const met = take(line)
      if (!met && (ends(line) || kindOf(line) !== 'other')) throw fault('not expected')
      if (ends(line) && missing().length > 0 && !open.some(({ text }) => ends(text))) throw fault('missing')
    }
  }

  /** Index of the CRLF that ends the first response, or undefined while it is incomplete. */
  #responseEnd(): number | undefined {
    let from = 0
    for (;;) {
      const end = this.#received.indexOf('\r\n', from)
      if (end < 0) return undefined
      const literal = /\{(\d+)\}$/.exec(this.#received.slice(Math.max(from, end - 24), end))
      if (literal === null) return end
      from = end + 2 + Number(literal[1])
    }
  }

  async #more(deadline: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(
      () => reject(new Error(`nothing in ${patienceMs} ms; so far: ${JSON.stringify(this.#received.slice(0, 2000))}`)),
      Math.max(0, deadline - Date.now()),
    )
    this.#wake = resolve
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#wake = () => {}
    }
  }
}
