import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { silentLog } from '#src/base/log.ts'
import { controlOf } from '../../../../gateway/backend/imap/control.ts'
import { openImap } from '../../../../gateway/backend/imap/open.ts'
import { BackendProfile } from '../../../../gateway/backend/profile.ts'
import { startDovecot } from '../../../support/dovecot.ts'

it.each([
  ['in clear', 'never'],
  ['over STARTTLS', 'required'],
] as const)('imapflow works on a connection that we opened, %s', async (_, startTls) => {
  await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'], tls: true })
  await dovecot.fill('anna', [Buffer.from('Subject: one\r\n\r\nbody\r\n'), Buffer.from('Subject: two\r\n\r\nbody\r\n')])
  const login = await openImap({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    implicitTls: false,
    startTls,
    tlsVerify: true,
    credentials: { user: 'anna', secret: Buffer.from('secret') },
    profile: new BackendProfile(),
    log: silentLog,
    trust: { ca: readFileSync(dovecot.certificateFile!) },
  })
  const client = await controlOf(login, silentLog)
  expect((await client.list()).map(({ path }) => path)).toContain('INBOX')
  const mailbox = await client.mailboxOpen('INBOX')
  expect(mailbox.exists).toBe(2)
  const found = await client.fetchAll('1:*', { uid: true, envelope: true })
  expect(found.map(({ envelope }) => envelope?.subject)).toEqual(['one', 'two'])
  await client.logout()
})
