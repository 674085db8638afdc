/** UIDs that another server gave: kept where they are free, and free for nobody else. */

import { expect, it } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import type { Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { everySchedule } from './proof/every-schedule.ts'
import { Ledger } from './proof/ledger.ts'
import { interleave, type Work } from './proof/schedule.ts'
import { namesOn, preparedDisk } from './proof/steps.ts'
import { DiskClock, inOneTurn } from './proof/turns.ts'
import { deliver, deliverAll, freshInbox, storeIn, textOf, uid, user } from './support.ts'

const given = { uidValidity: 77, uidNext: uid(100) }
const uidsOf = (mailbox: Mailbox) => Array.from(mailbox.messages, (message) => Number(message.uid))

it('an untouched INBOX takes UIDVALIDITY over, for whoever opens it, and stays as it is when asked again', async () => {
  const { account, inbox, root } = await freshInbox()
  const elsewhere = await storeIn(root).account(user).open('INBOX')
  let news = 0
  elsewhere.onChange(() => (news += 1))
  expect(await account.adoptUids('INBOX', given)).toBe(true)
  // RFC 9051 §2.3.1.1: whoever knows it under the other UIDVALIDITY has to open it again.
  for (const before of [inbox, elsewhere]) await expect(before.refresh()).rejects.toMatchObject({ kind: 'not-found' })
  expect(news).toBe(1)
  const now = await account.open('INBOX')
  expect([now.uidValidity, now.uidNext]).toEqual([77, 1])
  const { highestModSeq } = now
  expect(await account.adoptUids('INBOX', given)).toBe(true)
  await now.refresh()
  expect(now.highestModSeq).toBe(highestModSeq)
})

it('a mailbox that held a message keeps its UIDVALIDITY', async () => {
  const { account, inbox } = await freshInbox()
  await deliver(inbox, 'x')
  await inbox.expunge([uid(1)], 'client')
  const { uidValidity } = inbox
  expect(await account.adoptUids('INBOX', given)).toBe(false)
  await inbox.refresh()
  expect(inbox.uidValidity).toBe(uidValidity)
  expect(await deliver(inbox, 'y')).toEqual({ uid: 2 })
})

it('messages have the UIDs that they come with, in whatever order, and others get none of those', async () => {
  const { account, root } = await freshInbox()
  await account.adoptUids('INBOX', given)
  const inbox = await account.open('INBOX')
  const some = [50, 7, 9].map((value) => ({ text: `${value}`, uid: uid(value) }))
  expect(await deliverAll(inbox, [some[0]!, { text: 'own' }, some[1]!, some[2]!])).toEqual([
    { uid: 50 },
    { uid: 100 },
    { uid: 7 },
    { uid: 9 },
  ])
  for (const value of [7, 9, 50]) expect(await textOf(inbox, value)).toBe(`${value}`)
  // It came too late: others are above it already.
  expect(await deliver(inbox, 'late', { uid: uid(60) })).toEqual({ uid: 101 })
  expect(await deliver(inbox, 'new there', { uid: uid(110) })).toEqual({ uid: 110 })
  const fresh = await storeIn(root).account(user).open('INBOX')
  expect([fresh.uidValidity, uidsOf(fresh)]).toEqual([77, [7, 9, 50, 100, 101, 110]])
})

it('what is kept free stays so in an epoch that begins later', async () => {
  const { account, root } = await freshInbox({ epochEntries: 1 })
  await account.adoptUids('INBOX', given)
  const inbox = await account.open('INBOX')
  for (const value of [3, 4, 5, 6]) expect(await deliver(inbox, 'x', { uid: uid(value) })).toEqual({ uid: value })
  const copied = await inbox.copyTo([uid(3)], inbox)
  expect(copied.pairs).toEqual([[3, 100]])
  const fresh = await storeIn(root).account(user).open('INBOX')
  expect(await deliver(fresh, 'own')).toEqual({ uid: 101 })
})

it('UIDNEXT can be raised, and is never lowered', async () => {
  const { account, inbox, root } = await freshInbox()
  await deliver(inbox, 'x')
  await inbox.raiseUidNext(uid(40))
  await inbox.raiseUidNext(uid(30))
  const fresh = await storeIn(root).account(user).open('INBOX')
  expect([fresh.uidNext, uidsOf(fresh)]).toEqual([40, [1]])
  expect(await deliver(fresh, 'y')).toEqual({ uid: 40 })
  await inbox.raiseUidNext(uid(2 ** 32 - 2))
  expect(await deliver(inbox, 'z', { uid: uid(2 ** 32 - 2) })).toEqual({ uid: 41 })
  expect((await account.status('INBOX')).uidNext).toBe(42)
})

it('numbers that leave none for mail that comes here are refused', async () => {
  const { account } = await freshInbox()
  for (const uidValidity of [0, 1.5, 2 ** 32 - 1])
    await expect(account.adoptUids('INBOX', { ...given, uidValidity })).rejects.toMatchObject({ kind: 'invalid' })
  for (const uidNext of [0, 2 ** 32 - 1])
    await expect(account.adoptUids('INBOX', { ...given, uidNext: uid(uidNext) })).rejects.toMatchObject({
      kind: 'invalid',
    })
  await expect(account.adoptUids('none', given)).rejects.toMatchObject({ kind: 'not-found' })
})

it('of a delivery and a takeover at the same time one is first, with every schedule', async () => {
  await inOneTurn(async () => {
    const disk = new MemoryDisk()
    await using store = storeIn('/s', { fs: disk.fs(), clock: new DiskClock(disk) })
    await store.account(user).ensure()
    await store.close()
    const seen = new Set<string>()
    let told: { uidValidity?: number; uid?: number; adopted?: boolean } = {}
    const adopts: Work = async ({ account, ready, finished }) => {
      await account.open('INBOX')
      await ready()
      told.adopted = await account.adoptUids('INBOX', given)
      await finished()
    }
    const delivers: Work = async ({ account, ready, finished }) => {
      const inbox = await account.open('INBOX')
      await ready()
      try {
        const delivered = await deliver(inbox, 'local')
        if ('uid' in delivered) Object.assign(told, { uid: delivered.uid, uidValidity: inbox.uidValidity })
      } catch (error) {
        if (!(error instanceof StoreError && error.kind === 'not-found')) throw error
      }
      await finished()
    }
    const { complete } = await everySchedule(2, namesOn(disk), 20_000, async (choose) => {
      const copy = disk.clone()
      told = {}
      if (!(await interleave({ disk: copy, works: [adopts, delivers], ledger: new Ledger() }, choose))) return 'repeats'
      await using fresh = storeIn('/s', { fs: copy.fs() })
      const inbox = await fresh.account(user).open('INBOX')
      expect(inbox.uidValidity === 77).toBe(told.adopted)
      if (told.uid === undefined) expect([told.adopted, uidsOf(inbox)]).toEqual([true, []])
      else {
        expect([told.adopted, told.uidValidity, told.uid]).toEqual([false, inbox.uidValidity, 1])
        expect(uidsOf(inbox)).toEqual([1])
      }
      seen.add(told.uid === undefined ? 'takeover' : 'delivery')
      return 'ended'
    })
    expect(complete).toBe(true)
    expect([...seen].sort()).toEqual(['delivery', 'takeover'])
  })
}, 60_000)

it('nobody gets a UID that is kept free, with every schedule', async () => {
  await inOneTurn(async () => {
    const disk = await preparedDisk()
    let order: string[] = []
    let got: number | undefined
    const keeps: Work = async ({ account, ready, finished }) => {
      const { uidValidity } = await account.open('INBOX')
      await ready()
      expect(await account.adoptUids('INBOX', { uidValidity, uidNext: uid(100) })).toBe(true)
      order.push('kept')
      await finished()
    }
    const delivers: Work = async ({ account, ready, finished }) => {
      const inbox = await account.open('INBOX')
      await ready()
      order.push('asked')
      const delivered = await deliver(inbox, 'local')
      got = 'uid' in delivered ? delivered.uid : undefined
      await finished()
    }
    const { complete } = await everySchedule(2, namesOn(disk), 20_000, async (choose) => {
      const copy = disk.clone()
      order = []
      if (!(await interleave({ disk: copy, works: [keeps, delivers], ledger: new Ledger() }, choose))) return 'repeats'
      if (order[0] === 'kept') expect(got).toBe(100)
      else expect([4, 100]).toContain(got)
      return 'ended'
    })
    expect(complete).toBe(true)
  })
}, 60_000)
