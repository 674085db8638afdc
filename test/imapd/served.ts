/** Sessions of imapd over real sockets, with the store or the connection replaced in part: for faults that no peer can cause. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { offerOf } from '#src/auth/sasl/offer.ts'
import type { Authenticator } from '#src/auth/types.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { MailNews } from '#src/imapd/mail-news.ts'
import { MetadataChanges } from '#src/imapd/metadata-changes.ts'
import { Session } from '#src/imapd/session.ts'
import { settingsOf } from '#src/imapd/settings.ts'
import { createQuotas } from '#src/server/quotas.ts'
import { serveClients } from '#src/server/serve.ts'
import type { ClientConnection } from '#src/server/types.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox, Store } from '#src/store/types.ts'
import { type LogRecord, logTo, MemoryBus } from './support.ts'
import { Peer } from './transcript.ts'

export const user = 'anna@example.org' as UserId

export interface Served {
  readonly directory: string
  readonly bus: MemoryBus
  readonly records: readonly LogRecord[]
  /** Shares nothing with the sessions' store but the files: as good as another process. */
  readonly elsewhere: Store
  /** A client that is logged in. */
  enter(): Promise<Peer>
}

export interface ServedOptions {
  /** Of the stores. */
  readonly clock?: Clock
  /** Replaced members of every mailbox that a session opens. */
  readonly mailbox?: (mailbox: Mailbox) => Partial<Mailbox>
  readonly connection?: (connection: ClientConnection) => Partial<ClientConnection>
}

/** Ends with the test. */
export async function serve({ clock = systemClock, mailbox, connection: wire }: ServedOptions = {}): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), 'imapd-'))
  const records: LogRecord[] = []
  const log = logTo(records)
  const bus = new MemoryBus()
  const config = configOf({ login_disabled: false, imap_host: '127.0.0.1', imap_port: 0, enable_imaps: false })
  const open = () => openStore({ root: join(directory, 'user'), clock, log })
  const [store, elsewhere] = [open(), open()]
  const login = async () => ({ userId: user })
  const authenticator: Authenticator = { offer: (channel) => offerOf(config, channel), login, authenticate: login }
  const services = {
    settings: () => settingsOf(config),
    log,
    clock: systemClock,
    events: bus,
    store: mailbox === undefined ? store : withMailboxes(store, mailbox),
    quotas: createQuotas({
      config: () => config,
      accounts: { find: async () => undefined, put: async () => {} },
      clock: systemClock,
    }),
    mailNews: new MailNews(bus, log),
    metadataChanges: new MetadataChanges(bus),
    authenticator,
  }
  const runtime = { config, log, clock: systemClock, events: bus, firstWorker: true, sharedPorts: false }
  const running = await serveClients(runtime, {
    plain: 'imap',
    refusal: '* BYE\r\n',
    serve: (connection) =>
      new Session(wire === undefined ? connection : proxy(connection, wire(connection)), services).run(),
  })
  onTestFinished(async () => {
    await running.stop(1000)
    await store.close()
    await elsewhere.close()
    await rm(directory, { recursive: true, force: true })
  })
  const { at } = running.addresses[0]!
  if (!('port' in at)) throw new Error('no port')
  return {
    directory,
    bus,
    records,
    elsewhere,
    async enter() {
      const peer = await Peer.open(at)
      onTestFinished(() => peer.destroy())
      await peer.line()
      await peer.command('login', `LOGIN ${user} secret`)
      return peer
    },
  }
}

/** Puts messages into a mailbox in one delivery; makes it when it is not there. */
export async function deliver(store: Store, name: string, messages: readonly string[]): Promise<void> {
  const account = store.account(user)
  await account.ensure()
  if (!(await account.list()).some((entry) => entry.name === name)) await account.create(name)
  await using mailbox = await account.open(name)
  await using delivery = mailbox.deliver()
  for (const message of messages) {
    const sink = delivery.add({ internalDate: 1_700_000_000 })
    await sink.write(Buffer.from(message, 'latin1'))
    await sink.end()
  }
  await delivery.commit()
}

const withMailboxes = (store: Store, replaced: (mailbox: Mailbox) => Partial<Mailbox>): Store =>
  proxy(store, {
    account: (id) => {
      const account = store.account(id)
      return proxy(account, {
        open: async (name) => {
          const mailbox = await account.open(name)
          return proxy(mailbox, replaced(mailbox))
        },
      })
    },
  })

const proxy = <T extends object>(target: T, replaced: Partial<T>): T =>
  new Proxy(target, {
    get: (_target, key) => {
      if (Object.hasOwn(replaced, key)) return Reflect.get(replaced, key)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
