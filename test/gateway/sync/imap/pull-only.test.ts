import { afterAll, beforeAll, expect, it } from 'vitest'
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { BackendMemory } from '#gateway/sync/imap/memory.ts'
import type { Uid } from '#src/base/ids.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { backendAt, userId } from '../support.ts'
import { bothSides } from './pass-support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({
    users: { one: 'secret', two: 'secret', three: 'secret', four: 'secret' },
    protocols: ['imap'],
  })
})
afterAll(() => dovecot.stop())

const uids = (...values: number[]) => values as Uid[]
const sided = async (user: string) => {
  const both = await bothSides(dovecot, { user })
  const pass: typeof both.pass = (policy, changes) => both.pass({ pullOnly: true, ...policy }, changes)
  return { ...both, pass }
}

it('MIG-03 MIG-04: all mailboxes come with messages, flags, dates and subscriptions', async () => {
  const both = await sided('one')
  const { other, account } = both
  for (const path of ['Sent', 'Ablage/Büro']) await other.mailboxCreate(path)
  await other.mailboxUnsubscribe('Ablage/Büro')
  await other.append('INBOX', message('a'), ['\\Seen', '$Work'], new Date(1_600_000_000_000))
  await other.append('Ablage/Büro', message('b'), ['\\Flagged'])
  expect(await both.pass()).toMatchObject({ mailboxes: 3, fetched: 2, failed: 0 })
  expect(await treeHere(both)).toEqual(await treeThere(both))
  expect((await account.subscriptions()).filter((name) => name !== 'INBOX')).toEqual(['Sent'])
})

it('MIG-07: nothing that happens here reaches the backend, and nothing of it is undone by later passes', async () => {
  const both = await sided('two')
  const { other, account } = both
  for (const path of ['stays', 'removed', 'renamed']) {
    await other.mailboxCreate(path)
    await other.append(path, message(path))
  }
  for (const subject of ['a', 'b', 'c']) await other.append('INBOX', message(subject))
  await both.pass()
  const [treeBefore, listBefore] = [await treeThere(both), await other.list()]
  const inbox = await both.open()
  await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
  await inbox.expunge(uids(2), 'client')
  await put(inbox, message('ours'))
  await account.create('made')
  await account.remove('removed')
  await account.rename('renamed', 'other name')
  await account.unsubscribe('stays')
  const here = await treeHere(both)
  // The backend tells all flags again when others changed there.
  for (const flag of ['\\Answered', '\\Flagged', '\\Draft']) {
    await other.mailboxOpen('INBOX')
    await other.messageFlagsAdd('3', [flag], { uid: true })
    expect(await both.pass()).toMatchObject({ sent: 0, deletedThere: 0, expungedHere: 0, fetched: 0 })
  }
  const after = await treeHere(both)
  expect(after.INBOX!.map(({ flags }) => flags)).toEqual(['\\Seen', '\\Answered \\Draft \\Flagged', ''])
  expect({ ...after, INBOX: [] }).toEqual({ ...here, INBOX: [] })
  expect(await account.subscriptions()).not.toContain('stays')
  expect(Object.keys(after).sort()).toEqual(['INBOX', 'made', 'other name', 'stays'])
  const there = await treeThere(both)
  expect(there.INBOX!.map(({ flags }) => flags)).toEqual(['', '', '\\Answered \\Draft \\Flagged'])
  expect({ ...there, INBOX: [] }).toEqual({ ...treeBefore, INBOX: [] })
  expect((await other.list()).map(({ path, subscribed }) => [path, subscribed])).toEqual(
    listBefore.map(({ path, subscribed }) => [path, subscribed]),
  )
})

it('what is new there comes with a later pass, and what is deleted there goes', async () => {
  const both = await sided('three')
  const { other } = both
  for (const subject of ['a', 'b', 'c']) await other.append('INBOX', message(subject))
  await both.pass()
  await other.mailboxOpen('INBOX')
  await other.messageDelete('2', { uid: true })
  await other.append('INBOX', message('d'))
  expect(await both.pass()).toMatchObject({ fetched: 1, expungedHere: 1 })
  expect(await treeHere(both)).toEqual(await treeThere(both))
})

it('flags that a client set while the first pass was under way stay, although it broke off', async () => {
  const both = await sided('four')
  const { other, account } = both
  for (const subject of ['a', 'b']) await other.append('INBOX', message(subject))
  await both.pass()
  const inbox = await both.open()
  // As a pass leaves it that broke off behind its last message: what it would remember of the mailbox is written at its end.
  const url = backendUrl(backendAt(dovecot.imapPort, { protocol: 'imap', mailbox: '', user: 'four' }), userId)
  await new BackendMemory(account, url).put(new Map([[inbox.id, undefined]]))
  await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
  await both.pass()
  expect((await treeHere(both)).INBOX!.map(({ flags }) => flags)).toEqual(['\\Seen', ''])
})
