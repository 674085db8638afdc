/** Passwords that a real slapd has in clear, proved by other people's clients. AUTH-04 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { pop3d } from '#src/pop3d/main.ts'
import type { RunningDaemon } from '#src/server/types.ts'
import { MemoryBus, type RunningImapd, startImapd } from '../../imapd/support.ts'
import { makeCertificate } from '../../support/certificate.ts'
import { runClient } from '../../support/client.ts'
import { domainEntriesOf, type Slapd, startSlapd, userEntry } from '../../support/slapd.ts'
import { overlaid } from '../../support/unpacked.ts'
import { directory } from './support.ts'

const password = 'pässwörd'
let slapd: Slapd
let imapd: RunningImapd
let pop: RunningDaemon
let popPort: number
let home: string
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'clear-'))
  slapd = await startSlapd({
    entries: [
      ...domainEntriesOf('a.example'),
      userEntry('anna@a.example', password),
      userEntry('hashed@a.example', '{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=='),
    ],
  })
  const [tls_cert_file, tls_key_file] = [join(home, 'cert.pem'), join(home, 'key.pem')]
  makeCertificate(tls_cert_file, tls_key_file)
  const options = {
    ...directory(slapd.url),
    domain: 'a.example',
    login_disabled: true,
    tls_cert_file,
    tls_key_file,
    failed_logins_per_minute: 0,
  }
  imapd = await startImapd([], options)
  pop = await pop3d.start({
    config: configOf({
      ...options,
      pop3_host: '127.0.0.1',
      pop3_port: 0,
      userdir: join(imapd.root, 'user'),
      account_db: join(imapd.root, 'accounts'),
    }),
    log: silentLog,
    clock: systemClock,
    events: new MemoryBus(),
    firstWorker: true,
    sharedPorts: false,
  })
  const at = pop.addresses?.[0]?.at
  if (at === undefined || 'path' in at) throw new Error('no port')
  popPort = at.port
}, 60_000)
afterAll(async () => {
  await pop?.stop(1000)
  await imapd?.stop()
  await slapd?.stop()
  rmSync(home, { recursive: true })
})

const gsasl = async (mechanism: string, user: string, secret: string) => {
  const { said } = await runClient('gsasl', [
    ...['--imap', `--connect=127.0.0.1:${imapd.port}`, '--hostname=localhost', '--no-starttls', '--no-cb'],
    ...[`--mechanism=${mechanism}`, `--authentication-id=${user}`, `--password=${secret}`],
    ...['--realm=a.example', '--authorization-id=', '--quality-of-protection=qop-auth'],
  ])
  return /\. (OK \[CAPABILITY|NO \[\w+\])/.exec(said)?.[1] ?? said
}

describe.each(['CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-1', 'SCRAM-SHA-256'])('%s', (mechanism) => {
  it('AUTH-01 AUTH-04 gsasl logs in at imapd with the password that the directory has', async () => {
    expect(await gsasl(mechanism, 'anna', password)).toBe('OK [CAPABILITY')
    expect(await gsasl(mechanism, 'anna@a.example', password)).toBe('OK [CAPABILITY')
    expect(imapd.records.findLast(({ message }) => message === 'login')?.fields).toMatchObject({
      user: 'anna@a.example',
      mechanism,
    })
    expect(await gsasl(mechanism, 'anna', 'wrong')).toBe('NO [AUTHENTICATIONFAILED]')
    expect(await gsasl(mechanism, 'nobody', password)).toBe('NO [AUTHENTICATIONFAILED]')
    // A hash is no password.
    expect(await gsasl(mechanism, 'hashed', '{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==')).toBe(
      'NO [AUTHENTICATIONFAILED]',
    )
  })

  it('mpop logs in at pop3d', async () => {
    const login = async (secret: string) => {
      const file = join(home, 'mpoprc')
      const lines = [
        'account default',
        'host 127.0.0.1',
        `port ${popPort}`,
        'tls off',
        `auth ${mechanism.toLowerCase()}`,
      ]
      writeFileSync(file, [...lines, 'user anna', `password ${secret}`, `delivery maildir ${home}`, ''].join('\n'), {
        mode: 0o600,
      })
      return (await runClient('mpop', ['-C', file, '--auth-only', '--debug'])).said
    }
    expect(await login(password)).toContain('+OK maildrop has 0 messages')
    expect(await login('wrong')).toContain('-ERR [AUTH]')
  })
})

/** Of a mechanism that needs no connection that hides it, and of one that does; `login` and `user`: IMAP's LOGIN, POP3's USER and PASS. */
const [inClear, overTls] = [[], ['-t', '']]

describe.each([
  ['imtest', 'CRAM-MD5', inClear],
  ['imtest', 'DIGEST-MD5', inClear],
  ['imtest', 'SCRAM-SHA-1', inClear],
  ['imtest', 'SCRAM-SHA-256', inClear],
  ['imtest', 'PLAIN', overTls],
  ['imtest', 'login', overTls],
  ['pop3test', 'CRAM-MD5', inClear],
  ['pop3test', 'DIGEST-MD5', inClear],
  ['pop3test', 'SCRAM-SHA-1', inClear],
  ['pop3test', 'SCRAM-SHA-256', inClear],
  ['pop3test', 'PLAIN', overTls],
  ['pop3test', 'user', overTls],
] as const)('%s with %s', (program, mechanism, tls) => {
  const login = async (secret: string): Promise<string> => {
    const etc = join(home, 'etc')
    mkdirSync(etc, { recursive: true })
    const [command, ...prefix] = overlaid('cyrus', etc)
    const port = program === 'imtest' ? imapd.port : popPort
    const { said } = await runClient(command, [
      ...[...prefix, `/usr/lib/cyrus/bin/${program}`, '-p', String(port), '-m', mechanism, ...tls],
      ...['-a', 'anna', '-r', 'a.example', '-w', secret, '127.0.0.1'],
    ])
    return said
  }

  it('AUTH-01 logs in, and not with another password', async () => {
    const said = await login(password)
    expect(said).toContain('Authenticated.')
    const refused = await login('wrong')
    expect(refused).toMatch(program === 'imtest' ? /^S: [AL]01 NO \[AUTHENTICATIONFAILED\]/m : /^S: -ERR \[AUTH\]/m)
    expect(refused).not.toContain('Authenticated.')
  })
})
