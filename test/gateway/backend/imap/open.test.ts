import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '#src/base/log.ts'
import { BackendError } from '../../../../gateway/backend/errors.ts'
import { type ImapRequest, openImap } from '../../../../gateway/backend/imap/open.ts'
import { openSieve, type SieveRequest } from '../../../../gateway/backend/managesieve/open.ts'
import { listScripts } from '../../../../gateway/backend/managesieve/scripts.ts'
import { BackendProfile } from '../../../../gateway/backend/profile.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'

const password = 'pä"ss\\ {3}'
let dovecot: Dovecot

beforeAll(async () => {
  dovecot = await startDovecot({
    users: { anna: password, ben: 'simple' },
    tls: true,
    protocols: ['imap', 'sieve'],
    extra: 'auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n',
  })
})
afterAll(() => dovecot.stop())

const request = (over: Partial<ImapRequest> = {}): ImapRequest => ({
  host: '127.0.0.1',
  port: dovecot.imapPort,
  implicitTls: false,
  startTls: 'required',
  tlsVerify: true,
  credentials: { user: 'anna', secret: Buffer.from(password) },
  profile: new BackendProfile(),
  log: silentLog,
  trust: { ca: readFileSync(dovecot.certificateFile!) },
  ...over,
})

const outcome = async (over: Partial<ImapRequest>): Promise<unknown> => {
  try {
    const { connection, protection, capabilities } = await openImap(request(over))
    connection.close()
    return { protection, selectable: capabilities.has('UIDPLUS') }
  } catch (error) {
    if (!(error instanceof BackendError)) throw error
    return error.kind
  }
}

describe('a login at a real IMAP server', () => {
  it('goes over STARTTLS', async () => {
    expect(await outcome({})).toEqual({ protection: 'tls', selectable: true })
  })

  it('goes over TLS from the first octet', async () => {
    expect(await outcome({ port: dovecot.imapsPort!, implicitTls: true })).toEqual({
      protection: 'tls',
      selectable: true,
    })
  })

  it('in clear uses a mechanism that shows nobody the password', async () => {
    expect(await outcome({ startTls: 'never' })).toEqual({ protection: 'none', selectable: true })
    expect(await dovecot.log()).toMatch(/method=SCRAM-SHA-256/)
  })

  it('tells a wrong password from everything else', async () => {
    expect(await outcome({ credentials: { user: 'anna', secret: Buffer.from('wrong') } })).toBe('auth')
    expect(await outcome({ startTls: 'never', credentials: { user: 'anna', secret: Buffer.from('wrong') } })).toBe(
      'auth',
    )
  })

  it('sends no password to a server whose certificate does not verify', async () => {
    expect(await outcome({ trust: {} })).toBe('tls')
    expect(await outcome({ trust: {}, port: dovecot.imapsPort!, implicitTls: true })).toBe('tls')
  })
})

describe('a login at a real ManageSieve server', () => {
  const open = async (over: Partial<SieveRequest> = {}) => {
    const { method = 'password', ...rest } = request(over)
    const connection = await openSieve({ ...rest, method, port: dovecot.sievePort!, ...over })
    const { protection } = connection
    const scripts = await listScripts(connection)
    connection.close()
    return { protection, scripts }
  }

  it('goes over STARTTLS, and lists', async () => {
    expect(await open()).toEqual({ protection: 'tls', scripts: [] })
  })

  it('by mechanisms of which the server speaks first, and last', async () => {
    for (const method of ['cram-md5', 'scram-sha-256'] as const)
      expect(await open({ method }), method).toMatchObject({ protection: 'tls' })
  })

  it('is refused with another password, and without a certificate that verifies', async () => {
    const wrong = { user: 'anna', secret: Buffer.from('wrong') }
    await expect(open({ credentials: wrong })).rejects.toMatchObject({ kind: 'auth' })
    await expect(open({ trust: {} })).rejects.toMatchObject({ kind: 'tls' })
  })
})
