/** Messages that are there before their octets: docs/decisions/0024-announced-messages.md */

import { readdirSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import { nodeFs } from '#src/store/fs.ts'
import type { Bring, Mailbox } from '#src/store/types.ts'
import { verify } from '#src/store/verify/verify.ts'
import { announce, deliver, deliverAll, freshInbox, storeIn, textOf, uid, uids, user } from './support.ts'

const from = (name: string) => `imap://u@h/7/${name}`
const announced = (name: string, sizeOctets = 4, flags: readonly string[] = []) => ({
  origin: from(name),
  internalDate: 1_600_000_000,
  sizeOctets,
  flags,
})
const rowsOf = (mailbox: Mailbox) =>
  Array.from(mailbox.messages, ({ uid, sizeOctets, internalDate, flags, origin, isHere }) => [
    uid,
    sizeOctets,
    internalDate,
    [...flags].sort().join(' '),
    origin,
    isHere,
  ])

it('announced messages have UID, size, date, flags and origin, and survive a restart and a cut log', async () => {
  const { inbox, store, root, account } = await freshInbox({ epochEntries: 1 })
  await account.adoptUids('INBOX', { uidValidity: 77, uidNext: uid(100) })
  const mailbox = await account.open('INBOX')
  expect(
    await announce(mailbox, [announced('9', 2000), announced('5', 1000, ['\\Seen', 'Work']), announced('5', 1)], {
      givesUids: true,
    }),
  ).toBe(2)
  expect(await announce(mailbox, [announced('9', 1)], { givesUids: true })).toBe(0)
  const rows = [
    [5, 1000, 1_600_000_000, 'Work \\Seen', from('5'), false],
    [9, 2000, 1_600_000_000, '', from('9'), false],
  ]
  expect(rowsOf(mailbox)).toEqual(rows)
  // What is told of the mailbox counts them like any others.
  expect(await account.usage({ recount: true })).toEqual({ messages: 2, octets: 3000 })
  expect(await account.status('INBOX')).toMatchObject({ messages: 2, unseen: 1, sizeOctets: 3000, uidNext: 10 })
  expect([...mailbox.messages.announced()]).toEqual([5, 9])
  for (const flags of ['a', 'b', 'c']) await mailbox.changeFlags({ uids: uids(9), mode: 'add', flags: [flags] })
  await inbox.close()
  await store.close()
  const again = await storeIn(root).account(user).open('INBOX')
  expect(rowsOf(again)).toEqual([rows[0], [9, 2000, 1_600_000_000, 'a b c', from('9'), false]])
})

it('what comes takes its row: UID, flags, MODSEQ and date stay, and the size is its own', async () => {
  const { inbox, root } = await freshInbox()
  await announce(inbox, [announced('1', 3), announced('2', 999)])
  await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Flagged'] })
  const { modSeq } = inbox.byUid(uid(2))!
  expect(
    await deliverAll(inbox, [
      { text: 'second', origin: from('2'), internalDate: 5, flags: ['\\Draft'], uid: uid(50) },
      { text: 'own' },
      { text: 'second again', origin: from('2') },
    ]),
  ).toEqual([{ uid: 2 }, { uid: 3 }, { duplicateOf: { present: true, uid: 2 } }])
  for (const mailbox of [inbox, await storeIn(root).account(user).open('INBOX')]) {
    expect(rowsOf(mailbox)).toEqual([
      [1, 3, 1_600_000_000, '', from('1'), false],
      [2, 6, 1_600_000_000, '\\Flagged', from('2'), true],
      [3, 3, 1_700_000_000, '', undefined, true],
    ])
    expect(mailbox.byUid(uid(2))!.modSeq).toBe(modSeq)
    expect(await textOf(mailbox, 2)).toBe('second')
    expect([...mailbox.messages.announced()]).toEqual([1])
  }
  expect(await deliver(inbox, 'late', { origin: from('2') })).toEqual({ duplicateOf: { present: true, uid: 2 } })
  expect(await textOf(inbox, 2)).toBe('second')
})

it('two processes that bring the same message store it once', async () => {
  const { inbox, root, account } = await freshInbox()
  await announce(inbox, [announced('1')])
  const other = await storeIn(root).account(user).open('INBOX')
  const told = await Promise.all([inbox, other].map((mailbox) => deliver(mailbox, 'text', { origin: from('1') })))
  expect(told).toContainEqual({ uid: 1 })
  expect(told).toContainEqual({ duplicateOf: { present: true, uid: 1 } })
  await inbox.refresh()
  expect(rowsOf(inbox)).toEqual([[1, 4, 1_600_000_000, '', from('1'), true]])
  await vi.waitFor(() => expect(readdirSync(`${account.path}/INBOX/msg`)).toHaveLength(1))
})

it('what is withdrawn was never told of; what came meanwhile stays', async () => {
  const { inbox, root } = await freshInbox()
  await announce(
    inbox,
    ['1', '2', '3', '4'].map((name) => announced(name)),
  )
  await deliver(inbox, 'own')
  const other = await storeIn(root).account(user).open('INBOX')
  // Another process knows it before this one does.
  await deliver(other, 'came', { origin: from('2') })
  expect(await inbox.withdraw(uids(1, 2, 5, 9))).toEqual([1])
  await other.refresh()
  for (const mailbox of [inbox, other]) {
    expect(rowsOf(mailbox).map(([value, , , , , isHere]) => [value, isHere])).toEqual([
      [2, true],
      [3, false],
      [4, false],
      [5, true],
    ])
    expect(await textOf(mailbox, 2)).toBe('came')
    expect(mailbox.byOrigin(from('1'))).toBeUndefined()
  }
  expect(await deliver(inbox, 'late', { origin: from('1') })).toEqual({ uid: 6 })
})

it('an expunged one is not brought back, nor by the message that comes later', async () => {
  const { inbox } = await freshInbox()
  await announce(inbox, [announced('1'), announced('2')])
  await inbox.expunge(uids(1), 'client')
  expect(await deliver(inbox, 'text', { origin: from('1') })).toMatchObject({ duplicateOf: { present: false, uid: 1 } })
  expect((await inbox.undelete(uids(1))).pairs).toEqual([])
  expect(rowsOf(inbox).map(([value]) => value)).toEqual([2])
})

it('reading, copying and moving have it brought, once for all that are missing', async () => {
  const asked: (readonly number[])[] = []
  let target: Mailbox | undefined
  const bring: Bring = async ({ userId, mailbox, uids }) => {
    expect([userId, mailbox]).toEqual([user, 'INBOX'])
    asked.push(uids)
    await deliverAll(
      target!,
      uids.map((value) => ({ text: `Subject: ${value}\r\n\r\n`, origin: from(`${value}`) })),
    )
  }
  const { inbox, root, account } = await freshInbox({ bring })
  // Another process of the store has what is asked for.
  target = await storeIn(root).account(user).open('INBOX')
  await announce(
    inbox,
    ['1', '2', '3', '4', '5'].map((name) => announced(name)),
  )
  const before = inbox.byUid(uid(1))!
  expect(await textOf(inbox, 1)).toBe('Subject: 1\r\n\r\n')
  // Who still has the record of before reads it as well.
  await using content = await inbox.content(before)
  expect(content.sizeOctets).toBe(14)
  expect((await inbox.summary(inbox.byUid(uid(2))!)).root.envelope?.subject?.toString()).toBe('2')
  await account.create('a')
  const a = await account.open('a')
  expect((await inbox.moveTo(uids(1, 2, 3, 4), a)).pairs).toHaveLength(4)
  expect(await textOf(a, 4)).toBe('Subject: 4\r\n\r\n')
  expect(asked).toEqual([[1], [2], [3, 4]])
})

it('where nobody brings it, only what needs its octets fails, as away and with the reason', async () => {
  const reason = new Error('the old server is away')
  const { inbox, account } = await freshInbox({ bring: () => Promise.reject(reason) })
  await announce(inbox, [announced('1'), announced('2')])
  await deliver(inbox, 'here')
  const away = { kind: 'away', cause: reason }
  await expect(inbox.content(inbox.byUid(uid(1))!)).rejects.toMatchObject(away)
  await expect(inbox.summary(inbox.byUid(uid(2))!)).rejects.toMatchObject(away)
  await account.create('a')
  const a = await account.open('a')
  await expect(inbox.copyTo(uids(1, 3), a)).rejects.toMatchObject(away)
  expect(a.messages).toHaveLength(0)
  expect(await textOf(inbox, 3)).toBe('here')
  await expect(announce(inbox, [{ ...announced('9'), sizeOctets: -1 }])).rejects.toBeInstanceOf(StoreError)
})

it('a mailbox of them is removed and restored as it was', async () => {
  const { account } = await freshInbox()
  await account.create('a')
  const a = await account.open('a')
  await announce(a, [announced('1')])
  await account.remove('a')
  const [removed] = await account.removed()
  await account.restore(removed!.id)
  expect(rowsOf(await account.open('a'))).toEqual([[1, 4, 1_600_000_000, '', from('1'), false]])
})

it('thousands in one commit, which come newest first', async () => {
  const { inbox, root } = await freshInbox()
  const before = inbox.highestModSeq
  const names = Array.from({ length: 5000 }, (_, index) => `${index + 1}`)
  await announce(
    inbox,
    names.map((name) => announced(name, Number(name), [`k${Number(name) % 7}`])),
  )
  expect(inbox.highestModSeq).toBe(before + 1)
  await deliverAll(
    inbox,
    names.slice(-300).map((name) => ({ text: `text ${name}`, origin: from(name) })),
  )
  for (const mailbox of [inbox, await storeIn(root).account(user).open('INBOX')]) {
    expect([...mailbox.messages.announced()]).toEqual(names.slice(0, -300).map(Number))
    expect(mailbox.byUid(uid(4321))).toMatchObject({ sizeOctets: 4321, origin: from('4321'), isHere: false })
    expect([...mailbox.byUid(uid(4999))!.flags]).toEqual([`k${4999 % 7}`])
    expect(await textOf(mailbox, 4999)).toBe('text 4999')
  }
})

it('verify tells them apart from lost files, and a rebuilt log has what came', async () => {
  const { inbox, root, store, account } = await freshInbox()
  await announce(
    inbox,
    ['1', '2', '3'].map((name) => announced(name)),
  )
  await deliver(inbox, 'text', { origin: from('2') })
  const log = `${account.path}/INBOX/log`
  await store.close()
  const check = async () => {
    const found: string[] = []
    await verify({
      ...{ fs: nodeFs, clock: systemClock, repair: true, deep: true, roots: [root], onStep: () => {} },
      openStore: () => storeIn(root),
      onFinding: ({ kind, severity, detail }) => found.push(`${severity} ${kind} ${detail ?? ''}`.trim()),
    })
    return found
  }
  expect(await check()).toEqual(['note announced 2 of 3'])
  const [epoch] = readdirSync(log)
  // Of the arrival.
  const entries = readdirSync(`${log}/${epoch}`).filter((name) => /^[0-9]+$/.test(name))
  writeFileSync(`${log}/${epoch}/${entries.sort().at(-1)}`, 'nonsense')
  const again = await storeIn(root).account(user).open('INBOX')
  // What did not come is listed again by whoever pulls: nothing knows its origin any more.
  expect(rowsOf(again)).toMatchObject([[4, 4, 1_600_000_000, '', from('2'), true]])
  expect(again.byOrigin(from('1'))).toBeUndefined()
})
