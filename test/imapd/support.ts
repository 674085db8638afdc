/** imapd as it is, in this process: real listener, store and accounts below a temporary directory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import { RemoteError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log, LogFields, Severity } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { EventBus, MailEvent, Presence } from '#src/events/types.ts'
import { imapd } from '#src/imapd/main.ts'
import type { Server } from './transcript.ts'

export const password = 'secret'

export interface RunningImapd extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly root: string
  readonly bus: MemoryBus
  readonly records: readonly LogRecord[]
  /** A login for `transcript.ts`. */
  as(user: string): Server
  reload(overrides: ConfigOverrides): Promise<void>
  /** Another one over the same files, that shares nothing else with this one: as good as another process or machine. */
  twin(): Promise<RunningImapd>
  stop(): Promise<void>
}

export interface LogRecord {
  readonly severity: Severity
  readonly message: string
  readonly fields: LogFields
}

/** Users have `password`. */
export async function startImapd(users: readonly string[], overrides: ConfigOverrides = {}): Promise<RunningImapd> {
  const root = await mkdtemp(join(tmpdir(), 'imapd-'))
  const accounts = openAccounts(join(root, 'accounts'))
  const verifiers = makeVerifiers(Buffer.from(password))
  for (const user of users)
    await accounts.add({ userId: user as UserId, state: 'enabled', verifiers, services: {}, properties: [] })
  return startOver(root, overrides, () => rm(root, { recursive: true, force: true }))
}

async function startOver(
  root: string,
  overrides: ConfigOverrides,
  afterwards: () => Promise<void>,
): Promise<RunningImapd> {
  const all: ConfigOverrides = {
    imap_host: '127.0.0.1',
    imap_port: 0,
    login_disabled: false,
    failed_logins_per_minute: 0,
    userdir: join(root, 'user'),
    shared_root_dir: join(root, 'shared'),
    account_db: join(root, 'accounts'),
    ...overrides,
  }
  const records: LogRecord[] = []
  const bus = new MemoryBus()
  const daemon = await imapd.start({
    config: configOf(all),
    log: logTo(records),
    clock: systemClock,
    events: bus,
    firstWorker: true,
    sharedPorts: false,
  })
  const at = daemon.addresses?.[0]?.at
  if (at === undefined || 'path' in at) throw new Error('no port')
  const { host, port } = at
  const stop = async () => {
    await daemon.stop(5000)
    await afterwards()
  }
  return {
    host,
    port,
    root,
    bus,
    records,
    as: (user) => ({ host, port, user, password }),
    reload: async (more) => {
      await daemon.reload(configOf({ ...all, ...more }))
    },
    twin: () => startOver(root, overrides, async () => {}),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export const logTo = (records: LogRecord[], bound: LogFields = {}): Log => ({
  log: (severity, message, fields) => void records.push({ severity, message, fields: { ...bound, ...fields } }),
  child: (fields) => logTo(records, { ...bound, ...fields }),
})

/** The event channel as one process sees it: what it publishes stays to be looked at, what others publish is given to `hear`. */
export class MemoryBus implements EventBus {
  connected = true
  readonly published: MailEvent[] = []
  readonly announced = new Set<{ presence: Presence }>()
  readonly #subscribers = new Set<{ topics: readonly string[]; onEvent: (event: MailEvent) => void }>()

  publish(event: MailEvent): void {
    this.published.push(event)
  }

  get subscribers(): number {
    return this.#subscribers.size
  }

  /** Another process published it. */
  hear(event: MailEvent): void {
    if (this.connected)
      for (const { topics, onEvent } of this.#subscribers) if (topics.includes(event.topic)) onEvent(event)
  }

  subscribe(topics: readonly string[], onEvent: (event: MailEvent) => void): () => void {
    const subscriber = { topics, onEvent }
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }

  announce(presence: Presence) {
    const entry = { presence }
    this.announced.add(entry)
    return {
      update: (changes: Partial<Presence>) => {
        entry.presence = { ...entry.presence, ...changes }
      },
      withdraw: () => void this.announced.delete(entry),
    }
  }

  presences(): Promise<never> {
    return Promise.reject(new RemoteError('not in this process', { retryable: false }))
  }

  ask(): Promise<never> {
    return Promise.reject(new RemoteError('nobody answers', { retryable: true }))
  }

  serve(): () => void {
    return () => {}
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
