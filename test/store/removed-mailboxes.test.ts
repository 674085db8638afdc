import { describe, expect, it } from 'vitest'
import type { Account, Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliver, deliverAll, storeIn, textOf, uids, user } from './support.ts'
import { until } from './until.ts'

const root = '/s'
const dayMs = 86_400_000

async function accountOn(disk: MemoryDisk, undeleteDays = 7): Promise<Account> {
  const account = storeIn(root, { fs: disk.fs(), undeleteDays: () => undeleteDays }).account(user)
  await account.ensure()
  return account
}

/** A mailbox 'Lists' with three messages, of which UID 2 is \Seen; UID 4 was expunged. */
async function withLists(undeleteDays?: number): Promise<{ disk: MemoryDisk; account: Account }> {
  const disk = new MemoryDisk()
  const account = await accountOn(disk, undeleteDays)
  await account.create('Lists')
  await using lists = await account.open('Lists')
  await deliverAll(lists, [{ text: 'one' }, { text: 'two' }, { text: 'three' }, { text: 'gone' }])
  await lists.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Seen', 'kept'] })
  await lists.expunge(uids(4), 'client')
  return { disk, account }
}

const names = async (account: Account) => (await account.list()).map(({ name }) => name)
const texts = (mailbox: Mailbox) => Promise.all([...mailbox.messages].map(({ uid }) => textOf(mailbox, uid)))
const filesUnder = (disk: MemoryDisk, part: string) => disk.files().filter((path) => path.includes(part))

async function expectLists(account: Account, name = 'Lists') {
  await using lists = await account.open(name)
  expect(await texts(lists)).toEqual(['one', 'two', 'three'])
  expect([...lists.messages].map(({ uid, flags }) => [uid, [...flags]])).toEqual([
    [1, []],
    [2, ['\\Seen', 'kept']],
    [3, []],
  ])
}

describe('a removed mailbox', () => {
  it('is listed, and comes back as it was, to the UIDVALIDITY', async () => {
    const { account } = await withLists()
    const before = await account.status('Lists')
    await account.remove('Lists')
    expect(await names(account)).toEqual(['INBOX'])
    const [removed, ...more] = await account.removed()
    expect(more).toEqual([])
    expect(removed).toMatchObject({ name: 'Lists', messages: 3, sizeOctets: 11 })
    expect(await account.restore(removed!.id)).toBe('Lists')
    expect(await account.status('Lists')).toEqual(before)
    await expectLists(account)
    expect(await account.removed()).toEqual([])
    await using lists = await account.open('Lists')
    expect(await deliver(lists, 'five')).toEqual({ uid: 5 })
  })

  it('leaves alone what was made under its name meanwhile, and comes back beside it', async () => {
    const { account } = await withLists()
    await account.remove('Lists')
    await account.create('Lists')
    await deliver(await account.open('Lists'), 'another')
    const [removed] = await account.removed()
    expect(await account.restore(removed!.id)).toBe('Lists (restored)')
    await expectLists(account, 'Lists (restored)')
    expect(await texts(await account.open('Lists'))).toEqual(['another'])
    await account.remove('Lists (restored)')
    await account.create('Lists (restored)')
    const [again] = await account.removed()
    expect(await account.restore(again!.id)).toBe('Lists (restored) (restored)')
  })

  it('keeps its children where they are', async () => {
    const { account } = await withLists()
    await account.create('Lists/node')
    await deliver(await account.open('Lists/node'), 'child')
    await account.remove('Lists')
    expect(await texts(await account.open('Lists/node'))).toEqual(['child'])
    const [removed] = await account.removed()
    expect(await account.restore(removed!.id)).toBe('Lists')
    await expectLists(account)
    expect(await texts(await account.open('Lists/node'))).toEqual(['child'])
  })

  it('goes for good when it is older than undelete_days, and not before', async () => {
    const { disk, account } = await withLists(7)
    await account.remove('Lists')
    disk.now += 7 * dayMs - 1000
    await (await accountOn(disk)).get('x')
    expect(await account.removed()).toHaveLength(1)
    disk.now += 2000
    await (await accountOn(disk)).get('x')
    await until(() => filesUnder(disk, '/.removed/').length === 0)
    expect(await account.removed()).toEqual([])
    expect(filesUnder(disk, '/msg/')).toEqual([])
  })

  it('goes at once with undelete_days 0', async () => {
    const { disk, account } = await withLists(0)
    await account.remove('Lists')
    expect(await account.removed()).toEqual([])
    expect(filesUnder(disk, '/.removed/')).toEqual([])
    expect(filesUnder(disk, '/msg/')).toEqual([])
  })

  it('goes with its account', async () => {
    const { disk, account } = await withLists()
    await account.remove('Lists')
    await account.destroy()
    expect(disk.files()).toEqual([])
  })

  it('is restored by one of two that try', async () => {
    const { disk, account } = await withLists()
    await account.remove('Lists')
    const other = await accountOn(disk)
    const [removed] = await account.removed()
    const tries = await Promise.allSettled([account.restore(removed!.id), other.restore(removed!.id)])
    expect(tries.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = tries.find(({ status }) => status === 'rejected') as PromiseRejectedResult
    expect(refused.reason).toMatchObject({ kind: 'not-found' })
    await expectLists(account)
  })

  it('is no path out of its account', async () => {
    const { account } = await withLists()
    await expect(account.restore('../lists')).rejects.toMatchObject({ kind: 'not-found' })
    await expectLists(account)
  })
})

describe('a crash at any call', () => {
  /** The process ends before its nth call, then the power goes. Checks what is left, for every n. */
  async function atEveryCall(
    prepare: () => Promise<MemoryDisk>,
    work: (account: Account) => Promise<unknown>,
    check: (account: Account) => Promise<void>,
  ): Promise<number> {
    const prepared = await prepare()
    for (let calls = 0; ; calls += 1) {
      const disk = prepared.clone()
      let working = false
      let made = 0
      const stuck = Promise.withResolvers<'stuck'>()
      const fs = disk.fs(() => {
        if (!working || made++ < calls) return undefined
        stuck.resolve('stuck')
        return new Promise(() => {})
      })
      const account = storeIn(root, { fs }).account(user)
      await account.get('x')
      working = true
      const ended = await Promise.race([work(account).then(() => 'done'), stuck.promise])
      disk.cutPower(calls % 2 === 0 ? () => 0.9 : () => 0.1)
      await check(await accountOn(disk))
      if (ended === 'done') return calls
    }
  }

  /** With what was expunged before. */
  const expectAll = async (account: Account, name = 'Lists') => {
    await expectLists(account, name)
    await using lists = await account.open(name)
    expect(await lists.undelete(uids(4))).toMatchObject({ pairs: [[4, 5]] })
    expect(await textOf(lists, 5)).toBe('gone')
  }

  const comesBack = async (account: Account) => {
    const all = await names(account)
    const removed = await account.removed()
    if (all.includes('Lists')) {
      expect(removed).toEqual([])
      return await expectAll(account)
    }
    expect(removed.map(({ name, messages }) => [name, messages])).toEqual([['Lists', 3]])
    await expectAll(account, await account.restore(removed[0]!.id))
  }

  it('of a removal leaves the mailbox, or all of it to be brought back', async () => {
    const calls = await atEveryCall(
      async () => (await withLists()).disk,
      (account) => account.remove('Lists'),
      comesBack,
    )
    expect(calls).toBeGreaterThan(20)
  })

  it('of a removal keeps its files apart from those of a mailbox made afterwards', async () => {
    await atEveryCall(
      async () => (await withLists()).disk,
      (account) => account.remove('Lists'),
      async (account) => {
        if ((await names(account)).includes('Lists')) return
        await account.create('Lists')
        await deliver(await account.open('Lists'), 'another')
        const [removed] = await account.removed()
        await expectLists(account, await account.restore(removed!.id))
        expect(await texts(await account.open('Lists'))).toEqual(['another'])
      },
    )
  })

  it('of a restoration leaves it removed, or all of it there', async () => {
    const calls = await atEveryCall(
      async () => {
        const { disk, account } = await withLists()
        await account.remove('Lists')
        return disk
      },
      async (account) => {
        const [removed] = await account.removed()
        await account.restore(removed!.id)
      },
      comesBack,
    )
    expect(calls).toBeGreaterThan(20)
  })

  it('of a restoration under another name loses nothing', async () => {
    await atEveryCall(
      async () => {
        const { disk, account } = await withLists()
        await account.remove('Lists')
        await account.create('Lists')
        return disk
      },
      async (account) => {
        const [removed] = await account.removed()
        await account.restore(removed!.id)
      },
      async (account) => {
        const [removed] = await account.removed()
        // The name that it was to have may be taken by now.
        if (removed !== undefined) await account.create('Lists (restored)')
        const name = removed === undefined ? 'Lists (restored)' : await account.restore(removed.id)
        expect(name).toBe(removed === undefined ? 'Lists (restored)' : 'Lists (restored 2)')
        await expectAll(account, name)
      },
    )
  })
})
