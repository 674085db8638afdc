/** Logins at Courier and Cyrus, over both protocols, with what each of them offers. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BackendError } from '#gateway/backend/errors.ts'
import { getMetadata } from '#gateway/backend/imap/metadata.ts'
import { type ImapRequest, openImap } from '#gateway/backend/imap/open.ts'
import { type OpenRequest, openMaildrop } from '#gateway/backend/pop3/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import { silentLog } from '#src/base/log.ts'
import { type Courier, startCourier } from '#test/support/courier.ts'
import { type Cyrus, startCyrus } from '#test/support/cyrus.ts'

const password = 'pä"s{3}'
const start = { courier: startCourier, cyrus: startCyrus }
const methods = {
  courier: { imap: ['command', 'cram-md5', 'plain'], pop3: ['command', 'cram-md5', 'login', 'plain'] },
  cyrus: {
    imap: ['command', 'plain', 'login', 'cram-md5', 'scram-sha-1', 'scram-sha-256'],
    pop3: ['command', 'plain', 'login', 'cram-md5', 'scram-sha-1', 'scram-sha-256', 'apop'],
  },
} as const

describe.each(['courier', 'cyrus'] as const)('%s', (name) => {
  let server: Courier | Cyrus
  beforeAll(async () => {
    server = await start[name]({ users: { anna: password } })
  })
  afterAll(() => server?.stop())

  /** 'in: ' and the protection of the session where the login worked, else the kind of the error. */
  const outcome = async (protocol: 'imap' | 'pop3', changes: Partial<ImapRequest & OpenRequest>): Promise<string> => {
    const request: OpenRequest & ImapRequest = {
      host: '127.0.0.1',
      port: server[`${protocol}${changes.implicitTls === true ? 's' : ''}Port`],
      implicitTls: false,
      startTls: 'required',
      tlsVerify: true,
      credentials: { user: 'anna', secret: Buffer.from(password) },
      profile: new BackendProfile(),
      log: silentLog,
      trust: { ca: readFileSync(server.certificateFile) },
      ...changes,
    }
    try {
      if (protocol === 'imap') {
        const { connection, protection } = await openImap(request)
        connection.close()
        return `in: ${protection}`
      }
      const maildrop = await openMaildrop(request)
      const { protection } = maildrop
      await maildrop.quit()
      return `in: ${protection}`
    } catch (error) {
      if (!(error instanceof BackendError)) throw error
      return error.kind
    }
  }
  const wrong = { credentials: { user: 'anna', secret: Buffer.from('wrong') } }

  it('tells the annotations of a mailbox, RFC 5464, where it has them', async () => {
    const { connection, capabilities } = await openImap({
      host: '127.0.0.1',
      port: server.imapPort,
      implicitTls: false,
      startTls: 'never',
      tlsVerify: false,
      credentials: { user: 'anna', secret: Buffer.from(password) },
      profile: new BackendProfile(),
      log: silentLog,
    })
    expect(capabilities.has('METADATA')).toBe(name === 'cyrus')
    if (name === 'courier') return connection.close()
    const set = 'SETMETADATA INBOX (/private/comment "Mine, \\"quoted\\"" /shared/comment "Ours")'
    expect((await connection.run({ words: [set] })).condition).toBe('OK')
    const { entries, largest } = await getMetadata(connection, 'INBOX', 1000)
    expect(Object.fromEntries(entries)).toMatchObject({
      '/private/comment': 'Mine, "quoted"',
      '/shared/comment': 'Ours',
    })
    expect(largest).toBeUndefined()
    const small = await getMetadata(connection, 'INBOX', 5)
    expect([small.entries.get('/private/comment'), small.entries.get('/shared/comment')]).toEqual([undefined, 'Ours'])
    await expect(getMetadata(connection, 'INBOX.nothing', 5)).rejects.toMatchObject({ kind: 'temporary' })
    connection.close()
  })

  describe.each(['imap', 'pop3'] as const)('%s', (protocol) => {
    // Courier lets who fails wait for five seconds.
    it('lets in with the password, by each mechanism that it offers, and with no other password', async () => {
      const tried = methods[name][protocol].map(async (method) => {
        const both = await Promise.all([outcome(protocol, { method }), outcome(protocol, { method, ...wrong })])
        return [method, ...both]
      })
      expect(await Promise.all(tried)).toEqual(methods[name][protocol].map((method) => [method, 'in: tls', 'auth']))
    })

    it('TLS: from the first octet and by STARTTLS; no password goes to a certificate that does not verify (GW-16, DEP-04)', async () => {
      const cases = [
        [{ implicitTls: true }, 'in: tls'],
        [{ implicitTls: true, trust: {} }, 'tls'],
        [{ trust: {} }, 'tls'],
        [{ startTls: 'offered', trust: {} }, 'in: unverified'],
        [{ startTls: 'never' }, 'in: none'],
        [{ startTls: 'never', ...wrong }, 'auth'],
      ] as const
      const outcomes = await Promise.all(cases.map(([changes]) => outcome(protocol, changes)))
      expect(outcomes).toEqual(cases.map(([, expected]) => expected))
    })
  })
})
