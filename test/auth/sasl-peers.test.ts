/** Other people's SASL clients: gsasl and mpop log in at imapd and pop3d. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { pop3d } from '#src/pop3d/main.ts'
import type { RunningDaemon } from '#src/server/types.ts'
import { MemoryBus, password, type RunningImapd, startImapd } from '../imapd/support.ts'
import { makeCertificate } from '../support/certificate.ts'
import { runClient } from '../support/client.ts'

const user = 'anna@example.org'
let directory: string
let imapd: RunningImapd
let pop: RunningDaemon
let popPort: number

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sasl-peers-'))
  const [tls_cert_file, tls_key_file] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  makeCertificate(tls_cert_file, tls_key_file)
  const options: ConfigOverrides = { tls_cert_file, tls_key_file, login_disabled: true, admin_user: 'root@example.org' }
  imapd = await startImapd([user, 'root@example.org', 'bert@example.org'], options)
  const log = { log: () => {}, child: () => log }
  pop = await pop3d.start({
    config: configOf({
      ...options,
      pop3_host: '127.0.0.1',
      pop3_port: 0,
      userdir: join(imapd.root, 'user'),
      account_db: join(imapd.root, 'accounts'),
    }),
    log,
    clock: systemClock,
    events: new MemoryBus(),
    firstWorker: true,
    sharedPorts: false,
  })
  const at = pop.addresses?.[0]?.at
  if (at === undefined || 'path' in at) throw new Error('no port')
  popPort = at.port
})
afterAll(async () => {
  await pop?.stop(1000)
  await imapd?.stop()
  rmSync(directory, { recursive: true })
})

const gsasl = (mechanism: string, secret: string, more: readonly string[], authcid = user) =>
  runClient('gsasl', [
    ...['--imap', `--connect=127.0.0.1:${imapd.port}`, '--hostname=localhost', `--mechanism=${mechanism}`],
    ...[`--authentication-id=${authcid}`, `--password=${secret}`, ...more],
  ])
const inClear = ['--no-starttls', '--no-cb']
const overTls = () => ['--starttls', `--x509-ca-file=${join(directory, 'cert.pem')}`]
const lastLogin = () => imapd.records.findLast(({ message }) => message === 'login')?.fields

describe('gsasl at imapd', () => {
  it.each(['SCRAM-SHA-1', 'SCRAM-SHA-256'])(
    'AUTH-01 %s in clear, where login_disabled refuses passwords',
    async (mechanism) => {
      const { said, status } = await gsasl(mechanism, password, inClear)
      expect(said).toMatch(/OK \[CAPABILITY .*\] Logged in/)
      expect(status).toBe(0)
      expect(lastLogin()).toMatchObject({ user, mechanism, tls: false })
      expect((await gsasl(mechanism, 'wrong', inClear)).said).toContain('NO [AUTHENTICATIONFAILED]')
    },
  )

  it.each(['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256-PLUS', 'PLAIN'])('RFC 9266: %s over TLS', async (mechanism) => {
    const { said } = await gsasl(mechanism, password, overTls())
    expect(said).toMatch(/OK \[CAPABILITY .*\] Logged in/)
    expect(lastLogin()).toMatchObject({ user, mechanism, tls: true })
    expect((await gsasl(mechanism, 'wrong', overTls())).said).toContain('NO [AUTHENTICATIONFAILED]')
  })

  it('admin_user acts for another user, and nobody else does', async () => {
    const forBert = [...inClear, '--authorization-id=bert@example.org']
    const { said } = await gsasl('SCRAM-SHA-256', password, forBert, 'root@example.org')
    expect(said).toMatch(/OK \[CAPABILITY .*\] Logged in/)
    expect(lastLogin()).toMatchObject({ user: 'bert@example.org', authenticated: 'root@example.org' })
    expect((await gsasl('SCRAM-SHA-256', password, forBert)).said).toContain('NO [AUTHORIZATIONFAILED]')
  })
})

describe('mpop at pop3d', () => {
  it.each(['scram-sha-1', 'scram-sha-256'])('%s', async (mechanism) => {
    const login = (secret: string) => {
      const file = join(directory, 'mpoprc')
      const lines = ['account default', 'host 127.0.0.1', `port ${popPort}`, 'tls off', `auth ${mechanism}`]
      const rest = [`user ${user}`, `password ${secret}`, `delivery maildir ${directory}`]
      writeFileSync(file, [...lines, ...rest, ''].join('\n'), { mode: 0o600 })
      return runClient('mpop', ['-C', file, '--auth-only', '--debug'])
    }
    const { said, status } = await login(password)
    expect(said).toContain('+OK maildrop has 0 messages')
    expect(status).toBe(0)
    expect((await login('wrong')).said).toContain('-ERR [AUTH]')
  })
})
