/** What is found at real old servers (Dovecot), and at one that has no UIDL. */
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { type InventoryRequest, takeInventory } from '#migrate/waves/inventory.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { sampleMessages } from '#test/support/messages.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { gatewayScene } from '../../gateway/ms_syncd/support.ts'

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { joe: 'secret', ann: 'secret', big: 'secret' } })
})
afterAll(() => dovecot?.stop())

const noLimit = { value: 0, from: 'server' } as const
const none = { storage: noLimit, messages: noLimit }

const look = async (
  protocol: 'pop' | 'imap',
  port: number,
  user: string,
  more: Partial<InventoryRequest> & { readonly word?: string } = {},
) => {
  const scene = await gatewayScene(port)
  onTestFinished(() => scene[Symbol.asyncDispose]())
  const config = configOf({ ms_syncd_host: '127.0.0.1', ms_syncd_protocol: protocol, ms_syncd_port: port })
  const userId = `${user}@a.example` as UserId
  return takeInventory({
    gateway: scene.gateway,
    userId,
    backends: makeUserDatabase(undefined, []).find(user, userId, config),
    password: Buffer.from(more.word ?? 'secret'),
    account: undefined,
    limits: none,
    log: silentLog,
    signal: new AbortController().signal,
    ...more,
  })
}
const kinds = ({ risks }: { readonly risks: readonly { readonly kind: string }[] }) => risks.map(({ kind }) => kind)

it('counts mailboxes, messages and octets of an IMAP account, and changes nothing there', async () => {
  const messages = [...sampleMessages(12)]
  await dovecot.fill('joe', messages)
  await dovecot.fill('joe', messages.slice(0, 5), 'Projects')
  const found = await look('imap', dovecot.imapPort, 'joe')
  const [backend] = found.backends
  // Dovecot gives a bare LF as CRLF, so that its own figures are the ones that count.
  await using imap = await RawImap.connect(dovecot.imapPort)
  await imap.login('joe', 'secret')
  const sizes: number[] = []
  for (const name of ['INBOX', 'Projects']) {
    await imap.command(`EXAMINE ${name}`)
    for (const { text } of await imap.command('FETCH 1:* (RFC822.SIZE FLAGS)')) {
      const size = /RFC822\.SIZE (\d+)/.exec(text)
      if (size === null) continue
      sizes.push(Number(size[1]))
      expect(text).toMatch(/FLAGS \((\\Recent)?\)/)
    }
  }
  expect(backend).toMatchObject({
    mailboxes: 2,
    messages: 17,
    octets: sizes.reduce((sum, size) => sum + size, 0),
    largest: Math.max(...sizes),
  })
  expect(kinds(found)).toEqual([])
})

it('counts a POP3 maildrop', async () => {
  await dovecot.fill('ann', sampleMessages(7))
  const found = await look('pop', dovecot.pop3Port, 'ann')
  expect(found.backends).toMatchObject([{ mailboxes: 1, messages: 7, uidl: true }])
  expect(kinds(found)).toEqual([])
})

it('tells what stands in the way: passwords, names, sizes, quotas, accounts', async () => {
  expect(kinds(await look('imap', dovecot.imapPort, 'joe', { word: 'wrong' }))).toEqual(['wrong-password'])
  expect(kinds(await look('imap', dovecot.imapPort, 'joe', { password: undefined }))).toEqual(['no-password'])
  expect(kinds(await look('imap', dovecot.imapPort, 'joe', { backends: undefined }))).toEqual(['no-server'])
  expect(kinds(await look('imap', 1, 'joe'))).toEqual(['unreachable'])

  await using imap = await RawImap.connect(dovecot.imapPort)
  await imap.login('big', 'secret')
  // U+00DC, and U with U+0308: the same letter.
  for (const name of ['&ANw-bung', 'U&Awg-bung', 'Work']) await imap.command(`CREATE "${name}"`)
  // A file of a gigabyte and some that takes no room, whose name tells its size.
  const size = (1 << 30) + 4_096
  const place = join(dovecot.home('big'), 'Maildir')
  await mkdir(join(place, 'tmp'), { recursive: true })
  const file = await open(join(place, 'tmp', 'big'), 'w')
  await file.truncate(size)
  await file.close()
  await rename(join(place, 'tmp', 'big'), join(place, 'new', `1700000000.M1P1.test,S=${size},W=${size}`))
  const found = await look('imap', dovecot.imapPort, 'big', {
    limits: { storage: { value: 1_000, from: 'user' }, messages: noLimit },
    account: {
      userId: 'big@a.example' as UserId,
      state: 'enabled',
      verifiers: undefined,
      services: {},
      properties: [],
    },
  })
  expect(kinds(found).sort()).toEqual(['account-exists', 'colliding-names', 'over-quota', 'oversized'])
  expect(found.backends).toMatchObject([{ messages: 1, octets: size, largest: size }])
})

it('tells a POP3 server without UIDL, and one that deletes what it gives', async () => {
  const messages = [1, 2].map((n) => ({ uidl: `${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) }))
  await using without = await scriptedPop3({ messages, capabilities: ['TOP', 'EXPIRE 0'] })
  without.on('UIDL', () => '-ERR unknown command\r\n')
  const found = await look('pop', without.port, 'eve', { word: 'pw' })
  expect(found.backends).toMatchObject([{ messages: 2, uidl: false }])
  expect(kinds(found).sort()).toEqual(['deletes-when-read', 'no-uidl'])
  expect(without.received.filter((line) => /RETR|DELE|TOP/.test(line))).toEqual([])
})
