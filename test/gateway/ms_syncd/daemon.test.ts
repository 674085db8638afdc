import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { msSyncd } from '#gateway/ms_syncd/daemon.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { MailEvent } from '#src/events/types.ts'
import type { Store } from '#src/store/types.ts'
import { bus, hub, socketPath } from '#test/events/support/buses.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { clientExpunges, contents, testStore } from '../sync/support.ts'
import { type LogLine, recordingLog } from './support.ts'

const message = (n: number) => Buffer.from(`Subject: ${n}\r\n\r\nmessage ${n}\r\n`)
let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({
    users: { anna: 'pw', work: 'other', berta: 'pw', carla: 'pw', dora: 'pw' },
    protocols: ['pop3'],
    tls: true,
  })
})
afterAll(() => dovecot.stop())

/** ms_syncd, mseventd's hub, and what imapd has of them: a bus, an authenticator, a store of its own. */
const installation = async (overrides: ConfigOverrides = {}, records = '') => {
  const root = await mkdtemp(join(tmpdir(), 'gateway-daemon-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  if (records !== '') await writeFile(join(root, 'ms_sync.xml'), records)
  const address = await socketPath()
  await hub(address)
  const config = configOf({
    gateway_mode: true,
    login_disabled: false,
    domain: 'example.org',
    userdir: root,
    ms_syncd_host: '127.0.0.1',
    ms_syncd_port: dovecot.pop3Port,
    ms_sync_interval: 1,
    account_db: join(root, 'accounts'),
    ...(records === '' ? {} : { ms_sync_userdb: join(root, 'ms_sync.xml') }),
    ...overrides,
  })
  const lines: LogLine[] = []
  const runtime = { config, clock: systemClock, firstWorker: true, sharedPorts: false }
  const syncd = await msSyncd().start({ ...runtime, log: recordingLog(lines), events: bus(address, 'ms_syncd') })
  const front = bus(address, 'imapd')
  const authenticator = createAuthenticator({ config, log: silentLog, clock: systemClock, ask: front.ask.bind(front) })
  const login = (password = 'pw', user = 'anna') =>
    authenticator.login({
      service: 'imap',
      user,
      password: Buffer.from(password),
      localAddress: '127.0.0.1',
      remoteAddress: '127.0.0.1',
      signal: new AbortController().signal,
    })
  const test = await testStore(root)
  onTestFinished(() => test[Symbol.asyncDispose]())
  const addAccount = (userId: string, password: string, state: 'enabled' | 'disabled' = 'enabled') =>
    openAccounts(config.get('account_db')).add({
      userId: userId as UserId,
      state,
      verifiers: makeVerifiers(Buffer.from(password)),
      services: {},
      properties: [],
    })
  return { root, syncd, front, login, addAccount, store: test.store, lines }
}

const until = async (holds: () => Promise<boolean>) => {
  const deadline = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it did not come to that')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('ms_syncd', () => {
  it('GW-25: asked by a front end over the event channel; polls; tells of new mail; deletes behind a client', async () => {
    await dovecot.fill('anna', [1, 2].map(message))
    const { syncd, front, login, store, lines } = await installation()
    expect(await login()).toEqual({ userId: 'anna@example.org' })
    expect(await contents(store)).toHaveLength(2)
    expect(await front.presences(null)).toMatchObject([{ service: 'gw' }])
    const news: MailEvent[] = []
    front.announce({ service: 'imap', sessionId: '7', user: 'anna@example.org' })
    front.subscribe(['mbox:anna@example.org'], (event) => void news.push(event))
    await dovecot.fill('anna', [message(3)])
    await until(async () => (await contents(store)).length === 3)
    await until(async () => news.some(({ fields }) => fields.mailbox === 'INBOX' && Number(fields.added) === 1))
    await clientExpunges(store, ({ uid }) => uid === 1)
    front.publish({ topic: 'mbox:anna@example.org', name: 'mailbox', fields: { mailbox: 'INBOX', expunged: 1 } })
    await until(async () =>
      lines.some(({ message, fields }) => message === 'synchronised' && fields.deletedThere === 1),
    )
    await expect(login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
    expect(JSON.stringify(lines)).not.toMatch(/"pw"|wrong/)
    await syncd.stop(1_000)
    await expect(login()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await front.presences(null)).toEqual([])
  })

  it('tells how backends are: by events, and to who asks', async () => {
    const { front, login, syncd, lines } = await installation({ ms_sync_interval: 300 })
    const told: MailEvent[] = []
    const inForce = Promise.withResolvers<void>()
    front.subscribe(['backend:'], (event) => void told.push(event), inForce.resolve)
    await inForce.promise
    await login()
    await until(async () => told.some(({ fields }) => fields.state === 'waiting'))
    expect(told.map(({ topic, name, fields }) => [topic, name, fields.state])).toEqual([
      ['backend:anna@example.org', 'backend', 'syncing'],
      ['backend:anna@example.org', 'backend', 'waiting'],
    ])
    const answer = await front.ask('ms_sync', { type: 'status', from: 0 }, { timeoutMs: 5_000 })
    expect(answer).toMatchObject({
      backends: [
        { user: 'anna@example.org', mailbox: 'INBOX', state: 'waiting', sessions: 1, last: expect.any(Number) },
      ],
      totals: { users: 1, backends: 1, states: { waiting: 1 }, running: 0, waiting: 0 },
    })
    expect(JSON.stringify([told, answer, lines])).not.toContain('"pw"')
    await syncd.stop(1_000)
  })

  it('POPS with tls_ca_file', async () => {
    const tls = { ms_syncd_protocol: 'pops', ms_syncd_port: dovecot.pop3sPort! } as const
    const { login, syncd } = await installation({ ...tls, tls_ca_file: dovecot.certificateFile! })
    expect(await login()).toEqual({ userId: 'anna@example.org' })
    await syncd.stop(1_000)
    const untrusting = await installation(tls)
    await expect(untrusting.login()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(untrusting.lines.map(({ message }) => message)).toContain(
      'the connection to the backend can not be protected',
    )
    await untrusting.syncd.stop(1_000)
  })

  it('GW-01 MIG-01: gateway_mode together with auto_migrate is an error at the start; so is neither', async () => {
    await expect(installation({ auto_migrate: true })).rejects.toThrow(/gateway_mode and auto_migrate are both true/)
    await expect(installation({ gateway_mode: false })).rejects.toThrow(
      /none of gateway_mode, auto_migrate and sync_mode is true/,
    )
  })

  it('a reload with a broken ms_sync.xml has no effect', async () => {
    const { root, syncd, login } = await installation()
    const file = join(root, 'ms_sync.xml')
    await writeFile(file, '<xmldb><user/></xmldb>')
    const next = configOf({ gateway_mode: true, ms_syncd_host: 'other.invalid', ms_sync_userdb: file })
    await expect(syncd.reload(next)).rejects.toThrow(/frontend_id/)
    expect(await login()).toEqual({ userId: 'anna@example.org' })
    await syncd.stop(1_000)
  })
})

const inboxOf = async (store: Store, name: string) => {
  await using mailbox = await store.account(`${name}@example.org` as UserId).open('INBOX')
  return [...mailbox.messages]
}

describe('synchronisation mode', () => {
  const sync = { gateway_mode: false, sync_mode: true } as const
  const records = (extra = '', master = '') =>
    `<xmldb><user frontend_id='anna@example.org' ${master}>${extra}</user></xmldb>`
  const workBackend = "<backend backend_id='work' password='other' mailbox='Work'/>"

  it('SYN-01, SYN-03, SYN-04: the account here decides; the backends have passwords of their own, and feed a mailbox each', async () => {
    await dovecot.fill('berta', [1, 2].map(message))
    await dovecot.fill('work', [message(3)])
    const at = await installation(sync, records(workBackend, "backend_id='berta' password='pw'"))
    await at.addAccount('anna@example.org', 'here')
    expect(await at.login('here')).toEqual({ userId: 'anna@example.org' })
    expect([await contents(at.store), await contents(at.store, 'Work')].map((mail) => mail.length)).toEqual([2, 1])
    // The backend's password is none here, and nobody is asked about it.
    await expect(at.login('pw')).rejects.toMatchObject({ kind: 'bad-credentials' })
    at.front.announce({ service: 'imap', sessionId: '7', user: 'anna@example.org' })
    await dovecot.fill('work', [message(4)])
    await until(async () => (await contents(at.store, 'Work')).length === 2)
    expect(JSON.stringify(at.lines)).not.toMatch(/"here"|"pw"|"other"/)
    await at.syncd.stop(1_000)
  })

  it('SYN-01: without a password in the record the backend is given that of the login', async () => {
    await dovecot.fill('carla', [message(1)])
    const at = await installation(sync)
    await at.addAccount('carla@example.org', 'pw')
    await at.login('pw', 'carla')
    expect(await inboxOf(at.store, 'carla')).toHaveLength(1)
    await at.syncd.stop(1_000)
  })

  it('SYN-01: a backend that refuses, or an ms_syncd that is away, keeps nobody from the mail that is here', async () => {
    const at = await installation(sync)
    await at.addAccount('anna@example.org', 'another')
    expect(await at.login('another')).toEqual({ userId: 'anna@example.org' })
    expect(at.lines.map(({ message }) => message)).toContain(
      'the backend refuses the password; no further attempt before the next login',
    )
    await at.syncd.stop(1_000)
    expect(await at.login('another')).toEqual({ userId: 'anna@example.org' })
  })

  it('SYN-02: together with gateway_mode an account decides for those who have one, and the backend for the others', async () => {
    await dovecot.fill('dora', [message(1)])
    const at = await installation({ ...sync, gateway_mode: true })
    await at.addAccount('work@example.org', 'here')
    await at.addAccount('gone@example.org', 'here', 'disabled')
    expect(await at.login('pw', 'dora')).toEqual({ userId: 'dora@example.org' })
    expect(await inboxOf(at.store, 'dora')).toHaveLength(1)
    expect(await at.login('here', 'work')).toEqual({ userId: 'work@example.org' })
    await expect(at.login('other', 'work')).rejects.toMatchObject({ kind: 'bad-credentials' })
    await expect(at.login('here', 'gone')).rejects.toMatchObject({ kind: 'denied' })
    await at.syncd.stop(1_000)
  })

  it('SYN-02: starts with sync_mode alone, with gateway_mode, and with auto_migrate', async () => {
    for (const modes of [{}, { gateway_mode: true }, { auto_migrate: true }])
      await (await installation({ ...sync, ...modes })).syncd.stop(1_000)
  })
})
