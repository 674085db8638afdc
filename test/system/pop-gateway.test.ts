/** A POP-only provider (Dovecot) behind the whole gateway, seen through the programs that people use. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { mbsyncFor } from '../support/mbsync.ts'
import { corpusMessages, sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3 } from '../support/raw-pop3.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const run = promisify(execFile)
const digest = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')
/** NUL can't be sent but in BINARY: decision 315. */
const shownByImap = (octets: Buffer) => Buffer.from(octets.map((octet) => octet || 0x80))
/** As a Maildir keeps it: lines end in LF, and mbsync drops every CR before one. */
const digestOfLines = (octets: Buffer) =>
  digest(Buffer.from(octets.toString('latin1').replace(/\r+\n/g, '\n'), 'latin1'))
const digestsIn = (path: string) =>
  readdirSync(path)
    .map((name) => digest(readFileSync(join(path, name))))
    .sort()

function countsOf(digests: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1)
  return counts
}

/** Takes one out; false when there is none left. */
function take(counts: Map<string, number>, digest: string): boolean {
  const left = counts.get(digest) ?? 0
  if (left === 0) return false
  counts.set(digest, left - 1)
  return true
}

describe('a POP-only mailbox through the gateway', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  let dovecot: Dovecot
  let wherry: Wherry
  /** What the backend's RETR gives, by unique-id. */
  const backend = new Map<string, Buffer>()

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { joe: 'secret' }, protocols: ['pop3'] })
    await dovecot.fill('joe', [...sampleMessages(200), ...corpusMessages().map(({ octets }) => octets)])
    await using pop3 = await RawPop3.login(dovecot.pop3Port, 'joe', 'secret')
    for await (const { uidl, octets } of pop3.messages()) backend.set(uidl, octets)
    wherry = await startWherry({
      options: { ms_syncd_host: '127.0.0.1', ms_syncd_port: dovecot.pop3Port, ms_sync_interval: 2 },
    })
  }, 300_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  /** The backend's unique-ids among the words of a client's own record. */
  const uidlsIn = (path: string) =>
    readFileSync(path, 'latin1')
      .split(/\s/)
      .filter((word) => backend.has(word))
      .sort()

  it('gives an IMAP client every message byte for byte (GW-03, GW-04)', async () => {
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login('joe', 'secret')
    await imap.command('EXAMINE INBOX')
    const fetched = async (item: string) =>
      (await imap.command(`FETCH 1:* (${item})`)).flatMap((line) => line.literals.map(digest)).sort()
    expect(await fetched('BINARY.PEEK[]')).toEqual([...backend.values()].map(digest).sort())
    expect(await fetched('BODY.PEEK[]')).toEqual([...backend.values()].map(shownByImap).map(digest).sort())
  })

  it('DEP-02: forwards a message of a POP server without downloading it, as RFC 4550 has it', async () => {
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login('joe', 'secret')
    await imap.command('SELECT INBOX')
    const [found] = await imap.command('SEARCH RETURN (MIN) NOT DELETED')
    const first = Number(/ MIN (\d+)/.exec(found!.text)![1])
    const [fetched] = await imap.command(`FETCH ${first} (UID BODY.PEEK[])`)
    const uid = /UID (\d+)/.exec(fetched!.text)![1]
    const original = fetched!.literals[0]!
    await imap.command('CREATE Drafts')
    const head = 'Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n'
    await imap.command(`APPEND Drafts (\\Seen) CATENATE (TEXT {${head.length}+}\r\n${head} URL "/INBOX/;UID=${uid}")`)
    const [made] = await imap.command(
      'GENURLAUTH "imap://joe%40gateway.example@localhost/Drafts/;UID=1;URLAUTH=user+joe%40gateway.example" INTERNAL',
    )
    const url = /"(imap:[^"]+)"/.exec(made!.text)![1]
    const [given] = await imap.command(`URLFETCH "${url}"`)
    expect(given!.literals.map(String)).toEqual([`${head}${original}`])
  })

  it('gives mbsync every message that mbsync takes, and nothing again in a second run', async () => {
    const mbsync = mbsyncFor({
      port: wherry.imapPort,
      user: 'joe',
      password: 'secret',
      directory: join(directory, 'mbsync'),
    })
    // mbsync itself leaves out messages whose header does not end, and says so for each
    const leftOut = (await mbsync.sync()).match(/has incomplete header; skipping/g)?.length ?? 0
    const given = countsOf([...backend.values()].map(shownByImap).map(digestOfLines))
    const got = mbsync.messages().map(digestOfLines)
    expect(got.filter((digest) => !take(given, digest))).toEqual([])
    expect(got.length).toBe(backend.size - leftOut)
    const withoutHeaderEnd = [...backend.values()].filter(
      (octets) => !/\r\n\r\n/.test(octets.toString('latin1')),
    ).length
    expect(leftOut).toBeLessThanOrEqual(withoutHeaderEnd)
    const names = () => ['new', 'cur'].flatMap((part) => readdirSync(join(mbsync.maildir, 'INBOX', part))).sort()
    const before = names()
    await mbsync.sync()
    expect(names()).toEqual(before)
  })

  it('gives POP3 clients the messages with the unique-ids of the backend', async () => {
    await using pop3 = await RawPop3.login(wherry.pop3Port, 'joe', 'secret')
    const got = new Map<string, string>()
    for await (const { uidl, octets } of pop3.messages()) got.set(uidl, digest(octets))
    expect(got).toEqual(new Map([...backend].map(([uidl, octets]) => [uidl, digest(octets)])))
  })

  it('gives mpop the same messages and unique-ids as the backend does', async () => {
    const fetchWithMpop = async (port: number, name: string) => {
      const home = join(directory, name)
      const maildir = join(home, 'Maildir')
      for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, part), { recursive: true })
      const settings = join(home, 'mpoprc')
      writeFileSync(
        settings,
        `account a\nhost 127.0.0.1\nport ${port}\nuser joe\npassword secret\nauth user\ntls off\nkeep on\nuidls_file ${home}/uidls\nreceived_header off\ndelivery maildir ${maildir}\n`,
        { mode: 0o600 },
      )
      await run('mpop', ['-q', '-Q', '-C', settings, 'a'], { timeout: 120_000 })
      return { digests: digestsIn(join(maildir, 'new')), uidls: uidlsIn(join(home, 'uidls')) }
    }
    const through = await fetchWithMpop(wherry.pop3Port, 'mpop-gateway')
    const direct = await fetchWithMpop(dovecot.pop3Port, 'mpop-backend')
    expect(through.digests).toEqual(direct.digests)
    expect(through.uidls).toEqual([...backend.keys()].sort())
  })

  it('gives fetchmail the same messages and unique-ids as the backend does', async () => {
    const fetchWithFetchmail = async (port: number, name: string) => {
      const home = join(directory, name)
      mkdirSync(home, { recursive: true })
      const batch = join(home, 'batch')
      const settings = join(home, 'fetchmailrc')
      writeFileSync(
        settings,
        `set no bouncemail\nset no spambounce\nset invisible\npoll 127.0.0.1 protocol POP3 port ${port} timeout 120 uidl no dns\n  user "joe" password "secret" sslproto "" keep fetchall no rewrite batchlimit 0 bsmtp "${batch}"\n`,
        { mode: 0o600 },
      )
      const ids = join(home, 'ids')
      const environment = { ...process.env, HOME: home, FETCHMAILHOME: home }
      await run('fetchmail', ['-f', settings, '-s', '--nosyslog', '--pidfile', join(home, 'pid'), '-i', ids], {
        timeout: 300_000,
        env: environment,
        maxBuffer: 1 << 26,
      })
      const mails = readFileSync(batch, 'latin1')
        .split(/^DATA\r?\n/m)
        .slice(1)
        .map((mail) => digest(Buffer.from(mail.replace(/^\.\r?\n[\s\S]*$/m, ''), 'latin1')))
      return { digests: mails.sort(), uidls: uidlsIn(ids) }
    }
    const through = await fetchWithFetchmail(wherry.pop3Port, 'fetchmail-gateway')
    const direct = await fetchWithFetchmail(dovecot.pop3Port, 'fetchmail-backend')
    expect(through.digests).toEqual(direct.digests)
    expect(through.uidls).toEqual(direct.uidls)
    expect(through.uidls.length).toBeGreaterThan(0.9 * backend.size)
    expect(through.digests.length).toBeGreaterThanOrEqual(through.uidls.length)
  }, 300_000)
})
