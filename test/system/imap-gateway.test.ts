/** An IMAP provider (Dovecot) behind the whole gateway: real services, seen by an IMAP client on either side. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

describe('an IMAP account through the gateway', () => {
  let dovecot: Dovecot
  let wherry: Wherry

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { joe: 'secret', ann: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('joe', sampleMessages(50))
    const provider = await loggedIn(dovecot.imapPort, 'joe')
    await provider.command('CREATE Projects/2026')
    await provider.command('SUBSCRIBE Projects/2026')
    await append(provider, 'Projects/2026', 'filed', '(\\Seen $Forwarded)')
    await provider[Symbol.asyncDispose]()
    wherry = await startWherry({
      options: {
        ms_syncd_protocol: 'imap',
        ms_syncd_host: '127.0.0.1',
        ms_syncd_port: dovecot.imapPort,
        // Whatever comes sooner was told by the backend, or by a client.
        ms_sync_interval: 600,
      },
    })
  }, 120_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  async function loggedIn(port: number, user: string): Promise<RawImap> {
    const imap = await RawImap.connect(port)
    await imap.login(user, 'secret')
    return imap
  }

  const append = (imap: RawImap, mailbox: string, subject: string, flags = '()') => {
    const text = `Message-ID: <${subject}@example.org>\r\nSubject: ${subject}\r\n\r\ntext\r\n`
    return imap.command(`APPEND ${mailbox} ${flags} {${text.length}+}\r\n${text}`)
  }

  /** Subject and flags of every message. */
  const contents = async (imap: RawImap, mailbox: string): Promise<string[]> => {
    await imap.command(`EXAMINE ${mailbox}`)
    const lines = await imap.command('UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
    const seen = lines.flatMap(({ text, literals }) => {
      const flags = /FLAGS \(([^)]*)\)/.exec(text)?.[1]
      if (flags === undefined || literals.length === 0) return []
      const kept = flags.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent')
      return [`${literals[0]!.toString('latin1').trim()} ${kept.sort().join(' ')}`.trim()]
    })
    await imap.command('CLOSE')
    return seen.sort()
  }

  const mailboxes = async (imap: RawImap, word = 'LIST'): Promise<string[]> =>
    (await imap.command(`${word} "" *`)).flatMap(({ text }) => /"?([^" ]+)"?$/.exec(text)?.[1] ?? []).sort()

  it('GW-03 GW-04 GW-15: a login shows all mailboxes with messages, flags and subscriptions', async () => {
    await using client = await loggedIn(wherry.imapPort, 'joe')
    await using provider = await loggedIn(dovecot.imapPort, 'joe')
    expect(await mailboxes(client)).toEqual(['INBOX', 'Projects', 'Projects/2026'])
    expect(await mailboxes(client, 'LSUB')).toContain('Projects/2026')
    expect(await contents(client, 'Projects/2026')).toEqual(['Subject: filed $Forwarded \\Seen'])
    const inbox = await contents(client, 'INBOX')
    expect(inbox.length).toBe(50)
    expect(inbox).toEqual(await contents(provider, 'INBOX'))
  })

  it('changes here reach the backend, and changes there come here', async () => {
    await using client = await loggedIn(wherry.imapPort, 'joe')
    await using provider = await loggedIn(dovecot.imapPort, 'joe')
    await client.command('CREATE Ideas')
    await append(client, 'Ideas', 'here')
    await client.command('SELECT INBOX')
    await client.command('STORE 1:3 +FLAGS.SILENT (\\Flagged todo)')
    await client.command('STORE 4:5 +FLAGS.SILENT (\\Deleted)')
    await client.command('EXPUNGE')
    await client.command('UID MOVE 6:7 Ideas')
    await provider.command('SELECT INBOX')
    await provider.command('UID STORE 10 +FLAGS.SILENT (\\Answered)')
    await provider.command('UID STORE 11 +FLAGS.SILENT (\\Deleted)')
    await provider.command('EXPUNGE')
    await append(provider, 'Projects/2026', 'there')
    await vi.waitFor(
      async () => {
        for (const mailbox of ['INBOX', 'Ideas', 'Projects/2026'])
          expect(await contents(client, mailbox)).toEqual(await contents(provider, mailbox))
        expect((await contents(provider, 'INBOX')).length).toBe(45)
        expect((await contents(provider, 'Ideas')).length).toBe(3)
        expect((await contents(client, 'Projects/2026')).length).toBe(2)
      },
      { timeout: 60_000, interval: 500 },
    )
    await client.command('DELETE Ideas')
    await vi.waitFor(async () => expect(await mailboxes(provider)).not.toContain('Ideas'), {
      timeout: 60_000,
      interval: 500,
    })
  })

  it('GW-11: a client in IDLE sees within seconds what comes to, and what goes from, the backend', async () => {
    await using client = await loggedIn(wherry.imapPort, 'joe')
    await using provider = await loggedIn(dovecot.imapPort, 'joe')
    await client.command('SELECT INBOX')
    client.send('i IDLE\r\n')
    await client.until(/^\+/)
    await append(provider, 'INBOX', 'pushed')
    await client.until(/^\* [0-9]+ EXISTS/)
    await provider.command('SELECT INBOX')
    await provider.command('STORE 1 +FLAGS.SILENT (\\Deleted)')
    await provider.command('EXPUNGE')
    await client.until(/^\* 1 EXPUNGE/)
  })

  it('GW-12: a password that the backend refuses lets nobody in', async () => {
    await using client = await RawImap.connect(wherry.imapPort)
    await expect(client.login('ann', 'wrong')).rejects.toThrow(/AUTHENTICATIONFAILED/)
  })
})
