/** Logins at a real server, with each mechanism, over both protocols: each session is proven by a look at the mail. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loginOf, pollPassword, pollsAlone } from '#gateway/backend/credentials.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import { type ImapRequest, openImap } from '#gateway/backend/imap/open.ts'
import { type OpenRequest, openMaildrop } from '#gateway/backend/pop3/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import type { Credentials } from '#gateway/backend/sasl.ts'
import { silentLog } from '#src/base/log.ts'
import type { LoginMethod } from '#src/config/backend-record.ts'
import type { Backend, BackendService } from '#src/config/backends.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'

const protocols = ['pop3', 'imap'] as const
type Protocol = (typeof protocols)[number]

const start = (mechanisms: string, users: Record<string, string>, extra = '') =>
  startDovecot({ users, tls: true, extra: `auth_mechanisms = ${mechanisms}\n${extra}` })

/** 'in' where the login worked, else the kind of the error. */
const outcome = async (
  dovecot: Dovecot,
  protocol: Protocol,
  credentials: Credentials,
  method: LoginMethod = 'password',
  startTls: 'never' | 'offered' | 'required' = 'required',
): Promise<string> => {
  const request: OpenRequest & ImapRequest = {
    host: '127.0.0.1',
    port: protocol === 'pop3' ? dovecot.pop3Port : dovecot.imapPort,
    implicitTls: false,
    startTls,
    tlsVerify: true,
    credentials,
    method,
    profile: new BackendProfile(),
    log: silentLog,
    trust: { ca: readFileSync(dovecot.certificateFile!) },
  }
  try {
    if (protocol === 'pop3') (await openMaildrop(request)).close()
    else (await openImap(request)).connection.close()
    return 'in'
  } catch (error) {
    if (!(error instanceof BackendError)) throw error
    return error.kind
  }
}

/** The mechanisms of the logins so far. */
/** Dovecot writes what it logs when it comes to it: poll. */
const used = async (dovecot: Dovecot) =>
  [...(await dovecot.log()).matchAll(/Login: .*?method=([\w-]+)/g)].map((m) => m[1])

describe('one mechanism each', () => {
  const octets = 'pä"ss\\ {3}'
  const long = 'x'.repeat(300)
  let dovecot: Dovecot
  beforeAll(async () => {
    dovecot = await start('plain login cram-md5 scram-sha-1 scram-sha-256 apop', { anna: octets, long })
  })
  afterAll(() => dovecot.stop())

  const cases = protocols.flatMap((protocol) =>
    (['command', 'plain', 'login', 'cram-md5', 'scram-sha-1', 'scram-sha-256', 'apop'] as const)
      .filter((method) => protocol === 'pop3' || method !== 'apop')
      .map((method) => [protocol, method] as const),
  )

  it.each(cases)('%s: %s lets in with the octets of the password, and with no other', async (protocol, method) => {
    const before = (await used(dovecot)).length
    expect(await outcome(dovecot, protocol, { user: 'anna', secret: Buffer.from(octets) }, method)).toBe('in')
    expect(await outcome(dovecot, protocol, { user: 'anna', secret: Buffer.from('wrong') }, method)).toBe('auth')
    await expect
      .poll(async () => (await used(dovecot)).slice(before))
      .toEqual([method === 'command' ? 'PLAIN' : method.toUpperCase()])
  })

  it.each(protocols)(
    '%s: a password that is too long for the line of a command goes behind it (RFC 5034 §4)',
    async (protocol) => {
      expect(await outcome(dovecot, protocol, { user: 'long', secret: Buffer.from(long) }, 'plain')).toBe('in')
    },
  )

  it.each(protocols)('%s: under TLS the mechanism that servers take most reliably', async (protocol) => {
    expect(await outcome(dovecot, protocol, { user: 'anna', secret: Buffer.from(octets) })).toBe('in')
    await expect.poll(async () => (await used(dovecot)).at(-1)).toBe('PLAIN')
  })

  it.each(protocols)('%s: in clear one that shows nobody the password', async (protocol) => {
    const secret = Buffer.from(octets)
    expect(await outcome(dovecot, protocol, { user: 'anna', secret }, 'password', 'never')).toBe('in')
    await expect.poll(async () => (await used(dovecot)).at(-1)).toBe('SCRAM-SHA-256')
    expect(await outcome(dovecot, protocol, { user: 'anna', secret: Buffer.from('no') }, 'password', 'never')).toBe(
      'auth',
    )
  })
})

describe('what is offered decides', () => {
  it('in clear CRAM-MD5 goes before APOP, and APOP before the password itself', async () => {
    await using both = await start('plain login cram-md5 apop', { anna: 'pw' })
    const anna = { user: 'anna', secret: Buffer.from('pw') }
    for (const protocol of protocols) expect(await outcome(both, protocol, anna, 'password', 'never')).toBe('in')
    await expect.poll(() => used(both)).toEqual(['CRAM-MD5', 'CRAM-MD5'])
    await using apop = await start('plain login apop', { anna: 'pw' })
    for (const protocol of protocols) expect(await outcome(apop, protocol, anna, 'password', 'never')).toBe('in')
    await expect.poll(() => used(apop)).toEqual(['APOP', 'PLAIN'])
  })

  it('a method that the operator chose is used or refused, never exchanged', async () => {
    await using dovecot = await start('plain', { anna: 'pw' })
    const anna = { user: 'anna', secret: Buffer.from('pw') }
    for (const protocol of protocols) {
      for (const method of ['cram-md5', 'scram-sha-256', 'apop', 'login'] as const)
        expect(await outcome(dovecot, protocol, anna, method)).toBe('unsupported')
    }
    expect(await used(dovecot)).toEqual([])
  })
})

describe('a master user', () => {
  let dovecot: Dovecot
  beforeAll(async () => {
    const master =
      'auth_master_user_separator = *\npassdb {\n  driver = static\n  args = password=over-all\n  master = yes\n}\n'
    dovecot = await start('plain login cram-md5', { anna: 'her own' }, master)
  })
  afterAll(() => dovecot.stop())

  const backend = (service: Partial<BackendService & { type: 'master' }>, auth?: LoginMethod): Backend => ({
    protocol: 'imap',
    host: '127.0.0.1',
    port: 0,
    user: 'anna',
    password: undefined,
    mailbox: '',
    intervalSeconds: 300,
    startTls: 'required',
    tlsVerify: true,
    service: { type: 'master', user: 'root', password: 'over-all', separator: undefined, ...service },
    ...(auth === undefined ? {} : { auth }),
  })
  const enter = async (protocol: Protocol, to: Backend, password?: Buffer) => {
    const { credentials, method } = await loginOf(to, password, undefined)
    return outcome(dovecot, protocol, credentials, method)
  }

  it.each(protocols)(
    '%s: logs in for the user by authzid (RFC 4616), and by a name with a separator',
    async (protocol) => {
      const logins = async () =>
        (await dovecot.log()).split('\n').filter((line) => line.includes(`${protocol}-login: Info: Login: user=<anna>`))
          .length
      const before = await logins()
      expect(await enter(protocol, backend({}))).toBe('in')
      expect(await enter(protocol, backend({ separator: '*' }))).toBe('in')
      expect(await enter(protocol, backend({ separator: '*' }, 'command'))).toBe('in')
      expect(await logins()).toBe(before + 3)
    },
  )

  it.each(protocols)('%s: with a wrong password logs nobody in', async (protocol) => {
    expect(await enter(protocol, backend({ password: 'her own' }))).toBe('auth')
    expect(await enter(protocol, backend({ password: 'no', separator: '*' }))).toBe('auth')
  })

  it.each(protocols)(
    '%s: never proves a user: a login with a password uses that password and nothing else',
    async (protocol) => {
      expect(await enter(protocol, backend({}), Buffer.from('her own'))).toBe('in')
      expect(await enter(protocol, backend({}), Buffer.from('a guess'))).toBe('auth')
      expect(await enter(protocol, backend({}), Buffer.from('over-all'))).toBe('auth')
    },
  )

  it('is used for a session that proves nothing, unless the record has a password of its own', () => {
    const typed = Buffer.from('typed')
    expect(pollPassword(backend({}), typed)).toBeUndefined()
    expect(pollPassword({ ...backend({}), password: 'own' }, typed)?.toString()).toBe('own')
    const { service: _, ...plain } = backend({})
    expect(pollPassword(plain, typed)?.toString()).toBe('typed')
    expect(pollPassword(plain, undefined)).toBeUndefined()
    expect([pollsAlone(plain), pollsAlone(backend({})), pollsAlone({ ...plain, password: 'own' })]).toEqual([
      false,
      true,
      true,
    ])
  })
})
