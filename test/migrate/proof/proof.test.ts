/** Certificates and verifications of users who came from Dovecot, by real services and msadm. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding, Verification } from '#src/certificate/finding.ts'
import type { Entry, Statement } from '#src/certificate/format.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { sampleMessages } from '#test/support/messages.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { RawPop3 } from '#test/support/raw-pop3.ts'
import { startWherry, type Wherry } from '#test/support/wherry.ts'

const modes = { gateway_mode: false, auto_migrate: true, ms_syncd_host: '127.0.0.1' }
const msadmFor =
  (wherry: Wherry) =>
  async (...words: string[]) => {
    const msadm = resolve(import.meta.dirname, '../../../bin/msadm')
    const { stdout, code } = await promisify(execFile)(msadm, ['-c', wherry.configFile, ...words]).then(
      ({ stdout }) => ({ stdout, code: 0 }),
      (error: { stdout: string; code: number }) => error,
    )
    return { stdout, code }
  }

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const loggedIn = async (port: number, user: string): Promise<RawImap> => {
  const imap = await RawImap.connect(port)
  await imap.login(user, 'secret')
  return imap
}

/** By UID: SHA-256 of what a client is given. */
const digestsOf = async (port: number, user: string, mailbox: string): Promise<Record<number, string>> => {
  await using imap = await loggedIn(port, user)
  await imap.command(`EXAMINE ${mailbox}`)
  const lines = await imap.command('UID FETCH 1:* (BODY.PEEK[])')
  return Object.fromEntries(
    lines.flatMap(({ text, literals }) =>
      literals.length === 0
        ? []
        : [[Number(/UID ([0-9]+)/.exec(text)![1]), createHash('sha256').update(literals[0]!).digest('hex')]],
    ),
  )
}

const certified = async (wherry: Wherry): Promise<void> => {
  const deadline = performance.now() + 50_000
  while (!wherry.log().includes('certified')) {
    if (performance.now() > deadline) throw new Error(wherry.log())
    await new Promise((wake) => setTimeout(wake, 20))
  }
}

interface Certificate {
  readonly statement: Statement
  readonly mailboxes: readonly { readonly from: string; readonly listed: number; readonly client: string }[]
  readonly entries: readonly Entry[]
}

const verification = async (msadm: ReturnType<typeof msadmFor>, user: string) => {
  const { stdout, code } = await msadm('--json', 'verify-migration', '-p', 'secret', user)
  const told = jsonLines(stdout)
  const findings = told.filter((line) => 'kind' in line) as Finding[]
  const summary = told.find((line) => 'summary' in line)?.summary as Verification
  return { findings, summary, code }
}

/** Message files of a mailbox tree here whose names end with this digest. */
const storedFile = async (wherry: Wherry, digest: string): Promise<string> => {
  const wanted = Buffer.from(digest, 'hex').toString('base64url')
  const entries = await readdir(wherry.userDirectory, { recursive: true, withFileTypes: true })
  const found = entries.find(({ name }) => name.endsWith(`,${wanted}`))
  return join(found!.parentPath, found!.name)
}

const flip = async (file: string): Promise<void> => {
  const octets = await readFile(file)
  octets[octets.length >>> 1]! ^= 1
  await writeFile(file, octets)
}

/** Changes a letter of the message with this digest, which Dovecot gives with CRLF. */
const flipThere = async (dovecot: Dovecot, user: string, digest: string): Promise<void> => {
  const entries = await readdir(join(dovecot.home(user), 'Maildir'), { recursive: true, withFileTypes: true })
  for (const { parentPath, name } of entries.filter(
    (entry) => entry.isFile() && /\/(cur|new)$/.test(entry.parentPath),
  )) {
    const text = await readFile(join(parentPath, name), 'latin1')
    const given = Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1')
    if (createHash('sha256').update(given).digest('hex') !== digest) continue
    const changed = text.replace(/[a-y](?=[^a-z]*$)/, (letter) => String.fromCharCode(letter.charCodeAt(0) + 1))
    return await writeFile(join(parentPath, name), changed, 'latin1')
  }
  throw new Error('Dovecot has no file of this message')
}

describe('an old IMAP server', () => {
  let dovecot: Dovecot
  let wherry: Wherry
  let msadm: ReturnType<typeof msadmFor>

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { joe: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('joe', sampleMessages(40))
    await dovecot.fill('joe', sampleMessages(5), 'Projects')
    await using old = await loggedIn(dovecot.imapPort, 'joe')
    await old.command('SELECT INBOX')
    await old.command('UID STORE 3:5 +FLAGS.SILENT (\\Deleted)')
    await old.command('EXPUNGE')
    await old.command('UID STORE 7:9 +FLAGS.SILENT (\\Flagged todo)')
    wherry = await startWherry({ options: { ...modes, ms_syncd_protocol: 'imap', ms_syncd_port: dovecot.imapPort } })
    msadm = msadmFor(wherry)
    await using first = await loggedIn(wherry.imapPort, 'joe')
    await first.command('NOOP')
    await certified(wherry)
  }, 120_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  it('a certificate is made after the first login: every message with the digest that a client gets on both sides, and nothing to be fetched again', async () => {
    const { stdout } = await msadm('certificate', '--file', 'joe')
    const { statement, mailboxes, entries } = JSON.parse(stdout) as Certificate
    expect(statement).toMatchObject({
      account: 'joe@gateway.example',
      occasion: 'migrated',
      listed: 42,
      here: 42,
      exceptions: {},
      again: 0,
      mailboxes: 2,
      replayed: 2,
      others: 0,
    })
    expect(mailboxes.map(({ from, listed, client }) => [from, listed, client])).toEqual([
      ['INBOX', 37, 'nothing'],
      ['Projects', 5, 'nothing'],
    ])
    for (const name of ['INBOX', 'Projects']) {
      const of = entries.filter(({ from }) => from === name)
      const told = Object.fromEntries(of.map(({ uid, digest }) => [uid, digest]))
      expect(told).toEqual(await digestsOf(dovecot.imapPort, 'joe', name))
      expect(told).toEqual(await digestsOf(wherry.imapPort, 'joe', name))
    }
    expect(entries.find(({ uid }) => uid === 7)!.flagsThere).toEqual(['\\Flagged', 'todo'])
    expect(entries.filter(({ differs }) => differs !== undefined)).toEqual([])
  })

  it('nothing was done: no finding; one flipped, one dropped, one added: exactly these three', async () => {
    expect(await verification(msadm, 'joe')).toEqual({
      findings: [],
      code: 0,
      summary: expect.objectContaining({ listed: 42, compared: 42, same: 42, findings: 0 }),
    })
    const digests = await digestsOf(wherry.imapPort, 'joe', 'INBOX')
    await flip(await storedFile(wherry, digests[12]!))
    await using imap = await loggedIn(wherry.imapPort, 'joe')
    await imap.command('SELECT INBOX')
    await imap.command('UID STORE 20 +FLAGS.SILENT (\\Deleted)')
    await imap.command('EXPUNGE')
    const text = 'Subject: ours\r\n\r\nx\r\n'
    await imap.command(`APPEND INBOX {${text.length}+}\r\n${text}`)
    const { findings, summary, code } = await verification(msadm, 'joe')
    expect(findings.map(({ kind, isExplained, mailbox, uid }) => [kind, isExplained, mailbox, uid])).toEqual([
      ['missing-here', true, undefined, undefined],
      ['damaged', false, 'INBOX', 12],
      ['extra-here', true, 'INBOX', expect.any(Number)],
    ])
    expect(findings[0]!.id).toMatch(/\/20$/)
    expect(summary).toMatchObject({ listed: 42, compared: 41, same: 40, findings: 3, explained: 2 })
    expect(code).toBe(1)
    await flip(await storedFile(wherry, digests[12]!))
  })

  it('what was changed at the old server is told: other octets, flags, new and removed mail', async () => {
    await using old = await loggedIn(dovecot.imapPort, 'joe')
    await old.command('SELECT INBOX')
    await flipThere(dovecot, 'joe', (await digestsOf(wherry.imapPort, 'joe', 'INBOX'))[33]!)
    await old.command('UID STORE 30 +FLAGS.SILENT (\\Answered)')
    await old.command('UID STORE 31 +FLAGS.SILENT (\\Deleted)')
    await old.command('EXPUNGE')
    await dovecot.fill('joe', sampleMessages(1))
    const { findings } = await verification(msadm, 'joe')
    const told = findings.map(({ kind, isExplained, id = '' }) => `${kind} ${isExplained} ${/[0-9]*$/.exec(id)![0]}`)
    expect(told.sort()).toEqual([
      // What was done here in the test before.
      'extra-here true ',
      'extra-here true 31',
      'flags false 30',
      'missing-here true 20',
      'missing-here true 41',
      'octets false 33',
    ])
  })

  it('a certificate that is asked for later tells what left since, with the reason; the first one stays as it was signed', async () => {
    const first = (await msadm('certificate', '--file', 'joe')).stdout
    await dovecot.fill('joe', sampleMessages(2), 'Locked')
    const locked = join(dovecot.home('joe'), 'Maildir', '.Locked')
    await chmod(locked, 0)
    const made = await msadm('--json', 'certificate', '--new', '-p', 'secret', 'joe')
    await rm(locked, { recursive: true })
    const statement = JSON.parse(made.stdout) as Statement & { file: string; faults: string[] }
    expect(statement).toMatchObject({ occasion: 'asked', listed: 42, here: 40, faults: [], leftOut: ['Locked'] })
    expect(statement.exceptions).toEqual({ 'deleted-here': 1, 'not-pulled': 1 })
    const directory = join(statement.file, '..')
    const files = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort()
    expect(await readFile(join(directory, files[0]!), 'utf8')).toBe(first)
    expect((await stat(join(directory, '..', 'signing-key.pem'))).mode & 0o777).toBe(0o600)
    expect((await msadm('certificate', '--check', join(directory, files[0]!))).code).toBe(0)
    const forged = join(wherry.directory, 'forged.json')
    await writeFile(forged, first.replace('"uid":12', '"uid":13'))
    expect((await msadm('certificate', '--check', forged)).code).toBe(1)
    await truncate(forged, 4_000)
    expect((await msadm('certificate', '--check', forged)).code).toBe(1)
    const wrong = await msadm('--json', 'verify-migration', '-p', 'wrong', 'joe')
    expect(wrong).toMatchObject({ code: 1, stdout: expect.stringContaining('the old server') })

    await dovecot.stop()
    await flip(await storedFile(wherry, JSON.parse(first).entries[9].digest))
    const alone = await msadm('--json', 'verify-migration', '--here', 'joe')
    const [damaged, { summary }] = jsonLines(alone.stdout)
    expect(damaged).toMatchObject({ kind: 'damaged', isExplained: false, id: JSON.parse(first).entries[9].id })
    expect(summary).toMatchObject({ listed: 42, compared: 40, same: 39, findings: 1, explained: 0 })
    expect(alone.code).toBe(1)
  })
})

describe('an old POP3 server', () => {
  it('the certificate has the unique-ids, and the three planted changes are found', async () => {
    await using dovecot = await startDovecot({ users: { ann: 'secret' }, protocols: ['pop3'] })
    await dovecot.fill('ann', sampleMessages(15))
    await using wherry = await startWherry({
      options: { ...modes, ms_syncd_protocol: 'pop', ms_syncd_port: dovecot.pop3Port },
    })
    const msadm = msadmFor(wherry)
    const here: (readonly [string, string])[] = []
    {
      await using pop = await RawPop3.login(wherry.pop3Port, 'ann', 'secret')
      for await (const { uidl, octets } of pop.messages())
        here.push([uidl, createHash('sha256').update(octets).digest('hex')])
      await pop.command('QUIT')
    }
    await certified(wherry)
    const { statement, mailboxes, entries } = JSON.parse(
      (await msadm('certificate', '--file', 'ann')).stdout,
    ) as Certificate
    expect(statement).toMatchObject({ listed: 15, here: 15, again: 0, others: 0, replayed: 1 })
    expect(mailboxes).toMatchObject([{ from: 'INBOX', client: 'nothing', inOrder: true }])
    expect(entries.map(({ uidlThere, digest }) => [uidlThere, digest])).toEqual(here)

    await flip(await storedFile(wherry, here[3]![1]))
    await using imap = await loggedIn(wherry.imapPort, 'ann')
    await imap.command('SELECT INBOX')
    await imap.command('STORE 9 +FLAGS.SILENT (\\Deleted)')
    await imap.command('EXPUNGE')
    const text = 'Subject: ours\r\n\r\nx\r\n'
    await imap.command(`APPEND INBOX {${text.length}+}\r\n${text}`)
    const { findings, code } = await verification(msadm, 'ann')
    expect(findings.map(({ kind, isExplained }) => [kind, isExplained])).toEqual([
      ['missing-here', true],
      ['damaged', false],
      ['extra-here', true],
    ])
    expect(code).toBe(1)
  }, 120_000)
})
