/** Logins at a real server, with each mechanism, over both protocols: each session is proven by a look at the mail. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BackendError } from '#gateway/backend/errors.ts'
import { type ImapRequest, openImap } from '#gateway/backend/imap/open.ts'
import { type OpenRequest, openMaildrop } from '#gateway/backend/pop3/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import type { Credentials } from '#gateway/backend/sasl.ts'
import { silentLog } from '#src/base/log.ts'
import type { LoginMethod } from '#src/config/ms-sync.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'

const protocols = ['pop3', 'imap'] as const
type Protocol = (typeof protocols)[number]

const start = (mechanisms: string, users: Record<string, string>) =>
  startDovecot({ users, tls: true, extra: `auth_mechanisms = ${mechanisms}\n` })

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
    expect((await used(dovecot)).slice(before)).toEqual([method === 'command' ? 'PLAIN' : method.toUpperCase()])
  })

  it.each(protocols)(
    '%s: a password that is too long for the line of a command goes behind it (RFC 5034 §4)',
    async (protocol) => {
      expect(await outcome(dovecot, protocol, { user: 'long', secret: Buffer.from(long) }, 'plain')).toBe('in')
    },
  )

  it.each(protocols)('%s: under TLS the mechanism that servers take most reliably', async (protocol) => {
    expect(await outcome(dovecot, protocol, { user: 'anna', secret: Buffer.from(octets) })).toBe('in')
    expect((await used(dovecot)).at(-1)).toBe('PLAIN')
  })

  it.each(protocols)('%s: in clear one that shows nobody the password', async (protocol) => {
    const secret = Buffer.from(octets)
    expect(await outcome(dovecot, protocol, { user: 'anna', secret }, 'password', 'never')).toBe('in')
    expect((await used(dovecot)).at(-1)).toBe('SCRAM-SHA-256')
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
    expect(await used(both)).toEqual(['CRAM-MD5', 'CRAM-MD5'])
    await using apop = await start('plain login apop', { anna: 'pw' })
    for (const protocol of protocols) expect(await outcome(apop, protocol, anna, 'password', 'never')).toBe('in')
    expect(await used(apop)).toEqual(['APOP', 'PLAIN'])
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
