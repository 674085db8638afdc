/** serveClients on a free loopback port, with what a test wants to see of it. */
import { createConnection, type Socket } from 'node:net'
import { systemClock } from '#src/base/clock.ts'
import type { Log, LogFields, Severity } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { EventBus } from '#src/events/types.ts'
import { type ClientService, type RunningClients, serveClients } from '#src/server/serve.ts'
import type { ClientConnection } from '#src/server/types.ts'

export interface Logged {
  readonly severity: Severity
  readonly message: string
  readonly fields: LogFields
}

export interface Serving extends RunningClients, AsyncDisposable {
  readonly port: number
  readonly logged: readonly Logged[]
}

export const collectLog = (logged: Logged[], fields: LogFields = {}): Log => ({
  log: (severity, message, own) => logged.push({ severity, message, fields: { ...fields, ...own } }),
  child: (own) => collectLog(logged, { ...fields, ...own }),
})

export async function serving(
  serve: (connection: ClientConnection) => Promise<void>,
  options: { readonly config?: ConfigOverrides; readonly service?: Partial<ClientService> } = {},
): Promise<Serving> {
  const logged: Logged[] = []
  const loopback = { imap_host: ['127.0.0.1'], imap_port: [0], imaps_host: ['127.0.0.1'], imaps_port: [0] }
  const running = await serveClients(
    {
      config: configOf({ ...loopback, ...options.config }),
      log: collectLog(logged),
      clock: systemClock,
      // serveClients leaves events to the sessions.
      events: {} as EventBus,
      firstWorker: true,
      sharedPorts: false,
      replacement: false,
    },
    { plain: 'imap', refusal: '* BYE Too many\r\n', serve, ...options.service },
  )
  const { at } = running.addresses[0]!
  const port = 'port' in at ? at.port : 0
  const stop = (graceMs: number) => running.stop(graceMs)
  return {
    addresses: running.addresses,
    reload: (config) => running.reload(config),
    dismiss: (reason) => running.dismiss(reason),
    stop,
    port,
    logged,
    [Symbol.asyncDispose]: () => stop(0),
  }
}

/** A client that collects what it receives. */
export class Client {
  readonly socket: Socket
  text = ''
  /** The server closed, or the connection broke. */
  closed = false
  readonly #wake = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.text += text
      this.#changed()
    })
    socket.on('error', () => {})
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        this.closed = true
        this.#changed()
      })
  }

  /** Resolves when the client has received `text`. Rejects when it never will. */
  async received(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      if (this.closed) throw new Error(`closed before ${JSON.stringify(text)}; received ${JSON.stringify(this.text)}`)
      await this.#change()
    }
  }

  async ended(): Promise<void> {
    while (!this.closed) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.add(resolve)
    })
  }

  #changed(): void {
    for (const wake of this.#wake) wake()
    this.#wake.clear()
  }
}

export const connectTo = (port: number, host = '127.0.0.1'): Client =>
  new Client(createConnection({ port, host, allowHalfOpen: true, noDelay: true }))

/** Resolves when `condition` holds; looked at after every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Lines of a session, as they are complete. */
export async function* linesOf(connection: ClientConnection): AsyncGenerator<string> {
  let rest = ''
  for (let octets = await connection.read(); octets; octets = await connection.read()) {
    const lines = (rest + octets.toString('latin1')).split('\r\n')
    rest = lines.pop()!
    yield* lines
  }
}
