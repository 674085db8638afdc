/** Programs that people use, through a day's work. More of them: peers.test.ts (mbsync, curl), ../server/tls-peers.test.ts (neomutt) */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ImapFlow } from 'imapflow'
import { describe, expect, it } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const run = promisify(execFile)
const user = 'anna@example.org'
const message = (subject: string) =>
  `From: ben@example.org\r\nTo: ${user}\r\nSubject: ${subject}\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\nMessage-ID: <${subject}@example.org>\r\n\r\nabout ${subject}\r\n`

interface Day {
  readonly imapd: RunningImapd
  readonly directory: string
  /** Subjects and flags in a mailbox, in its order. */
  inside(mailbox: string): Promise<readonly string[]>
}

/** INBOX has "one", "two" and "three". */
async function day(work: (day: Day) => Promise<void>): Promise<void> {
  await using imapd = await startImapd([user])
  const directory = mkdtempSync(join(tmpdir(), 'imapd-clients-'))
  const peer = await Peer.open(imapd)
  try {
    await peer.line()
    await peer.command('l', `LOGIN ${user} secret`)
    for (const text of ['one', 'two', 'three'].map(message))
      await peer.command('a', `APPEND INBOX {${text.length}+}\r\n${text}`)
    await work({
      imapd,
      directory,
      async inside(mailbox) {
        await peer.command('e', `EXAMINE ${mailbox}`)
        const lines = await peer.command('f', 'FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
        return lines.slice(0, -1).map((line) => {
          const [, flags] = /FLAGS \(([^)]*)\)/.exec(line)!
          const shown = flags!.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent')
          return [/Subject: (\S+)/.exec(line)![1], ...shown.sort()].join(' ')
        })
      },
    })
  } finally {
    peer.destroy()
    rmSync(directory, { recursive: true })
  }
}

describe.concurrent('a day of', () => {
  it('offlineimap, two-way', () =>
    day(async ({ imapd, directory, inside }) => {
      const config = join(directory, 'offlineimaprc')
      const mail = join(directory, 'mail')
      writeFileSync(
        config,
        `[general]
accounts = day
metadata = ${directory}/metadata
[Account day]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = ${mail}
[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = ${imapd.port}
remoteuser = ${user}
remotepass = secret
auth_mechanisms = LOGIN
ssl = no
starttls = no
usecompression = yes
`,
        { mode: 0o600 },
      )
      const sync = () =>
        run('offlineimap', ['-o', '-u', 'basic', '-c', config], { env: { ...process.env, HOME: directory } })
      const files = (mailbox: string, part: string) => readdirSync(join(mail, mailbox, part))
      await sync()
      expect(files('INBOX', 'new')).toHaveLength(3)
      const named = (subject: string) =>
        files('INBOX', 'new').find((name) =>
          readFileSync(join(mail, 'INBOX/new', name), 'latin1').includes(`Subject: ${subject}`),
        )!
      const [one, two] = [named('one'), named('two')]
      renameSync(
        join(mail, 'INBOX/new', one),
        join(mail, 'INBOX/cur', one.replace(/,?$|:2,$/, '').replace(/(:2,)?$/, ':2,FS')),
      )
      rmSync(join(mail, 'INBOX/new', two))
      for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(mail, 'Filed', part), { recursive: true })
      writeFileSync(join(mail, 'Filed/cur', '1.here:2,S'), message('written').replaceAll('\r\n', '\n'))
      await sync()
      expect(await inside('INBOX')).toEqual(['one \\Flagged \\Seen', 'three'])
      expect(await inside('Filed')).toEqual(['written \\Seen'])
    }))

  it('imapfilter: searches, marks, files and deletes', () =>
    day(async ({ imapd, directory, inside }) => {
      const config = join(directory, 'config.lua')
      writeFileSync(
        config,
        `options.timeout = 30
options.create = true
account = IMAP { server = '127.0.0.1', port = ${imapd.port}, username = '${user}', password = 'secret' }
mailboxes, folders = account:list_all()
account.INBOX:contain_subject('two'):move_messages(account['Filed/by filter'])
;(account.INBOX:is_unseen() * account.INBOX:contain_body('about one')):mark_flagged()
account.INBOX:match_subject('^three'):delete_messages()
account['Filed/by filter']:select_all():mark_seen()
`,
        { mode: 0o600 },
      )
      await run('imapfilter', ['-c', config], { env: { ...process.env, HOME: directory } })
      expect(await inside('INBOX')).toEqual(['one \\Flagged'])
      expect(await inside('"Filed/by filter"')).toEqual(['two \\Seen'])
    }))

  it("Python's imaplib, compressed by its zlib", () =>
    day(async ({ imapd, inside }) => {
      const { stdout } = await run('python3', [
        join(import.meta.dirname, 'clients/day.py'),
        String(imapd.port),
        user,
        'secret',
      ])
      expect(stdout.split('\n')).toEqual([
        'mailboxes 2',
        'found 2',
        'about one',
        'compressed',
        'about one',
        'octets 300000',
        '',
      ])
      expect(await inside('INBOX')).toEqual(['one \\Flagged \\Seen', 'three'])
      expect(await inside('Filed')).toEqual(['two \\Seen', 'large'])
    }))

  it('fetchmail: takes everything away', () =>
    day(async ({ imapd, directory, inside }) => {
      const config = join(directory, 'fetchmailrc')
      const taken = join(directory, 'taken')
      const account = `user "${user}" password "secret" sslproto "" fetchall no keep`
      writeFileSync(
        config,
        `poll 127.0.0.1 protocol IMAP port ${imapd.port} auth password ${account} mda "cat >> ${taken}"\n`,
        { mode: 0o600 },
      )
      const env = { ...process.env, HOME: directory, FETCHMAILHOME: directory }
      await run('fetchmail', ['-f', config, '--nosyslog', '--pidfile', join(directory, 'pid')], { env })
      expect(readFileSync(taken, 'latin1').match(/^about \w+/gm)).toEqual(['about one', 'about two', 'about three'])
      expect(await inside('INBOX')).toEqual([])
    }))

  it('imapflow: reads, files, waits for news, compressed', () =>
    day(async ({ imapd, inside }) => {
      const options = { host: imapd.host, port: imapd.port, secure: false, auth: { user, pass: 'secret' } } as const
      const client = new ImapFlow({ ...options, logger: false })
      await client.connect()
      expect(client).toMatchObject({ _inflate: expect.anything() })
      await client.mailboxCreate('Filed')
      expect((await client.list()).map(({ path }) => path)).toEqual(['INBOX', 'Filed'])
      await client.mailboxOpen('INBOX')
      expect(await client.search({ subject: 'two' })).toEqual([2])
      expect((await client.download('1')).content).toBeDefined()
      await client.messageFlagsAdd('1', ['\\Flagged'])
      await client.messageMove('2', 'Filed')
      await client.messageDelete('2')
      const news = once(client, 'exists')
      void client.idle()
      const other = new ImapFlow({ ...options, logger: false })
      await other.connect()
      await other.append('INBOX', message('news'), ['\\Draft'])
      expect((await news)[0]).toMatchObject({ path: 'INBOX', count: 2 })
      await other.logout()
      await client.logout()
      expect(await inside('INBOX')).toEqual(['one \\Flagged', 'news \\Draft'])
      expect(await inside('Filed')).toEqual(['two'])
    }))
})
