import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { injectionOf } from '#gateway/ms_syncd/injection.ts'
import { readAway } from '#gateway/sync/imap/away.ts'
import type { Injection } from '#gateway/sync/inject/injector.ts'
import { Journal } from '#gateway/sync/inject/journal.ts'
import { systemClock } from '#src/base/clock.ts'
import { configOf } from '#src/config/config.ts'
import type { Mailbox } from '#src/store/types.ts'
import { deliverTo } from '#test/support/deliver-to.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { type ScriptedSmtp, scriptedSmtp } from '#test/support/smtp-script.ts'
import { testStore, userId } from '../support.ts'
import { type Both, bothSides } from './pass-support.ts'
import { message, treeHere, treeThere } from './trees.ts'

let dovecot: Dovecot
const users = Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`user${at}`, 'secret']))
beforeAll(async () => {
  dovecot = await startDovecot({ users, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

const submittingTo = ({ port }: ScriptedSmtp): Injection =>
  injectionOf(configOf({ smtp_injection: true, submit_host: '127.0.0.1', submit_port: port }), systemClock)

const comesBack = async ({ store, account }: Both, text: string) => {
  const trace = 'Received: from gw\r\n\tby mx.example.org; Tue, 14 Nov 2023 22:13:20 +0000\r\n'
  await deliverTo(store, account, Buffer.from(trace + text, 'latin1'))
}

/** Without what the way added. */
const withoutTrace = (tree: Awaited<ReturnType<typeof treeHere>>) =>
  Object.fromEntries(
    Object.entries(tree).map(([name, seen]) => [
      name,
      seen.map((one) => ({ ...one, text: one.text.replace(/^Received:.*\r\n\t.*\r\n/, '') })),
    ]),
  )

describe.each([
  ['with CONDSTORE and QRESYNC', 'user0', []],
  ['without', 'user1', ['CONDSTORE', 'QRESYNC']],
])('GW-23: messages of an IMAP backend, %s', (_, user, without) => {
  it('come back into their mailboxes, and follow what happened there meanwhile', async () => {
    await using server = await scriptedSmtp()
    const both = await bothSides(dovecot, { user, without })
    const { other } = both
    const injection = submittingTo(server)
    await other.mailboxCreate('Archive')
    for (const subject of ['a', 'b', 'c']) await other.append('INBOX', message(subject), ['\\Flagged', 'todo'])
    await other.append('Archive', message('old'), ['\\Seen'], new Date(1_500_000_000_000))
    expect(await both.pass({}, { injection })).toMatchObject({ fetched: 4, failed: 0 })
    expect((await treeHere(both)).INBOX).toEqual([])
    expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, deletedThere: 0 })
    await other.mailboxOpen('INBOX')
    await other.messageFlagsAdd('1', ['\\Answered'], { uid: true })
    await other.messageDelete('2', { uid: true })
    expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, deletedThere: 0 })
    expect(server.messages).toHaveLength(4)
    for (const text of server.messages) await comesBack(both, text)
    expect((await treeHere(both)).Archive).toMatchObject([{ flags: '\\Seen', date: 1_500_000_000 }])
    expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, expungedHere: 1, deletedThere: 0 })
    const there = await treeThere(both)
    expect(withoutTrace(await treeHere(both))).toEqual(there)
    expect(there.INBOX!.map(({ flags }) => flags)).toEqual(['\\Answered \\Flagged todo', '\\Flagged todo'])
    const inbox = await both.open()
    await inbox.refresh()
    await inbox.expunge([inbox.messages.uidAt(0)], 'client')
    expect(await both.pass({}, { injection })).toMatchObject({ deletedThere: 1, fetched: 0, sent: 0 })
    expect(withoutTrace(await treeHere(both))).toEqual(await treeThere(both))
    expect(server.messages).toHaveLength(4)
  })
})

it('GW-23: what the submission server does not take now is asked for again, by an IMAP backend as well', async () => {
  await using server = await scriptedSmtp()
  const both = await bothSides(dovecot, { user: 'user2' })
  const injection = submittingTo(server)
  for (const subject of ['a', 'b', 'c']) await both.other.append('INBOX', message(subject))
  server.on('.', ({ message }) => (message.includes('Subject: b\r\n') ? '451 4.7.1 later\r\n' : '250 ok\r\n'))
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 2, failed: 1 })
  server.on('.', undefined)
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 1, failed: 0 })
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, failed: 0 })
})

it.each([
  ['with CONDSTORE and QRESYNC', 'user4', []],
  ['without', 'user5', ['CONDSTORE', 'QRESYNC']],
])('GW-23: a stub stands for what was refused as long as it is there, %s', async (_, user, without) => {
  await using server = await scriptedSmtp()
  const both = await bothSides(dovecot, { user, without })
  const injection = submittingTo(server)
  for (const subject of ['a', 'b', 'c']) await both.other.append('INBOX', message(subject))
  server.on('.', ({ message }) => (message.includes('Subject: b\r\n') ? '554 5.7.1 a virus\r\n' : '250 ok\r\n'))
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 3, failed: 0 })
  for (let round = 0; round < 2; round++)
    expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, failed: 0, deletedThere: 0 })
  expect(server.messages).toHaveLength(3)
  expect((await treeHere(both)).INBOX).toMatchObject([{ text: expect.stringContaining('Subject: [refused] b') }])
  for (const text of server.messages.filter((text) => !text.includes('Subject: b\r\n'))) await comesBack(both, text)
  for (let round = 0; round < 2; round++) await both.pass({}, { injection })
  await both.other.mailboxOpen('INBOX')
  await both.other.messageDelete('2', { uid: true })
  await both.pass({}, { injection })
  expect(withoutTrace(await treeHere(both))).toEqual(await treeThere(both))
})

it('GW-23: mailboxes with the same UIDVALIDITY: what was taken from one of them is not missing in the other', async () => {
  await using test = await testStore()
  const account = test.store.account(userId)
  await account.ensure()
  await account.create('Archive')
  await using inbox = await account.open('INBOX')
  await using archive = await account.open('Archive')
  const url = 'imap://joe%40example.org@imap.example.net/'
  await new Journal(account, inbox.id).record(`${url}1/7`, { submittedAt: 1_700_000_000 })
  const there = { flags: new Map(), vanished: [], complete: true, exists: 9, permanent: undefined, readOnly: false }
  const awayIn = async (mailbox: Mailbox) => {
    const of = { url, uidValidity: 1, mailbox }
    return [...(await readAway(account, of, { here: new Map(), departed: new Map() }, there, 1_700_000_000)).uids]
  }
  expect(await awayIn(inbox)).toEqual([7])
  expect(await awayIn(archive)).toEqual([])
})

it('GW-24: what a filter changed is known again after a change of UIDVALIDITY by what the backend has', async () => {
  await using filter = createServer(async (request, response) => {
    const chunks: Buffer[] = [Buffer.from('X-Checked: yes\r\n')]
    for await (const chunk of request) chunks.push(chunk)
    response.writeHead(200, { 'Content-Type': 'message/rfc822' }).end(Buffer.concat(chunks))
  }).listen(0, '127.0.0.1')
  await once(filter, 'listening')
  const { port } = filter.address() as AddressInfo
  const injection = injectionOf(configOf({ cccp_host: '127.0.0.1', cccp_port: port }), systemClock)
  const both = await bothSides(dovecot, { user: 'user3' })
  for (const subject of ['a', 'b', 'c']) await both.other.append('INBOX', message(subject))
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 3 })
  const inbox = await both.open()
  await inbox.refresh()
  const before = [...inbox.messages].map(({ uid, digest }) => [uid, digest])
  await both.other.logout()
  const maildir = join(dovecot.home('user3'), 'Maildir')
  for (const name of await readdir(maildir)) if (name.startsWith('dovecot')) await rm(join(maildir, name))
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, expungedHere: 0, deletedThere: 0 })
  await inbox.refresh()
  expect([...inbox.messages].map(({ uid, digest }) => [uid, digest])).toEqual(before)
  expect(await both.pass({}, { injection })).toMatchObject({ fetched: 0, sent: 0, expungedHere: 0 })
  await inbox.expunge([inbox.messages.uidAt(1)], 'client')
  expect(await both.pass({}, { injection })).toMatchObject({ deletedThere: 1, fetched: 0 })
})
