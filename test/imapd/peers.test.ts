/** Real clients at imapd, and imapd beside a real server. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ImapFlow } from 'imapflow'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startDovecot } from '../support/dovecot.ts'
import { mbsyncFor } from '../support/mbsync.ts'
import { corpusMessages, sampleMessages } from '../support/messages.ts'
import { startImapd } from './support.ts'
import { Peer, type Server } from './transcript.ts'

const run = promisify(execFile)
const user = 'anna@example.org'

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'imapd-peers-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  return directory
}

const crlf = (octets: Buffer) => Buffer.from(octets.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1')
const lf = (octets: Buffer) => Buffer.from(octets.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
/** docs/decisions/0315-nul-in-messages.md */
const asTold = (octets: Buffer) => Buffer.from(octets.toString('latin1').replaceAll('\0', '\x80'), 'latin1')
const digests = (messages: readonly Buffer[]) =>
  messages.map((octets) => createHash('sha256').update(octets).digest('hex')).sort()

/** Of every kind, and every tenth of the corpus. */
const messages = [
  ...sampleMessages(60),
  ...corpusMessages()
    .filter((_, index) => index % 10 === 0)
    .map(({ octets }) => octets),
].map(crlf)

/** mbsync takes no message without an empty line, and drops a CR that stands alone. */
const fitForMbsync = messages.filter(
  (octets) => octets.includes('\r\n\r\n') && !/\r(?!\n)/.test(octets.toString('latin1')),
)

describe('mbsync', () => {
  it(`pushes ${fitForMbsync.length} messages, another one pulls the same octets, a second run does nothing`, async () => {
    await using imapd = await startImapd([user])
    const [here, there] = [freshDirectory(), freshDirectory()]
    const pushing = mbsyncFor({ port: imapd.port, user, password: 'secret', directory: here })
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(pushing.maildir, 'INBOX', part), { recursive: true })
    for (const [index, octets] of fitForMbsync.entries())
      writeFileSync(
        join(pushing.maildir, 'INBOX', 'cur', `${index}.test:2,${index % 2 === 0 ? 'S' : 'FR'}`),
        lf(octets),
      )
    await pushing.sync()
    const pulling = mbsyncFor({ port: imapd.port, user, password: 'secret', directory: there })
    await pulling.sync()
    expect(digests(pulling.messages())).toEqual(digests(fitForMbsync.map(lf).map(asTold)))
    // Logins are told to other services as well.
    const changes = () => imapd.bus.published.filter(({ topic }) => topic.startsWith('mbox:')).length
    const before = changes()
    await pushing.sync()
    await pulling.sync()
    expect(before).toBeGreaterThan(0)
    expect(changes()).toBe(before)
    expect(digests(pushing.messages().map(asTold))).toEqual(digests(pulling.messages()))
  })
})

describe('shared mailboxes', () => {
  const owner = 'bob@example.org'
  const shared = `Other Users/${owner}/Plans`

  async function sharing(rights: string) {
    const imapd = await startImapd([user, owner])
    onTestFinished(() => imapd.stop())
    const peer = await Peer.open(imapd)
    onTestFinished(() => peer.destroy())
    await peer.line()
    for (const command of [`LOGIN ${owner} secret`, 'CREATE Plans', `SETACL Plans ${user} ${rights}`])
      expect((await peer.command('o', command)).at(-1)).toMatch(/^o OK/)
    return { imapd, peer }
  }

  it('imapflow finds them by the namespace, appends, marks, moves', async () => {
    const { imapd, peer } = await sharing('lrswite')
    const client = new ImapFlow({
      host: imapd.host,
      port: imapd.port,
      secure: false,
      auth: { user, pass: 'secret' },
      logger: false,
    })
    await client.connect()
    onTestFinished(() => client.close())
    expect((await client.list()).map(({ path }) => path)).toEqual(expect.arrayContaining(['INBOX', shared]))
    await client.append(shared, messages[0]!, ['\\Flagged'])
    await client.mailboxOpen(shared)
    expect(await client.messageFlagsAdd('1', ['\\Seen'])).toBe(true)
    expect(await client.messageMove('1', 'INBOX')).toMatchObject({ destination: 'INBOX' })
    expect(await client.status('INBOX', { messages: true })).toMatchObject({ messages: 1 })
    expect(await client.status(shared, { messages: true })).toMatchObject({ messages: 0 })
    expect(await peer.command('o', 'STATUS Plans (MESSAGES)')).toContain('* STATUS Plans (MESSAGES 0)')
  })

  it('mbsync pulls one that may only be read', async () => {
    const { imapd, peer } = await sharing('lr')
    for (const octets of fitForMbsync.slice(0, 20)) {
      await peer.send(`o APPEND Plans {${octets.length}}\r\n${octets.toString('latin1')}`)
      await peer.until('o')
    }
    const pulling = mbsyncFor({
      port: imapd.port,
      user,
      password: 'secret',
      directory: freshDirectory(),
    })
    await pulling.sync()
    expect(digests(pulling.messages(shared))).toEqual(digests(fitForMbsync.slice(0, 20).map(lf).map(asTold)))
  })
})

describe('curl', () => {
  it('appends, lists, searches and reads', async () => {
    await using imapd = await startImapd([user])
    const file = join(freshDirectory(), 'message')
    const [message] = messages
    writeFileSync(file, message!)
    const curl = async (...args: string[]) => {
      const options = { encoding: 'latin1', maxBuffer: 1 << 24 } as const
      const { stdout } = await run('curl', ['-sS', '-u', `${user}:secret`, ...args], options)
      return stdout
    }
    const url = `imap://127.0.0.1:${imapd.port}`
    await curl('-T', file, `${url}/INBOX`)
    expect(await curl(url)).toContain('* LIST (\\HasNoChildren) "/" INBOX')
    expect(await curl(`${url}/INBOX?ALL`)).toBe('* SEARCH 1\r\n')
    expect(await curl(`${url}/INBOX;UID=1`)).toBe(message!.toString('latin1'))
    expect(await curl(`${url}/INBOX;UID=1;SECTION=TEXT`)).toBe(
      message!.toString('latin1', message!.indexOf('\r\n\r\n') + 4),
    )
    expect(await curl('-X', 'EXAMINE INBOX', url)).toContain('* 1 EXISTS')
  })
})

/** Items whose answers are octets of the message: there is one right answer. */
const items = [
  'RFC822.SIZE',
  'BODY.PEEK[HEADER]',
  'BODY.PEEK[TEXT]',
  'BODY.PEEK[TEXT]<7.30>',
  'BODY.PEEK[]<100000.10>',
  'BODY.PEEK[HEADER.FIELDS (Subject From X-Mailer)]',
  'BODY.PEEK[HEADER.FIELDS (Subject To)]',
  'BODY.PEEK[HEADER.FIELDS.NOT (Received Subject)]',
  'BODY.PEEK[1]',
  'BODY.PEEK[1.MIME]',
  'BODY.PEEK[2]',
  'BODY.PEEK[2.MIME]',
  'BODY.PEEK[2]<3.10>',
  'BODY.PEEK[2.HEADER]',
  'BODY.PEEK[2.TEXT]',
  'BODY.PEEK[1.1]',
  'BODY.PEEK[2.1.1]',
]

describe('Dovecot', () => {
  it('gives the same sections', async () => {
    await using imapd = await startImapd([user])
    await using dovecot = await startDovecot({ users: { [user]: 'secret' }, protocols: ['imap'] })
    // Dovecot drops a CR that stands alone before a line end, and takes boundaries above RFC 2046's 70 characters for their beginnings.
    const all = fitForMbsync.filter(
      (octets) => !octets.includes(0) && !/boundary="[^"]{71}/.test(octets.toString('latin1')),
    )
    const [ours, theirs] = [
      await filled(imapd.as(user), all),
      await filled({ host: '127.0.0.1', port: dovecot.imapPort, user, password: 'secret' }, all),
    ]
    const differences: string[] = []
    for (let number = 1; number <= all.length; number++) {
      if (await answersEqual([ours, theirs], number)) continue
      for (const item of items) {
        const [our, their] = await Promise.all(
          [ours, theirs].map(async (peer) => (await peer.command('f', `FETCH ${number} ${item}`))[0]!),
        )
        if (sameValue(our!) !== sameValue(their!) && !isKnown(item, our!, their!, all[number - 1]!))
          differences.push(`${number} ${item}:\n  ${show(our!)}\n  ${show(their!)}`)
      }
    }
    expect(differences).toEqual([])
    for (const peer of [ours, theirs]) peer.destroy()
  })

  it('finds the same messages, and gives them in the same order', async () => {
    await using imapd = await startImapd([user])
    await using dovecot = await startDovecot({ users: { [user]: 'secret' }, protocols: ['imap'] })
    const all = fitForMbsync.filter((octets) => !octets.includes(0))
    const [ours, theirs] = [
      await filled(imapd.as(user), all),
      await filled({ host: '127.0.0.1', port: dovecot.imapPort, user, password: 'secret' }, all),
    ]
    const differences: string[] = []
    for (const key of keys)
      for (const text of texts) {
        const octets = Buffer.from(text)
        const command = `SEARCH CHARSET UTF-8 ${key} {${octets.length}+}\r\n${octets.toString('latin1')}`
        const [our, their] = await Promise.all([ours, theirs].map((peer) => found(peer, command)))
        const missed = their!.difference(our!)
        // Octets that no charset label explains: we read them as clients do, Dovecot passes over them.
        const more = [...our!.difference(their!)].filter((number) => !has8bit(all[number - 1]!))
        if (missed.size + more.length > 0) differences.push(`${key} ${text}: missed ${[...missed]}, only here ${more}`)
      }
    expect(differences).toEqual([])
    for (const key of orders) {
      // What decision 311 says that Dovecot does otherwise.
      const set = all.flatMap((octets, index) => (isOrderedOtherwise(octets) ? [] : [index + 1])).join()
      const [our, their] = await Promise.all([ours, theirs].map((peer) => peer.command('o', `${key} UTF-8 ${set}`)))
      if (our![0]!.trimEnd() !== their![0]!.trimEnd()) differences.push(`${key}:\n  ${our![0]}\n  ${their![0]}`)
    }
    expect(differences).toEqual([])
    for (const peer of [ours, theirs]) peer.destroy()
  })
})

const orders = [
  ...['ARRIVAL', 'CC', 'DATE', 'FROM', 'SIZE', 'SUBJECT', 'TO', 'DISPLAYFROM', 'DISPLAYTO', 'REVERSE SUBJECT DATE'].map(
    (keys) => `SORT (${keys})`,
  ),
  ...['ORDEREDSUBJECT', 'REFERENCES', 'REFS'].map((algorithm) => `THREAD ${algorithm}`),
]

const isOrderedOtherwise = (octets: Buffer): boolean => {
  const header = octets.toString('latin1', 0, octets.indexOf('\r\n\r\n') + 2)
  return (
    /[\x80-\xff]/.test(header) ||
    /^(Date|Subject|From|To)[ \t]*:[\s\S]*^\1[ \t]*:/im.test(header) ||
    /=\?(NONE|X-IAS-German|ks_c_5601-1987)\?/i.test(header) ||
    /^Date:.*( 19[0-6]\d | (2[4-9]|[3-9]\d):\d\d)/im.test(header)
  )
}

const has8bit = (octets: Buffer) => octets.some((octet) => octet > 127)

async function found(peer: Peer, command: string): Promise<Set<number>> {
  const [line] = await peer.command('s', command)
  return new Set(line!.split(' ').slice(2).map(Number))
}

const keys = ['SUBJECT', 'FROM', 'TO', 'CC', 'BODY', 'TEXT', 'HEADER List-Id', 'HEADER X-Mailer', 'HEADER Received']
const texts = [
  'harbour',
  'Meeting',
  'the ',
  'example.',
  'Tortoise',
  'ö',
  'GRÜSSE',
  'é',
  'の',
  'привет',
  'html',
  '€',
  '=?',
  '',
]

async function answersEqual(peers: readonly Peer[], number: number): Promise<boolean> {
  const command = `FETCH ${number} (${items.join(' ')})`
  const [our, their] = await Promise.all(peers.map(async (peer) => (await peer.command('w', command))[0]!))
  return our === their
}

/** An empty string is the same quoted and as a literal, and what a missing part is may be said in both ways or as NIL. */
const sameValue = (line: string) => line.replace(/(?:""|NIL|\{0\}\r\n)\)$/, '"")').replace(/\[[^\]]*\]/, '[]')
/**
 * Where Dovecot deviates: it takes 1.1 and 2.1.1 of a part without parts for the part itself (RFC 9051 §6.4.5.1: only a message
 * has a part of its own in that way), and adds no empty line to HEADER.FIELDS.NOT of a message that has none, while it does to HEADER.FIELDS.
 */
const isKnown = (item: string, our: string, their: string, octets: Buffer) =>
  (/^BODY\.PEEK\[\d\.1(\.1)?\]$/.test(item) && our.endsWith(' NIL)')) ||
  (item.includes('.NOT') && !octets.includes('\r\n\r\n') && our.endsWith('\r\n\r\n)') && their.endsWith('\r\n)'))
const show = (line: string) => JSON.stringify(line.slice(0, 300))

async function filled(server: Server, octets: readonly Buffer[]): Promise<Peer> {
  const peer = await Peer.open(server)
  await peer.line()
  await peer.command('l', `LOGIN ${server.user} ${server.password}`)
  for (const message of octets) {
    const [reply] = await peer.command('a', `APPEND INBOX {${message.length}+}\r\n${message.toString('latin1')}`)
    if (!reply!.startsWith('a OK')) throw new Error(reply)
  }
  await peer.command('s', 'SELECT INBOX')
  return peer
}

describe('imapflow', () => {
  it('is told by QRESYNC what became of a mailbox since it was there', async () => {
    await using imapd = await startImapd([user])
    const clientOf = async () => {
      const { host, port } = imapd
      const auth = { user, pass: 'secret' }
      const client = new ImapFlow({ host, port, secure: false, auth, logger: false, qresync: true })
      await client.connect()
      onTestFinished(() => client.close())
      return client
    }
    const [here, there] = [await clientOf(), await clientOf()]
    for (const subject of ['a', 'b', 'c', 'd', 'e']) await here.append('INBOX', `Subject: ${subject}\r\n\r\n`)
    const before = await here.mailboxOpen('INBOX')
    await here.mailboxClose()
    await there.mailboxOpen('INBOX')
    await there.messageFlagsAdd('2', ['\\Flagged'], { uid: true })
    await there.messageDelete('3:4', { uid: true })

    // It asks for what vanished with each FETCH, too.
    const gone = new Set<number | undefined>()
    const changed: unknown[] = []
    here.on('expunge', ({ uid }) => gone.add(uid))
    here.on('flags', ({ uid, flags }) => changed.push([uid, [...flags]]))
    const { uidValidity, highestModseq } = before
    await here.mailboxOpen('INBOX', { changedSince: String(highestModseq), uidValidity })
    expect([...gone]).toEqual([3, 4])
    expect(changed).toEqual([[2, ['\\Flagged']]])
    const since = await here.fetchAll('1:*', { flags: true, uid: true }, { changedSince: highestModseq!, uid: true })
    expect(since.map(({ uid }) => uid)).toEqual([2])

    // While both are in it.
    await there.messageDelete('5', { uid: true })
    await here.noop()
    expect([...gone]).toEqual([3, 4, 5])
  })
})
