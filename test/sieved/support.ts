/** sieved as it is, in this process: real listener, store and accounts below a temporary directory; and a client that reads whole answers. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { ServiceAccess } from '#src/config/options/domains.ts'
import { sieved } from '#src/sieved/main.ts'
import { openStore } from '#src/store/store.ts'
import type { Store } from '#src/store/types.ts'
import { type LogRecord, logTo, MemoryBus } from '../imapd/support.ts'
import { makeCertificate } from '../support/certificate.ts'

export const user = 'anna@example.org'
export const password = 'secret'

const verifiers = makeVerifiers(Buffer.from(password))

export interface RunningSieved extends AsyncDisposable {
  readonly port: number
  readonly directory: string
  readonly bus: MemoryBus
  readonly records: readonly LogRecord[]
  /** Shares nothing with the daemon but the files: as good as another process. */
  readonly elsewhere: Store
  reload(overrides: ConfigOverrides): Promise<void>
  client(): Promise<Client>
  /** A client that is logged in. */
  enter(as?: string): Promise<Client>
  /** While clients are connected. */
  stopDaemon(): Promise<void>
  stop(): Promise<void>
}

export interface SievedOptions {
  readonly users?: Readonly<Record<string, ServiceAccess>>
  readonly config?: ConfigOverrides
  readonly tls?: boolean
}

export async function startSieved({
  users = { [user]: {} },
  config = {},
  tls = false,
}: SievedOptions = {}): Promise<RunningSieved> {
  const directory = await mkdtemp(join(tmpdir(), 'sieved-'))
  const accounts = openAccounts(join(directory, 'accounts'))
  for (const [name, services] of Object.entries(users))
    await accounts.add({ userId: name as UserId, state: 'enabled', verifiers, services, properties: [] })
  const [tls_cert_file, tls_key_file] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  if (tls) makeCertificate(tls_cert_file, tls_key_file)
  const all: ConfigOverrides = {
    sieve_host: '127.0.0.1',
    sieve_port: 0,
    login_disabled: false,
    failed_logins_per_minute: 0,
    run_dir: directory,
    userdir: join(directory, 'user'),
    account_db: join(directory, 'accounts'),
    ...(tls ? { tls_cert_file, tls_key_file } : {}),
    ...config,
  }
  const records: LogRecord[] = []
  const log = logTo(records)
  const bus = new MemoryBus()
  const runtime = { config: configOf(all), log, clock: systemClock, events: bus, firstWorker: true, sharedPorts: false }
  const daemon = await sieved.start(runtime)
  const elsewhere = openStore({ root: join(directory, 'user'), clock: systemClock, log })
  const at = daemon.addresses?.[0]?.at
  if (at === undefined || 'path' in at) throw new Error('no port')
  const { port } = at
  const clients: Client[] = []
  const client = async () => {
    const made = await Client.open(port)
    clients.push(made)
    return made
  }
  let stopping: Promise<void> | undefined
  const stopDaemon = () => {
    stopping ??= daemon.stop(5_000)
    return stopping
  }
  const stop = async () => {
    for (const made of clients) made.close()
    await stopDaemon()
    await elsewhere.close()
    await rm(directory, { recursive: true, force: true })
  }
  return {
    port,
    directory,
    bus,
    records,
    elsewhere,
    reload: async (more) => void (await daemon.reload(configOf({ ...all, ...more }))),
    client,
    async enter(as = user) {
      const made = await client()
      await made.answer()
      const { status } = await made.ask(`AUTHENTICATE "PLAIN" "${plain(as)}"`)
      if (status !== 'OK') throw new Error(`${as} could not log in`)
      return made
    },
    stopDaemon,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export const plain = (authcid: string, secret = password, authzid = ''): string =>
  Buffer.from(`${authzid}\0${authcid}\0${secret}`).toString('base64')

export const literal = (text: string): string => `{${Buffer.byteLength(text)}+}\r\n${text}`

export interface Answer {
  readonly status: 'OK' | 'NO' | 'BYE'
  /** With its arguments; '' where there is none. */
  readonly code: string
  readonly text: string
  /** What came before, as values: strings decoded, a word behind them after a space. */
  readonly lines: readonly string[]
  /** How many of them began with a literal. */
  readonly literals: number
}

/** Strings are taken apart by the grammar of RFC 5804 §4, with code of its own. */
export class Client {
  #socket: Socket
  #received = Buffer.alloc(0)
  #more: () => void = () => {}
  isClosed = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen()
  }

  static async open(port: number): Promise<Client> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Client(socket)
  }

  /** A line, or several. */
  send(text: string | Buffer): void {
    this.#socket.write(typeof text === 'string' ? `${text}\r\n` : text)
  }

  async ask(text: string): Promise<Answer> {
    this.send(text)
    return await this.answer()
  }

  /** Up to OK, NO or BYE. */
  async answer(): Promise<Answer> {
    const lines: string[] = []
    let literals = 0
    for (;;) {
      const line = await this.#line()
      const [first] = line
      if (first?.type === 'atom' && /^(OK|NO|BYE)$/.test(first.text)) {
        const code = line.filter(({ type }) => type === 'code')
        const text = line.filter(({ type }) => type === 'string').map(({ text }) => text)
        return {
          status: first.text as 'OK',
          code: code.map(({ text }) => text).join(''),
          text: text.join(''),
          lines,
          literals,
        }
      }
      if (first?.isLiteral) literals++
      lines.push(line.map(({ text }) => text).join(' '))
    }
  }

  /** One line that is a string: a challenge. */
  async challenge(): Promise<string> {
    const line = await this.#line()
    return Buffer.from(line[0]!.text, 'base64').toString()
  }

  /** Capabilities that come now. */
  async capabilities(): Promise<Readonly<Record<string, string>>> {
    const { lines } = await this.answer()
    return Object.fromEntries(lines.map((line) => [line.split(' ')[0]!, line.split(' ').slice(1).join(' ')]))
  }

  async upgrade(): Promise<void> {
    this.#socket.removeAllListeners('data')
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false })
    this.#socket = socket
    await once(socket, 'secureConnect')
    this.#listen()
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await this.#wait()
  }

  close(): void {
    this.#socket.destroy()
  }

  #listen(): void {
    this.#socket.on('error', () => {})
    this.#socket.on('data', (octets: Buffer) => {
      this.#received = Buffer.concat([this.#received, octets])
      this.#more()
    })
    this.#socket.on('close', () => {
      this.isClosed = true
      this.#more()
    })
  }

  async #wait(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#more = resolve
    await promise
  }

  async #line(): Promise<readonly AnswerPart[]> {
    for (;;) {
      const found = /^(?:\{\d+\}\r\n|[^\r])*?\r\n/.exec(this.#received.toString('latin1')) && readAnswer(this.#received)
      if (found) {
        this.#received = this.#received.subarray(found.end)
        return found.parts
      }
      if (this.isClosed) throw new Error(`closed behind ${JSON.stringify(this.#received.toString())}`)
      await this.#wait()
    }
  }
}

interface AnswerPart {
  readonly type: 'atom' | 'string' | 'code'
  readonly text: string
  readonly isLiteral?: boolean
}

/** Undefined while it is not complete. */
function readAnswer(octets: Buffer): { readonly parts: readonly AnswerPart[]; readonly end: number } | undefined {
  const latin1 = octets.toString('latin1')
  const parts: AnswerPart[] = []
  let inCode: string | undefined
  for (let at = 0; at < latin1.length; ) {
    const rest = latin1.slice(at)
    const token =
      /^\{(\d+)\}\r\n/.exec(rest) ??
      /^"((?:[^"\\\r\n\0]|\\["\\])*)"/.exec(rest) ??
      /^\r\n|^ |^\(|^\)|^[^\s(){"\\]+/.exec(rest)
    if (token === null) return undefined
    let text = token[0]
    let type: AnswerPart['type'] = 'atom'
    const isLiteral = text.startsWith('{')
    at += text.length
    if (text.startsWith('{')) {
      const count = Number(token[1])
      if (octets.length < at + count) return undefined
      text = octets.toString('utf8', at, at + count)
      at += count
      type = 'string'
    } else if (text.startsWith('"')) {
      text = Buffer.from(token[1]!.replace(/\\(.)/g, '$1'), 'latin1').toString()
      type = 'string'
    }
    if (type === 'atom' && text === '\r\n') return { parts, end: at }
    if (type === 'atom' && text === '(') inCode = ''
    else if (type === 'atom' && text === ')') {
      parts.push({ type: 'code', text: inCode ?? '' })
      inCode = undefined
    } else if (inCode !== undefined) inCode += text
    else if (text !== ' ' || type === 'string') parts.push({ type, text, isLiteral })
  }
  return undefined
}
