/** A pop3d of the test's own: real sockets, TLS and store, one user, any messages. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { mechanisms, offeredOverTls, offerOf } from '#src/auth/sasl/offer.ts'
import type { Authenticator, Login, LoginRequest } from '#src/auth/types.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { Session } from '#src/pop3d/session.ts'
import { settingsOf } from '#src/pop3d/settings.ts'
import { serveClients } from '#src/server/serve.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox, NewMessage, Store } from '#src/store/types.ts'
import { bus, type Records, recordingLog } from '../../events/support/buses.ts'

export const user = 'joe@example.org'
export const password = 'secret  with spaces'

export interface Served {
  readonly port: number
  readonly directory: string
  readonly store: Store
  readonly log: Records
  readonly logins: LoginRequest[]
  /** Pauses that sessions made; they don't take time here. */
  readonly pausesMs: number[]
  /** Self-signed certificate, when TLS was asked for. */
  readonly certFile: string
  inbox(): Promise<Mailbox>
  /** Puts messages into INBOX in one delivery. */
  deliver(
    ...messages: readonly (string | Buffer | ({ readonly octets: Buffer } & Partial<NewMessage>))[]
  ): Promise<void>
  /** Octets of INBOX's messages now. */
  stored(): Promise<readonly Buffer[]>
  stop(): Promise<void>
}

export interface ServedOptions {
  readonly config?: ConfigOverrides
  readonly tls?: boolean
  readonly store?: (store: Store) => Store
  readonly fail?: (request: LoginRequest) => Error | undefined
  readonly loginWaitMs?: number
  /** Of the sessions; they never sleep. */
  readonly clock?: Clock
  /** Of another one: a second machine with the same store. */
  readonly directory?: string
}

export async function serve({
  config = {},
  tls = false,
  store: wrap,
  fail,
  loginWaitMs,
  clock: sessionClock = systemClock,
  directory: shared,
}: ServedOptions = {}): Promise<Served> {
  const directory = shared ?? (await mkdtemp(join(tmpdir(), 'wherry-pop3d-')))
  const certFile = join(directory, 'cert.pem')
  const keyFile = join(directory, 'key.pem')
  if (tls)
    execFileSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${keyFile} -out ${certFile}`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    )
  const log = recordingLog()
  const clock = systemClock
  const inForce = configOf({
    login_disabled: false,
    pop3_host: '127.0.0.1',
    pop3_port: 0,
    pop3s_host: '127.0.0.1',
    pop3s_port: 0,
    ...(tls ? { tls_cert_file: certFile, tls_key_file: keyFile } : {}),
    ...config,
  })
  const disk = openStore({
    root: join(directory, 'user'),
    clock,
    log,
  })
  const store = wrap?.(disk) ?? disk
  const logins: LoginRequest[] = []
  const login = async (request: LoginRequest): Promise<Login> => {
    logins.push(request)
    const failure = fail?.(request)
    if (failure) throw failure
    if (request.user !== user || request.password.toString() !== password) throw new AuthError('bad-credentials', 'no')
    return { userId: user as UserId }
  }
  const authenticator: Authenticator = {
    offer: (channel) => offerOf(inForce, channel),
    login,
    async authenticate({ mechanism: name, initial, ask, channel, ...place }) {
      const offered = offerOf(inForce, channel).mechanisms
      const mechanism = mechanisms.find((known) => known.name === name && offered.includes(name))
      if (mechanism === undefined)
        throw new AuthError(offeredOverTls(inForce, name) ? 'privacy-required' : 'no-mechanism', 'no')
      const none = () => Promise.reject(new Error('there are passwords only'))
      const proof = await mechanism.run({
        initial,
        ask,
        channel,
        offered,
        scramKeys: none,
        clearPassword: none,
        tokenUser: none,
        realm: '',
        service: 'pop',
      })
      if (proof.authzid !== undefined && proof.authzid !== proof.user) throw new AuthError('denied', 'no')
      return login({ ...place, user: proof.user, password: proof.password! })
    },
  }
  const events = bus({ path: join(directory, 'mseventd') })
  const pausesMs: number[] = []
  const impatient: Clock = { ...sessionClock, sleep: async (ms) => void pausesMs.push(ms) }
  const services = { settings: () => settingsOf(inForce), log, clock: impatient, events, store, authenticator }
  const runtime = { config: inForce, log, clock, events, firstWorker: true, replacement: false, sharedPorts: false }
  const running = await serveClients(runtime, {
    plain: 'pop3',
    ...(inForce.get('enable_pop3s') ? { tls: 'pop3s' as const } : {}),
    refusal: '-ERR [SYS/TEMP] too many connections\r\n',
    serve: (connection) => new Session(connection, services).run(),
    ...(loginWaitMs === undefined ? {} : { limits: { loginWaitMs } }),
  })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= running.stop(1000)
    return stopped
  }
  onTestFinished(async () => {
    await stop()
    await disk.close()
    await rm(directory, { recursive: true, force: true })
  })
  const inbox = async () => {
    const account = disk.account(user as UserId)
    await account.ensure()
    return account.open('INBOX')
  }
  const { at } = running.addresses.at(-1)!
  if (!('port' in at)) throw new Error('no port')
  return {
    port: at.port,
    directory,
    store: disk,
    log,
    logins,
    pausesMs,
    certFile,
    inbox,
    async deliver(...messages) {
      await using mailbox = await inbox()
      await using delivery = mailbox.deliver()
      for (const message of messages) {
        const given =
          typeof message === 'string' || Buffer.isBuffer(message) ? { octets: Buffer.from(message) } : message
        const sink = delivery.add({ internalDate: 1_700_000_000, ...given })
        await sink.write(given.octets)
        await sink.end()
      }
      await delivery.commit()
    },
    async stored() {
      await using mailbox = await inbox()
      const all: Buffer[] = []
      for (const record of mailbox.messages) {
        await using content = await mailbox.content(record)
        all.push(await content.read(0, content.sizeOctets))
      }
      return all
    },
    stop,
  }
}

/** The store, with some of INBOX's operations replaced. */
export const withInbox =
  (replaced: { readonly [K in keyof Mailbox]?: (mailbox: Mailbox) => Mailbox[K] }) =>
  (store: Store): Store =>
    proxy(store, {
      account: (id: UserId) => {
        const account = store.account(id)
        return proxy(account, {
          open: async (name: string) => {
            const mailbox = await account.open(name)
            const made = Object.entries(replaced).map(([key, make]) => [key, make(mailbox)])
            return proxy(mailbox, Object.fromEntries(made))
          },
        })
      },
    })

const proxy = <T extends object>(target: T, replaced: Readonly<Record<PropertyKey, unknown>>): T =>
  new Proxy(target, {
    get: (_target, key) => {
      if (Object.hasOwn(replaced, key)) return replaced[key]
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

/** A client that sends what it is told and reads line by line. */
export class Client {
  readonly socket: Socket
  readonly closed: Promise<void>
  #received = Buffer.alloc(0)
  #waiting: (() => void) | undefined
  #ended = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#waiting?.()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        this.#ended = true
        this.#waiting?.()
        resolve()
      }),
    )
  }

  static async connect({ port }: Served): Promise<Client> {
    const socket = createConnection(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    const client = new Client(socket)
    return client
  }

  /** Connected and logged in. */
  static async login(served: Served): Promise<Client> {
    const client = await Client.connect(served)
    await client.line()
    expectOk(await client.say(`USER ${user}`))
    expectOk(await client.say(`PASS ${password}`))
    return client
  }

  send(octets: string | Buffer): void {
    this.socket.write(octets)
  }

  /** One command, one line of answer. */
  say(command: string): Promise<string> {
    this.send(`${command}\r\n`)
    return this.line()
  }

  /** One command, a multi-line answer; lines as they came, without the last. */
  async sayMany(command: string): Promise<readonly string[]> {
    this.send(`${command}\r\n`)
    return this.many()
  }

  async many(): Promise<readonly string[]> {
    const lines = [await this.line()]
    if (lines[0]!.startsWith('-ERR')) return lines
    for (;;) {
      const line = await this.line()
      if (line === '.') return lines
      lines.push(line)
    }
  }

  /** Next line without CRLF; 'closed' when there is none any more. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n')
      if (end >= 0) {
        const line = this.#received.toString('latin1', 0, end)
        this.#received = this.#received.subarray(end + 2)
        return line
      }
      if (this.#ended) return 'closed'
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
  }
}

function expectOk(line: string): void {
  if (!line.startsWith('+OK')) throw new Error(line)
}
