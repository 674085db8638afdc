import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliver, deliverAll, storeIn, textOf, uids, user } from './support.ts'
import { until } from './until.ts'

const root = '/s'
const dayMs = 86_400_000

/** Its clock is the disk's; sleeps end when the test says. */
function world(undeleteDays = 7) {
  const disk = new MemoryDisk()
  const sleeping: (() => void)[] = []
  const clock = {
    ...systemClock,
    now: () => disk.now,
    monotonic: () => disk.now,
    sleep: () => new Promise<void>((resolve) => sleeping.push(resolve)),
  }
  const open = async () => {
    const account = storeIn(root, { fs: disk.fs(), clock, undeleteDays: () => undeleteDays }).account(user)
    await account.ensure()
    return { account, inbox: await account.open('INBOX') }
  }
  const wake = () => {
    for (const resume of sleeping.splice(0)) resume()
  }
  const files = () => disk.files().filter((path) => path.includes('/INBOX/msg/')).length
  return { disk, open, wake, files }
}

const texts = (mailbox: Mailbox) => Promise.all([...mailbox.messages].map(({ uid }) => textOf(mailbox, uid)))
const expungedUids = (mailbox: Mailbox) => Array.from(mailbox.expunged(), ({ message }) => message.uid)

describe('an expunged message', () => {
  it('is kept with its cause and time, and comes back with its flags but for \\Deleted', async () => {
    const { disk, open, wake, files } = world()
    const { inbox } = await open()
    await deliverAll(inbox, [
      { text: 'one', flags: ['\\Seen', '\\Deleted', 'work'] },
      { text: 'two' },
      { text: 'three' },
    ])
    await inbox.expunge(uids(1, 3), 'client')
    await inbox.expunge(uids(2), 'window')
    wake()
    expect(Array.from(inbox.expunged(), ({ message, cause, expungedAt }) => [message.uid, cause, expungedAt])).toEqual([
      [1, 'client', Math.floor(disk.now / 1000)],
      [3, 'client', Math.floor(disk.now / 1000)],
      [2, 'window', Math.floor(disk.now / 1000)],
    ])
    expect(files()).toBe(3)
    expect(await inbox.undelete(uids(3, 1))).toEqual({
      uidValidity: inbox.uidValidity,
      pairs: [
        [1, 4],
        [3, 5],
      ],
    })
    expect(await texts(inbox)).toEqual(['one', 'three'])
    expect([...inbox.messages.at(0)!.flags].sort()).toEqual(['\\Seen', 'work'])
    expect(inbox.messages.at(0)!.internalDate).toBe(1_700_000_000)
    expect(expungedUids(inbox)).toEqual([2])
    wake()
    await until(() => files() === 3)
    expect(await texts(inbox)).toEqual(['one', 'three'])
    const others = await open()
    expect(await texts(others.inbox)).toEqual(['one', 'three'])
    expect(expungedUids(others.inbox)).toEqual([2])
  })

  it('comes back as a copy: its origin stays departed', async () => {
    const { inbox } = await world().open()
    await deliver(inbox, 'one', { origin: 'pop://a/u:1', uidl: '1' })
    await inbox.expunge(uids(1), 'client')
    await inbox.undelete(uids(1))
    expect(inbox.messages.at(0)).toMatchObject({ uid: 2, origin: undefined, uidl: undefined })
    expect(inbox.byOrigin('pop://a/u:1')).toMatchObject({ present: false, uid: 1, cause: 'client' })
  })

  it('comes back once, whoever asks for it at the same time', async () => {
    const { open, wake, files } = world()
    const [one, other] = [await open(), await open()]
    await deliverAll(one.inbox, [{ text: 'one' }, { text: 'two' }])
    await one.inbox.expunge(uids(1, 2), 'client')
    await other.inbox.refresh()
    const results = await Promise.all([
      one.inbox.undelete(uids(1, 2)),
      one.inbox.undelete(uids(2)),
      other.inbox.undelete(uids(1, 2)),
    ])
    expect(results.flatMap(({ pairs }) => pairs.map(([source]) => source)).sort()).toEqual([1, 2])
    await one.inbox.refresh()
    expect((await texts(one.inbox)).sort()).toEqual(['one', 'two'])
    wake()
    await until(() => files() === 2)
    expect(await one.inbox.undelete(uids(1, 2, 9))).toMatchObject({ pairs: [] })
  })

  it('comes back once, also when two ask for it in one commit', async () => {
    const disk = new MemoryDisk()
    const go = Promise.withResolvers<void>()
    let held = false
    let isLinking = false
    const fs = disk.fs((call) => {
      if (!held || call.operation !== 'link' || !call.path.includes('/log/')) return undefined
      isLinking = true
      return go.promise
    })
    const account = storeIn(root, { fs }).account(user)
    await account.ensure()
    const inbox = await account.open('INBOX')
    await deliverAll(inbox, [{ text: 'one' }, { text: 'two' }])
    await inbox.expunge(uids(1), 'client')
    held = true
    const modSeq = inbox.highestModSeq
    const before = inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Seen'] })
    await until(() => isLinking)
    const both = [inbox.undelete(uids(1)), inbox.undelete(uids(1))]
    const links = () => disk.files().filter((path) => path.includes('/INBOX/msg/')).length
    await until(() => links() === 4)
    for (let turn = 0; turn < 100; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
    go.resolve()
    await before
    const pairs = (await Promise.all(both)).flatMap((result) => result.pairs)
    expect(pairs).toEqual([[1, 3]])
    expect(inbox.highestModSeq).toBe(modSeq + 2)
    expect(await texts(inbox)).toEqual(['two', 'one'])
  })

  it('goes for good, with its file, when it is older than undelete_days, and not before', async () => {
    const { disk, open, files } = world(7)
    const { inbox } = await open()
    await deliverAll(inbox, [{ text: 'one' }, { text: 'two' }, { text: 'three' }])
    await inbox.expunge(uids(1), 'client')
    disk.now += dayMs
    await inbox.expunge(uids(2), 'client')
    disk.now += 6 * dayMs - 2000
    expect(expungedUids((await open()).inbox)).toEqual([1, 2])
    // An open mailbox looks once an hour, when somebody looks at it.
    disk.now += 3_600_000
    await inbox.refresh()
    await until(() => files() === 2)
    expect(expungedUids(inbox)).toEqual([2])
    expect(await texts(inbox)).toEqual(['three'])
    disk.now += dayMs
    const later = await open()
    await until(() => files() === 1)
    expect(expungedUids(later.inbox)).toEqual([])
  })

  it('goes after a minute with undelete_days 0', async () => {
    const { open, wake, files } = world(0)
    const { inbox } = await open()
    await deliverAll(inbox, [{ text: 'one' }, { text: 'two' }])
    await inbox.expunge(uids(1), 'client')
    expect(files()).toBe(2)
    wake()
    await until(() => files() === 1)
    expect(expungedUids(inbox)).toEqual([])
    expect(await texts(inbox)).toEqual(['two'])
  })

  it('is not kept where it was moved away', async () => {
    const { open, wake, files } = world()
    const { account, inbox } = await open()
    await account.create('Trash')
    await using trash = await account.open('Trash')
    await deliver(inbox, 'one')
    await inbox.moveTo(uids(1), trash)
    wake()
    await until(() => files() === 0)
    expect(expungedUids(inbox)).toEqual([])
    expect(await texts(trash)).toEqual(['one'])
  })

  it('is no left-over to a sweep', async () => {
    const { disk, open, files } = world()
    const first = await open()
    await deliver(first.inbox, 'one')
    await first.inbox.expunge(uids(1), 'client')
    for (let day = 0; day < 3; day += 1) {
      disk.now += dayMs + 1000
      await disk.fs().write(`${first.account.path}/INBOX/tmp/left${day}`, Buffer.from('by a crash'))
      disk.now += dayMs + 1000
      await open()
      await until(() => !disk.files().some((path) => path.endsWith(`left${day}`)))
    }
    expect(files()).toBe(1)
  })

  it('comes back with its mailbox when that was removed', async () => {
    const { open } = world()
    const { account } = await open()
    await account.create('Lists')
    const lists = await account.open('Lists')
    await deliverAll(lists, [{ text: 'one' }, { text: 'two' }])
    await lists.expunge(uids(1), 'client')
    await account.remove('Lists')
    const [removed] = await account.removed()
    await account.restore(removed!.id)
    await using again = await account.open('Lists')
    expect(await again.undelete(uids(1))).toMatchObject({ pairs: [[1, 3]] })
    expect(await texts(again)).toEqual(['two', 'one'])
  })
})

describe('a crash at any call', () => {
  /** Whoever opens after the crash finds both messages, each once, here or to be brought back. */
  async function atEveryCall(work: (inbox: Mailbox, disk: MemoryDisk) => Promise<unknown>, days = 7): Promise<number> {
    for (let calls = 0; ; calls += 1) {
      const { disk, open } = world(days)
      const prepared = await open()
      await deliverAll(prepared.inbox, [{ text: 'one' }, { text: 'two' }, { text: 'stays' }])
      await prepared.inbox.expunge(uids(1, 2), 'client')
      let working = false
      let made = 0
      const stuck = Promise.withResolvers<'stuck'>()
      const fs = disk.fs(() => {
        if (!working || made++ < calls) return undefined
        stuck.resolve('stuck')
        return new Promise(() => {})
      })
      const clock = { ...systemClock, now: () => disk.now }
      const account: Account = storeIn(root, { fs, clock, undeleteDays: () => days }).account(user)
      const inbox = await account.open('INBOX')
      working = true
      const ended = await Promise.race([work(inbox, disk).then(() => 'done'), stuck.promise])
      disk.cutPower(calls % 2 === 0 ? () => 0.9 : () => 0.1)
      const after = (await open()).inbox
      await after.undelete(expungedUids(after).map((uid) => uid))
      expect(expungedUids(after)).toEqual([])
      expect((await texts(after)).sort()).toEqual(['one', 'stays', 'two'])
      if (ended === 'done') return calls
    }
  }

  it('of bringing messages back leaves each of them once', async () => {
    expect(await atEveryCall((inbox) => inbox.undelete(uids(1, 2)))).toBeGreaterThanOrEqual(10)
  })

  it('of a purge leaves no row without its file', async () => {
    for (let calls = 0; ; calls += 1) {
      const { disk, open, files } = world(7)
      const prepared = await open()
      await deliverAll(prepared.inbox, [{ text: 'one' }, { text: 'two' }, { text: 'stays' }])
      await prepared.inbox.expunge(uids(1, 2), 'client')
      disk.now += 8 * dayMs
      let made = 0
      let stopped = false
      const fs = disk.fs(() => {
        if (made++ < calls) return undefined
        stopped = true
        return new Promise(() => {})
      })
      const clock = { ...systemClock, now: () => disk.now }
      void storeIn(root, { fs, clock, undeleteDays: () => 7 })
        .account(user)
        .open('INBOX')
        .catch(() => {})
      await until(() => stopped || files() === 1)
      const done = !stopped
      disk.cutPower(calls % 2 === 0 ? () => 0.9 : () => 0.1)
      const clockBack = { ...systemClock, now: () => disk.now - 8 * dayMs }
      const after = await storeIn(root, { fs: disk.fs(), clock: clockBack }).account(user).open('INBOX')
      const left = expungedUids(after)
      expect([0, 2]).toContain(left.length)
      expect((await after.undelete(left)).pairs).toHaveLength(left.length)
      expect((await texts(after)).sort()).toEqual(left.length === 0 ? ['stays'] : ['one', 'stays', 'two'])
      if (done) return
    }
  })
})
