/** A gateway whose users, and where their mail is, are in a real slapd; their mail in a real Dovecot. */

import { ImapFlow } from 'imapflow'
import { expect, it, onTestFinished } from 'vitest'
import { startDovecot } from '../../support/dovecot.ts'
import { freePort } from '../../support/free-port.ts'
import { domainEntriesOf, service, startSlapd, userEntry, users } from '../../support/slapd.ts'
import { startWherry } from '../../support/wherry.ts'

it('UDB-14: the entry of the user names the backend; without one the options count, and a backend is never guessed', async () => {
  await using dovecot = await startDovecot({ users: { 'anna@a.example': 'pw', there: 'pw', 'bert@a.example': 'pw' } })
  await dovecot.fill('there', [Buffer.from('Subject: there\r\n\r\ntext\r\n')])
  await dovecot.fill('bert@a.example', [Buffer.from('Subject: bert\r\n\r\ntext\r\n')])
  const pop = (name: string) => `pop://${name}127.0.0.1:${dovecot.pop3Port}/`
  await using slapd = await startSlapd({
    entries: [
      ...domainEntriesOf('a.example'),
      userEntry('anna@a.example', undefined, `isodeMboxMasterBackend: ${pop('there@')}`),
      userEntry('bert@a.example', undefined),
      userEntry('carl@a.example', undefined, `mboxBackends: ${pop('')}`, `mboxBackends: ${pop('there@')}`),
      userEntry('dora@a.example', undefined, `mboxBackends: pop://127.0.0.1:${await freePort()}/`),
    ],
  })
  const wherry = await startWherry({
    options: {
      domain: 'a.example',
      ms_syncd_protocol: 'pop',
      ms_syncd_host: '127.0.0.1',
      ms_syncd_port: dovecot.pop3Port,
      sasl: `<auxprop_plugin>ldapdb</auxprop_plugin><ldapdb_uri>${slapd.url}</ldapdb_uri><ldapdb_timeout>1</ldapdb_timeout>
        <ldapdb_mech>SIMPLE</ldapdb_mech><ldapdb_dn>${service.dn}</ldapdb_dn><ldapdb_pw>${service.password}</ldapdb_pw>
        <saslSearchSuffix>${users}</saslSearchSuffix>`,
    },
  })
  onTestFinished(() => wherry.stop())
  const subjects = async (user: string): Promise<readonly (string | undefined)[] | string> => {
    const auth = { user, pass: 'pw' }
    const client = new ImapFlow({ host: '127.0.0.1', port: wherry.imapPort, secure: false, logger: false, auth })
    client.on('error', () => undefined)
    try {
      await client.connect()
    } catch (error) {
      return String((error as { serverResponseCode?: string }).serverResponseCode)
    }
    try {
      await client.mailboxOpen('INBOX')
      const messages = await Array.fromAsync(client.fetch('1:*', { envelope: true }))
      return messages.map(({ envelope }) => envelope?.subject)
    } finally {
      await client.logout()
    }
  }
  expect(await subjects('anna@a.example')).toEqual(['there'])
  expect(await subjects('bert@a.example')).toEqual(['bert'])
  // Two backends, and nothing says which one decides.
  expect(await subjects('carl@a.example')).toBe('UNAVAILABLE')
  expect(await subjects('dora@a.example')).toBe('UNAVAILABLE')
  await slapd.halt()
  expect(await subjects('anna@a.example')).toBe('UNAVAILABLE')
}, 60_000)
