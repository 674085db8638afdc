/**
 * A migration with backend_fast_login: all mail of the old server (Dovecot) is seen at once, what is read comes when it is read, and what a client does
 * meanwhile stays. MIG-06 MIG-07 MIG-12; docs/decisions/0025-announced-first.md
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { benchMessages } from '#bench/messages.ts'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { RawImap } from '../support/raw-imap.ts'
import { type SlowLine, slowLine } from '../support/slow-line.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const messages = 800
/** Octets a second: while it is so slow, most of the bodies are still to come. */
const slow = 60_000

let dovecot: Dovecot
let line: SlowLine
let wherry: Wherry

beforeAll(async () => {
  dovecot = await startDovecot({ users: { joe: 'secret' }, protocols: ['imap'] })
  await dovecot.fill('joe', benchMessages('small', messages))
  await dovecot.fill('joe', benchMessages('small', 50), 'Archive')
  await using old = await loggedIn(dovecot.imapPort)
  await old.command('SELECT INBOX')
  await old.command('UID STORE 100:120 +FLAGS.SILENT (\\Seen $Work)')
  await old.command('UID STORE 50,60 +FLAGS.SILENT (\\Deleted)')
  await old.command('UID EXPUNGE 50,60')
  line = await slowLine(dovecot.imapPort, 2_000_000)
  const backend = { ms_syncd_host: '127.0.0.1', ms_syncd_protocol: 'imap', ms_syncd_port: line.port }
  wherry = await startWherry({
    options: { gateway_mode: false, auto_migrate: true, backend_fast_login: true, ...backend },
  })
}, 120_000)

afterAll(async () => {
  await wherry?.stop()
  await line?.[Symbol.asyncDispose]()
  await dovecot?.stop()
})

async function loggedIn(port: number): Promise<RawImap> {
  const imap = await RawImap.connect(port)
  await imap.login('joe', 'secret')
  return imap
}

/** What a client that shows a list asks for, by UID. */
async function rows(imap: RawImap): Promise<ReadonlyMap<number, string>> {
  const lines = await imap.command('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)')
  return new Map(
    lines.flatMap(({ text }) => {
      const uid = /UID ([0-9]+)/.exec(text)
      if (uid === null) return []
      const [, flags] = /FLAGS \(([^)]*)\)/.exec(text)!
      const kept = flags!.split(' ').filter((flag) => flag !== '\\Recent' && flag !== '')
      const date = Date.parse(/INTERNALDATE "([^"]*)"/.exec(text)![1]!)
      return [[Number(uid[1]), `${kept.sort().join(' ')} ${date} ${/SIZE ([0-9]+)/.exec(text)![1]}`] as const]
    }),
  )
}

async function digests(imap: RawImap, set: string): Promise<ReadonlyMap<number, string>> {
  const lines = await imap.command(`UID FETCH ${set} (UID BODY.PEEK[])`)
  return new Map(
    lines.flatMap(({ text, literals }) =>
      literals.length === 0
        ? []
        : [[Number(/UID ([0-9]+)/.exec(text)![1]), createHash('sha256').update(literals[0]!).digest('hex')] as const],
    ),
  )
}

const told = async (imap: RawImap, command: string) => (await imap.command(command)).map(({ text }) => text)

it('all is seen at once, bodies come when they are read, and what a client does stays, over a kill', async () => {
  await using old = await loggedIn(dovecot.imapPort)
  await old.command('EXAMINE INBOX')
  const before = await rows(old)
  const octets = await digests(old, '1:*')

  await using client = await loggedIn(wherry.imapPort)
  const selected = await told(client, 'SELECT INBOX')
  expect(selected).toContain(`* ${messages - 2} EXISTS`)
  line.rate = slow
  // All of it, exactly, while next to nothing has come.
  expect(await rows(client)).toEqual(before)
  expect((await told(client, 'SEARCH TEXT nothing')).join('\n')).toMatch(/OK [1-9][0-9]{2} messages have not come from/)
  expect(wherry.log()).not.toContain('migrated')

  // A first page, and some of the oldest.
  const page = await client.command(`FETCH ${messages - 51}:${messages - 2} (FLAGS ENVELOPE)`)
  expect(page.filter(({ text }) => text.includes('ENVELOPE (')).length).toBe(50)
  for (const uid of [1, 700, 333]) expect((await digests(client, `${uid}`)).get(uid)).toBe(octets.get(uid))
  expect([...(await digests(client, '2:4'))]).toEqual([2, 3, 4].map((uid) => [uid, octets.get(uid)]))

  await client.command('UID STORE 3,600 +FLAGS.SILENT (\\Flagged mine)')
  await client.command('UID STORE 5,601 +FLAGS.SILENT (\\Deleted)')
  await client.command('UID COPY 7,602 Archive')
  await client.command('UID STORE 7,602 +FLAGS.SILENT (\\Deleted)')
  await client.command('EXPUNGE')
  const text = 'Subject: put here meanwhile\r\n\r\ntext\r\n'
  await client.command(`APPEND INBOX (\\Draft) {${text.length}+}\r\n${text}`)

  line.cut()
  await expect(client.command('UID FETCH 10 BODY.PEEK[]')).rejects.toThrow(/NO \[UNAVAILABLE\]/)
  expect([...(await digests(client, '1,333'))].length).toBe(2)
  for (const pid of wherry.pids('ms_syncd')) process.kill(pid, 'SIGKILL')
  line.mend()

  const again = await vi.waitFor(() => loggedIn(wherry.imapPort), { timeout: 30_000, interval: 100 })
  await again[Symbol.asyncDispose]()
  expect([...(await digests(client, '11')).values()]).toEqual([octets.get(11)])
  line.rate = Number.POSITIVE_INFINITY
  await vi.waitFor(() => expect(wherry.log()).toContain('migrated'), { timeout: 60_000, interval: 50 })

  await client.command('NOOP')
  const here = await digests(client, '1:*')
  const gone = [5, 601, 7, 602]
  const own = Math.max(...here.keys())
  expect(new Map([...here].filter(([uid]) => uid !== own))).toEqual(
    new Map([...octets].filter(([uid]) => !gone.includes(uid))),
  )
  expect(own).toBeGreaterThan(messages)
  const after = await rows(client)
  for (const [uid, row] of before) if (![3, 600, ...gone].includes(uid)) expect(after.get(uid)).toBe(row)
  for (const uid of [3, 600]) expect(after.get(uid)).toContain('\\Flagged mine ')
  expect(after.get(own)).toContain('\\Draft')
  await client.command('SELECT Archive')
  const archived = [...(await digests(client, '1:*')).values()]
  expect(archived.length).toBe(52)
  expect(archived.slice(-2)).toEqual([octets.get(7), octets.get(602)])
  // Nothing has changed at the old server.
  expect(await rows(old)).toEqual(before)
  expect((await told(client, 'SEARCH TEXT nothing')).join('\n')).not.toContain('not come')
}, 120_000)
