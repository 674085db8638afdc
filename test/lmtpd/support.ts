/** lmtpd as it is, in this process: real listeners, store and accounts below a temporary directory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { lmtpd } from '#src/lmtpd/main.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, Store } from '#src/store/types.ts'
import { type LogRecord, logTo, MemoryBus } from '../imapd/support.ts'
import { makeCertificate } from '../support/certificate.ts'

export const password = 'secret'

export interface User {
  readonly id: string
  readonly state?: 'disabled' | 'migrating'
  readonly properties?: readonly (readonly [string, string])[]
}

export interface RunningLmtpd extends AsyncDisposable {
  readonly tcp: { readonly host: string; readonly port: number }
  readonly unix: { readonly path: string }
  readonly root: string
  readonly bus: MemoryBus
  readonly records: readonly LogRecord[]
  /** Shares nothing with the daemon's store but the files. */
  readonly store: Store
  /** Octets of the messages in a mailbox, in the order of their UIDs. */
  stored(user: string, mailbox?: string): Promise<readonly Buffer[]>
  reload(overrides: ConfigOverrides): Promise<void>
  stop(): Promise<void>
}

/** Users have `password`; those named by their id alone are enabled and have nothing else. */
export async function startLmtpd(
  users: readonly (string | User)[],
  overrides: ConfigOverrides = {},
  { tls = false } = {},
): Promise<RunningLmtpd> {
  const root = await mkdtemp(join(tmpdir(), 'lmtpd-'))
  const accounts = openAccounts(join(root, 'accounts'))
  const verifiers = makeVerifiers(Buffer.from(password))
  for (const user of users) {
    const { id, state = 'enabled', properties = [] } = typeof user === 'string' ? { id: user } : user
    await accounts.add({ userId: id as UserId, state, verifiers, services: {}, properties })
  }
  const path = join(root, 'lmtp')
  const [certFile, keyFile] = [join(root, 'cert.pem'), join(root, 'key.pem')]
  if (tls) makeCertificate(certFile, keyFile)
  const all: ConfigOverrides = {
    lmtp_host: ['127.0.0.1', path],
    lmtp_port: [0],
    login_disabled: false,
    failed_logins_per_minute: 0,
    domain: 'example.org',
    userdir: join(root, 'user'),
    shared_root_dir: join(root, 'shared'),
    account_db: join(root, 'accounts'),
    msgtrack_db: join(root, 'msgtrack'),
    run_dir: root,
    ...(tls ? { tls_cert_file: certFile, tls_key_file: keyFile } : {}),
    ...overrides,
  }
  const records: LogRecord[] = []
  const log = logTo(records)
  const bus = new MemoryBus()
  const runtime = { config: configOf(all), log, clock: systemClock, events: bus, firstWorker: true, sharedPorts: false }
  const daemon = await lmtpd.start(runtime)
  const store = openStore({ root: join(root, 'user'), clock: systemClock, log })
  const at = daemon.addresses?.[0]?.at
  if (at === undefined || 'path' in at) throw new Error('no port')
  const stop = async () => {
    await daemon.stop(5000)
    await store.close()
    await rm(root, { recursive: true, force: true })
  }
  return {
    tcp: at,
    unix: { path },
    root,
    bus,
    records,
    store,
    stored: (user, mailbox = 'INBOX') => storedIn(store.account(user as UserId), mailbox),
    reload: async (more) => void (await daemon.reload(configOf({ ...all, ...more }))),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export async function storedIn(account: Account, name: string): Promise<readonly Buffer[]> {
  await using mailbox = await account.open(name)
  await mailbox.refresh()
  const all: Buffer[] = []
  for (const record of mailbox.messages) {
    await using content = await mailbox.content(record)
    all.push(await content.read(0, content.sizeOctets))
  }
  return all
}

/** Without the trace fields that the server put before it: what the client sent. */
export function withoutTrace(octets: Buffer): string {
  const text = octets.toString('latin1')
  // It ends with the date: the message may begin with a blank.
  const trace = /^Return-Path: .*\r\nReceived: [\s\S]*?;\r\n\t.*\r\n/.exec(text)
  if (trace === null) throw new Error(`no trace: ${text.slice(0, 200)}`)
  return text.slice(trace[0].length)
}
