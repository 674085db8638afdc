/** Users who are moved from an old server (Dovecot) at their first login: real services, seen by clients on either side. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { filesIn, mbsyncFor } from '../support/mbsync.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3 } from '../support/raw-pop3.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const modes = { gateway_mode: false, auto_migrate: true, ms_syncd_host: '127.0.0.1' }

const loggedIn = async (port: number, user: string): Promise<RawImap> => {
  const imap = await RawImap.connect(port)
  await imap.login(user, 'secret')
  return imap
}

/** Digest, flags and date of every message of every mailbox, and what is subscribed to. */
const everything = async (port: number, user: string) => {
  await using imap = await loggedIn(port, user)
  const names = async (word: string) =>
    (await imap.command(`${word} "" *`)).flatMap(({ text }) => /"?([^" ]+)"?$/.exec(text)?.[1] ?? []).sort()
  const mailboxes: Record<string, string[]> = {}
  for (const name of await names('LIST')) {
    await imap.command(`EXAMINE ${name}`)
    const lines = await imap.command('UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])')
    mailboxes[name] = lines.flatMap(({ text, literals }) => {
      if (literals.length === 0) return []
      const flags = /FLAGS \(([^)]*)\)/
        .exec(text)![1]!
        .split(' ')
        .filter((flag) => flag !== '\\Recent')
      const date = Date.parse(/INTERNALDATE "([^"]*)"/.exec(text)![1]!)
      return [`${createHash('sha256').update(literals[0]!).digest('hex')} ${flags.sort().join(' ')} ${date}`]
    })
    await imap.command('CLOSE')
  }
  // A new account here begins with a subscription to INBOX.
  const subscribed = (await names('LSUB')).filter((name) => name !== 'INBOX')
  return { mailboxes, subscribed }
}

describe('an old IMAP server', () => {
  let dovecot: Dovecot
  let wherry: Wherry

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { joe: 'secret', ann: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('joe', sampleMessages(40))
    await using old = await loggedIn(dovecot.imapPort, 'joe')
    for (const name of ['Sent', 'Projects', 'Projects/2026']) await old.command(`CREATE ${name}`)
    await old.command('SUBSCRIBE Projects/2026')
    const text = 'Subject: filed\r\n\r\ntext\r\n'
    await old.command(
      `APPEND Projects/2026 (\\Seen $Forwarded) " 1-Jan-2020 10:00:00 +0000" {${text.length}+}\r\n${text}`,
    )
    await old.command('SELECT INBOX')
    await old.command('STORE 1:7 +FLAGS.SILENT (\\Flagged todo)')
    wherry = await startWherry({
      options: { ...modes, ms_syncd_protocol: 'imap', ms_syncd_port: dovecot.imapPort },
    })
  }, 120_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  it('MIG-02 MIG-03 MIG-04 MIG-05 MIG-07 MIG-12: everything is here after the first login at imapd, nothing has changed there, and the next needs no old server', async () => {
    const before = await everything(dovecot.imapPort, 'joe')
    const here = await everything(wherry.imapPort, 'joe')
    expect(here).toEqual(before)
    expect(here.mailboxes.INBOX!.length).toBe(40)
    expect(await everything(dovecot.imapPort, 'joe')).toEqual(before)
    expect(wherry.log()).toContain('migrated')

    await using refused = await RawImap.connect(wherry.imapPort)
    await expect(refused.login('joe', 'wrong')).rejects.toThrow(/AUTHENTICATIONFAILED/)
    await using nobody = await RawImap.connect(wherry.imapPort)
    await expect(nobody.login('nobody', 'secret')).rejects.toThrow(/AUTHENTICATIONFAILED/)

    await dovecot.stop()
    expect(await everything(wherry.imapPort, 'joe')).toEqual(before)
    // MIG-06: who was not moved while it was there can't be now, and is not taken for somebody with a wrong password.
    await using late = await RawImap.connect(wherry.imapPort)
    await expect(late.login('ann', 'secret')).rejects.toThrow(/UNAVAILABLE/)
  })
})

describe('a client with a cache', () => {
  it('MIG-14: mbsync, with what it knows of the old server, transfers nothing from here', async () => {
    await using dovecot = await startDovecot({ users: { mia: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('mia', sampleMessages(30))
    await dovecot.fill('mia', sampleMessages(12), 'Projects')
    await using old = await loggedIn(dovecot.imapPort, 'mia')
    for (const [name, uids] of [
      ['INBOX', '1,5:9,30'],
      ['Projects', '2'],
    ] as const) {
      await old.command(`SELECT ${name}`)
      await old.command(`UID STORE ${uids} +FLAGS.SILENT (\\Deleted)`)
      await old.command('EXPUNGE')
    }
    const directory = await mkdtemp(join(tmpdir(), 'wherry-cached-'))
    try {
      const mbsync = (port: number) => mbsyncFor({ port, user: 'mia', password: 'secret', directory })
      await mbsync(dovecot.imapPort).sync()
      const cached = await filesIn(mbsync(dovecot.imapPort).maildir)
      // mbsync passes over one of them, which has no end of its header.
      expect(cached.length).toBe(22 + 11)
      await using wherry = await startWherry({
        options: { ...modes, ms_syncd_protocol: 'imap', ms_syncd_port: dovecot.imapPort },
      })
      const { maildir, sync } = mbsync(wherry.imapPort)
      const told = await sync()
      for (const count of [23, 11]) expect(told).toContain(`far side: ${count} messages`)
      expect(told).not.toContain('UIDVALIDITY')
      expect(await filesIn(maildir)).toEqual(cached)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }, 120_000)
})

describe('an old POP3 server', () => {
  let dovecot: Dovecot
  let wherry: Wherry

  beforeAll(async () => {
    dovecot = await startDovecot({
      users: { joe: 'secret', ann: 'secret', bob: 'secret', eve: 'secret', pat: 'secret' },
      protocols: ['pop3', 'sieve'],
    })
    await dovecot.fill('joe', sampleMessages(25))
    await dovecot.fill('ann', sampleMessages(5))
    await dovecot.fill('pat', sampleMessages(1))
    const scripts = join(dovecot.home('joe'), 'sieve')
    const { uid, gid } = await stat(dovecot.home('joe'))
    await mkdir(scripts)
    await writeFile(join(scripts, 'main.sieve'), 'keep;')
    await chown(scripts, uid, gid)
    wherry = await startWherry({
      options: {
        ...modes,
        ms_syncd_protocol: 'pop',
        ms_syncd_port: dovecot.pop3Port,
        migration_sieve_port: dovecot.sievePort!,
      },
    })
  }, 120_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  const msadm = (...words: string[]) =>
    promisify(execFile)(resolve(import.meta.dirname, '../../bin/msadm'), ['-c', wherry.configFile, ...words])

  it('msadm migrate --dry-run tells what would be found and done, fails where it would, and leaves nothing behind', async () => {
    // What ms_syncd learns of hosts is not about users.
    const left = async () =>
      (await readdir(wherry.directory, { recursive: true }))
        .filter((name) => /^(user|accounts|quarantine)\b/.test(name) && !name.startsWith('user/.gateway/hosts'))
        .sort()
    const before = await left()
    const one = JSON.parse(
      (await msadm('--json', 'migrate', '--dry-run', '-p', 'secret', 'joe')).stdout.split('\n')[0]!,
    )
    await using pop = await RawPop3.login(dovecot.pop3Port, 'joe', 'secret')
    const [, messages, octets] = /^\+OK (\d+) (\d+)/.exec(await pop.command('STAT'))!.map(Number)
    expect(one).toMatchObject({
      userId: 'joe@gateway.example',
      wouldFail: false,
      isLoggedIn: true,
      messages,
      octets,
      risks: [],
      scripts: 1,
    })
    const file = join(wherry.directory, 'dry.csv')
    await writeFile(file, 'userid,password,mboxMessageSizeQuota\njoe,secret,1\nbob,wrong,\n')
    const failed = await msadm('migrate', '-f', file, '--dry-run').catch((error: { stdout: string }) => error)
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('1 of 2 users could not be moved') })
    expect(failed.stdout).toMatch(
      /^joe@gateway.example +1 mailboxes +25 messages .*the account is made\n +over-quota: /,
    )
    expect(failed.stdout).toMatch(/\nbob@gateway.example +WOULD FAIL\n +wrong-password: .*\n.*give the right one/)
    expect(failed.stdout).toMatch(/1 users would be moved, 1 would fail; 25 messages.*Nothing was changed/)
    await expect(msadm('migrate', '--dry-run', 'joe')).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('no-password'),
    })
    expect(await left()).toEqual(before)
    expect(wherry.log()).toMatch(/used.*audit=migration-password.*dry-run|dry-run.*audit=migration-password/)
  })

  it('MIG-08 MIG-09 MIG-10: msadm migrate moves a user who waits, and again without losing what was put here', async () => {
    await msadm('add', '-m', 'ann')
    await expect(loggedIn(wherry.imapPort, 'ann')).rejects.toThrow(/NO/)
    await expect(msadm('migrate', '-p', 'wrong', 'ann')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('msadm: migrate: the old server does not accept the password'),
    })
    await expect(loggedIn(wherry.imapPort, 'ann')).rejects.toThrow(/NO/)
    const first = await msadm('--json', 'migrate', '-q', '-p', 'secret', 'ann', 'mailLocalAddress=anna@gateway.example')
    expect(JSON.parse(first.stdout)).toEqual({
      userId: 'ann@gateway.example',
      state: 'enabled',
      listed: 5,
      notGiven: 0,
    })
    const listed = JSON.parse((await msadm('--json', 'list', '-v', '-u', 'ann')).stdout)
    expect(JSON.stringify(listed)).toContain('anna@gateway.example')
    const inbox = async () => (await everything(wherry.imapPort, 'ann')).mailboxes.INBOX!.length
    expect(await inbox()).toBe(5)
    await using ann = await loggedIn(wherry.imapPort, 'ann')
    const ours = 'Subject: ours\r\n\r\nx\r\n'
    await ann.command(`APPEND INBOX {${ours.length}+}\r\n${ours}`)
    await msadm('migrate', '-q', '-p', 'secret', 'ann')
    expect(await inbox()).toBe(6)
    await msadm('migrate', '-q', '--discard-local', '-p', 'secret', 'ann')
    expect(await inbox()).toBe(5)
  })

  it('msadm migrate --list tells what became of a migration, and --pause and --resume say why they did nothing', async () => {
    await expect(msadm('migrate', '-q', 'pat')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the password is needed'),
    })
    await msadm('migrate', '-q', '-p', 'secret', 'pat')
    const { stdout } = await msadm('--json', 'migrate', '--list', 'pat')
    expect(JSON.parse(stdout)).toMatchObject({ userId: 'pat@gateway.example', state: 'closed', listed: 1, here: 1 })
    await expect(msadm('migrate', '--pause', 'pat')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('pat@gateway.example: it is closed already'),
    })
    await expect(msadm('migrate', '--resume', 'nobody')).rejects.toMatchObject({
      stderr: expect.stringContaining('no migration of this user is known'),
    })
    await expect(msadm('migrate', '--pause', '-p', 'x', 'pat')).rejects.toMatchObject({ code: 64 })
    expect(wherry.log()).toMatch(/password of a user at the old server destroyed.*audit=migration-password/)
  })

  it('msadm migrate -f moves all users of a file, tells by line who was not, and can be given again', async () => {
    const file = join(wherry.directory, 'users.csv')
    const migrate = () => msadm('--json', 'migrate', '-q', '-f', file)
    const lines = (out: string) =>
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    await writeFile(file, 'userid,password\neve,secret\nbob,wrong\n')
    const failed = await migrate().catch((error: { stdout: string; code: number }) => error)
    expect(failed).toMatchObject({ code: 1 })
    const told = lines(failed.stdout)
    expect(told).toContainEqual({ userId: 'eve@gateway.example', state: 'enabled', listed: 0, notGiven: 0 })
    expect(told).toContainEqual({ userId: 'bob@gateway.example', line: 3, error: expect.stringContaining('password') })
    expect(told).toContainEqual({ migrated: 1, were: 0, failed: 1 })
    await writeFile(file, 'userid,password\neve,secret\nbob,secret\n')
    expect(lines((await migrate()).stdout)).toContainEqual({ migrated: 1, were: 1, failed: 0 })
  })

  it('MIG-03 MIG-07 MIG-11 MIG-12: the first login at pop3d moves the maildrop with its unique-ids, in their order', async () => {
    const drop = async (port: number) => {
      await using pop = await RawPop3.login(port, 'joe', 'secret')
      const messages: string[] = []
      for await (const { uidl, octets } of pop.messages())
        messages.push(`${uidl} ${createHash('sha256').update(octets).digest('hex')}`)
      await pop.command('QUIT')
      return messages
    }
    const before = await drop(dovecot.pop3Port)
    expect(await drop(wherry.pop3Port)).toEqual(before)
    expect(before.length).toBe(25)
    expect(await drop(dovecot.pop3Port)).toEqual(before)
    await dovecot.stop()
    expect(await drop(wherry.pop3Port)).toEqual(before)
  })
})
