import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { msSyncd } from '#gateway/ms_syncd/main.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { MailEvent } from '#src/events/types.ts'
import { bus, hub, socketPath } from '#test/events/support/buses.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { clientExpunges, contents, testStore } from '../sync/support.ts'
import { type LogLine, recordingLog } from './support.ts'

const message = (n: number) => Buffer.from(`Subject: ${n}\r\n\r\nmessage ${n}\r\n`)
let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { anna: 'pw' }, protocols: ['pop3'], tls: true })
})
afterAll(() => dovecot.stop())

/** ms_syncd, mseventd's hub, and what imapd has of them: a bus, an authenticator, a store of its own. */
const installation = async (overrides: ConfigOverrides = {}) => {
  const root = await mkdtemp(join(tmpdir(), 'gateway-daemon-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
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
    ...overrides,
  })
  const lines: LogLine[] = []
  const runtime = { config, clock: systemClock, firstWorker: true, sharedPorts: false }
  const syncd = await msSyncd.start({ ...runtime, log: recordingLog(lines), events: bus(address, 'ms_syncd') })
  const front = bus(address, 'imapd')
  const authenticator = createAuthenticator({ config, log: silentLog, clock: systemClock, ask: front.ask.bind(front) })
  const login = (password = 'pw') =>
    authenticator.login({
      service: 'imap',
      user: 'anna',
      password: Buffer.from(password),
      localAddress: '127.0.0.1',
      remoteAddress: '127.0.0.1',
      signal: new AbortController().signal,
    })
  const test = await testStore(root)
  onTestFinished(() => test[Symbol.asyncDispose]())
  return { root, syncd, front, login, store: test.store, lines }
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

  it('GW-01: gateway_mode together with auto_migrate is an error at the start; so is neither', async () => {
    await expect(installation({ auto_migrate: true })).rejects.toThrow(/gateway_mode and auto_migrate are both true/)
    await expect(installation({ gateway_mode: false })).rejects.toThrow(/gateway_mode is false/)
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
