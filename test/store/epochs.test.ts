import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { Mailbox } from '#src/store/types.ts'
import { type Call, MemoryDisk, systemError } from './disk.ts'
import { Ledger } from './proof/ledger.ts'
import { deliver, storeIn, textOf, user } from './support.ts'
import { until } from './until.ts'

const codes = ['ENOSPC', 'EIO', 'EMFILE']
/** Cut often, so that a short history goes over many ends of epochs. */
const epochEntries = 3

/** One process: its open INBOX, and calls that fail when the test says so. */
async function processOn(disk: MemoryDisk, fails: (call: Call) => string | undefined = () => undefined) {
  const gate = (call: Call) => {
    const code = fails(call)
    if (code !== undefined) throw systemError(code, call.path)
    return undefined
  }
  const clock = { ...systemClock, now: () => disk.now }
  const store = storeIn('/s', { fs: disk.fs(gate), epochEntries, clock })
  const account = store.account(user)
  await account.ensure()
  return { account, inbox: await account.open('INBOX') }
}

/** A process that can be put to sleep between the link of an entry and the sync of its folder. */
async function openSlowly(disk: MemoryDisk) {
  let sleep: { reached: () => void; woken: Promise<void> } | undefined
  let linked = false
  const gate = ({ operation, path }: Call) => {
    if (operation === 'link') linked = sleep !== undefined && path.includes('/INBOX/log/')
    else if (linked && operation === 'syncDirectory' && path.includes('/INBOX/log/')) {
      linked = false
      sleep?.reached()
      const { woken } = sleep!
      sleep = undefined
      return woken
    }
    return undefined
  }
  const clock = { ...systemClock, now: () => disk.now }
  const store = storeIn('/s', { fs: disk.fs(gate), epochEntries, clock })
  const account = store.account(user)
  await account.ensure()
  return {
    inbox: await account.open('INBOX'),
    sleepBeforeSync: () => {
      const reached = Promise.withResolvers<void>()
      const woken = Promise.withResolvers<void>()
      sleep = { reached: reached.resolve, woken: woken.promise }
      return { reached: reached.promise, wake: woken.resolve }
    },
  }
}

async function deliverNoted(ledger: Ledger, mailbox: Mailbox, text: string): Promise<void> {
  const delivered = await deliver(mailbox, text)
  if (!('uid' in delivered)) throw new Error('not stored')
  const key = `${mailbox.name}/${mailbox.uidValidity}/${delivered.uid}`
  if (ledger.delivered.has(key)) ledger.faults.push(`${key} was given twice`)
  ledger.delivered.set(key, { text, origin: undefined })
}

const texts = async (mailbox: Mailbox) =>
  await Promise.all([...mailbox.messages].map((message) => textOf(mailbox, message.uid)))

/** What is written for an epoch when the one before is sealed. */
const isFirstEntry = ({ operation, path }: Call) =>
  operation === 'write' && /\/log\/[^/]+\/[^/]+\/[0-9]{12}$/.test(path)

/** The entries of the INBOX, without its bases. */
const entriesOn = (disk: MemoryDisk) => disk.files().filter((path) => /\/INBOX\/log\/[^/]+\/[0-9]{12}$/.test(path))

/** What a client is told of each message. */
const told = ({ messages }: Mailbox) =>
  Array.from(messages, ({ uid, modSeq, sizeOctets, internalDate, flags, digest }) => ({
    uid,
    modSeq,
    sizeOctets,
    internalDate,
    flags: [...flags],
    digest,
  }))

describe('over the ends of epochs', () => {
  /** A commits eight times, B from time to time; A's call number `failing` fails, and only that one. Answers how many calls A made. */
  async function history(disk: MemoryDisk, failing: number, code: string, isTurnOfB: (round: number) => boolean) {
    const ledger = new Ledger()
    let count = -1
    let armed = false
    let failed = ''
    const a = await processOn(disk, ({ operation, path }) => {
      if (!armed) return undefined
      count += 1
      if (count !== failing) return undefined
      failed = `${code} at ${operation} ${path}`
      return code
    })
    const b = await processOn(disk)
    armed = true
    for (let round = 0; round < 8; round += 1) {
      let refused: unknown
      await deliverNoted(ledger, a.inbox, `a ${round}`).catch((error: unknown) => {
        refused = error
      })
      // Refused, with a reason, only where the fault was; and the next attempt goes on.
      if (refused !== undefined) {
        expect(refused, failed).toMatchObject({ kind: 'unavailable' })
        await deliverNoted(ledger, a.inbox, `a ${round} again`)
      }
      if (isTurnOfB(round)) await deliverNoted(ledger, b.inbox, `b ${round}`)
      await b.inbox.refresh()
      await ledger.look(b.inbox)
      await ledger.look(a.inbox)
    }
    armed = false
    await a.inbox.refresh()
    await b.inbox.refresh()
    const fresh = await processOn(disk)
    expect(await texts(a.inbox), failed).toEqual(await texts(fresh.inbox))
    expect(told(b.inbox), failed).toEqual(told(a.inbox))
    expect(await ledger.check(disk), failed).toEqual([])
    return count + 1
  }

  for (const [who, isTurnOfB] of Object.entries({
    'this process': (round: number) => round > 5,
    'the other process': (round: number) => round % 2 === 1,
  }))
    for (const code of codes)
      it(`that ${who} makes, a call that fails with ${code}, whichever it is, forks no log: both go on in one`, async () => {
        const empty = new MemoryDisk()
        await processOn(empty)
        const whole = empty.clone()
        const calls = await history(whole, Number.POSITIVE_INFINITY, code, isTurnOfB)
        expect(whole.files().some((path) => /INBOX\/log\/00000000001[0-9]\./.test(path))).toBe(true)
        expect(calls).toBeGreaterThan(60)
        for (let failing = 0; failing < calls; failing += 1) await history(empty.clone(), failing, code, isTurnOfB)
      })

  it('no space for the next one stops commits with a reason, never readers, and ends with the lack of space', async () => {
    const disk = new MemoryDisk()
    let full = false
    const noSpace = (call: Call) => (full && isFirstEntry(call) ? 'ENOSPC' : undefined)
    const a = await processOn(disk, noSpace)
    const b = await processOn(disk, noSpace)
    full = true
    const stored: string[] = []
    let refused: unknown
    while (refused === undefined && stored.length < 10) {
      const text = `m${stored.length}`
      await deliver(a.inbox, text).then(
        () => stored.push(text),
        (error: unknown) => {
          refused = error
        },
      )
    }
    expect(refused).toBeInstanceOf(StoreError)
    expect(refused).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('ENOSPC') })
    expect(await b.inbox.refresh()).toBe(true)
    expect(await b.inbox.refresh()).toBe(false)
    expect(await texts(b.inbox)).toEqual(stored)
    // A process that comes now can read as well, and nobody has made anything half.
    const late = await processOn(disk, noSpace)
    expect(await texts(late.inbox)).toEqual(stored)
    full = false
    const third = await processOn(disk)
    await deliver(third.inbox, 'third')
    await deliver(b.inbox, 'b')
    await deliver(a.inbox, 'a')
    for (const { inbox } of [a, b, late, third]) {
      await inbox.refresh()
      expect(await texts(inbox)).toEqual([...stored, 'third', 'b', 'a'])
    }
  })
})

describe('the repair of a damaged log', () => {
  const isNotFound = (error: unknown) => error instanceof StoreError && error.kind === 'not-found'

  for (const code of codes)
    it(`a call that fails with ${code}, whichever it is, is no loss: this process and another go on in one log`, async () => {
      let reached = true
      for (let failing = 0; reached; failing += 1) {
        const disk = new MemoryDisk()
        let left = Number.POSITIVE_INFINITY
        let failed = ''
        const a = await processOn(disk, ({ operation, path }) => {
          left -= 1
          if (left !== -1) return undefined
          failed = `${code} at ${operation} ${path}`
          return code
        })
        const b = await processOn(disk)
        for (const text of ['one', 'two']) await deliver(b.inbox, text)
        disk.tamper(entriesOn(disk).at(-2)!, Buffer.from('nonsense'))
        disk.now += 5_000
        left = failing
        // It comes to the damage while it has the mailbox open.
        await expect(a.inbox.refresh()).rejects.toBeInstanceOf(StoreError)
        reached = left < 0
        left = Number.POSITIVE_INFINITY
        await expect(a.inbox.refresh(), failed).rejects.toSatisfy(isNotFound)
        // Its other process stands behind the damage, and learns of the repair when it wants to commit.
        await expect(deliver(b.inbox, 'three'), failed).rejects.toSatisfy(isNotFound)
        const again = await a.account.open('INBOX')
        const other = await b.account.open('INBOX')
        const ledger = new Ledger()
        for (const text of ['a', 'b', 'c', 'd']) {
          await deliverNoted(ledger, again, `a ${text}`)
          await deliverNoted(ledger, other, `b ${text}`)
        }
        await again.refresh()
        expect(told(other), failed).toEqual(told(again))
        // 'three' was refused, but its file was there when what is left was looked for, or when the next repair does.
        const found = (await texts(again)).filter((text) => text !== 'three').sort()
        expect(found, failed).toEqual(['a a', 'a b', 'a c', 'a d', 'b a', 'b b', 'b c', 'b d', 'one', 'two'])
        expect(await ledger.check(disk), failed).toEqual([])
      }
    })

  it('behind a seal begins the epoch that a healthy process would have made', async () => {
    const disk = new MemoryDisk()
    const healthy = await processOn(disk, (call) => (isFirstEntry(call) ? 'ENOSPC' : undefined))
    for (const text of ['1', '2', '3']) await deliver(healthy.inbox, text)
    await until(() => disk.octets(entriesOn(disk).at(-1)!).toString().startsWith('mdir 1 seal '))
    const entries = entriesOn(disk)
    const sealedAt = Number(entries.at(-1)!.slice(-12))
    for (const first of ['healthy', 'repairing']) {
      const copy = disk.clone()
      const open = await processOn(copy)
      const waiting = await processOn(copy)
      copy.tamper(entries[2]!, Buffer.from('nonsense'))
      copy.now += 5_000
      if (first === 'healthy') await deliver(open.inbox, '4')
      const repairing = await processOn(copy)
      if (first === 'repairing') await expect(deliver(open.inbox, '4')).rejects.toSatisfy(isNotFound)
      const epochs = copy.files().flatMap((path) => /INBOX\/log\/([0-9]+)\./.exec(path)?.[1] ?? [])
      expect(Number(epochs.at(-1))).toBe(sealedAt + 1)
      // Nobody goes on with a state that is not the one in that epoch.
      const still = await waiting.inbox.refresh().then(
        () => waiting.inbox,
        () => waiting.account.open('INBOX'),
      )
      await repairing.inbox.refresh()
      expect(still.uidValidity).toBe(repairing.inbox.uidValidity)
      expect(told(still)).toEqual(told(repairing.inbox))
    }
  })

  it('acknowledges what was linked before its epoch was sealed, passed on and removed', async () => {
    const disk = new MemoryDisk()
    const slow = await openSlowly(disk)
    const others = await processOn(disk)
    await deliver(others.inbox, '0')
    await slow.inbox.refresh()
    const sleeping = slow.sleepBeforeSync()
    const delivered = deliver(slow.inbox, 'slow')
    await sleeping.reached
    await others.inbox.refresh()
    for (let n = 1; n < 4 * epochEntries; n++) await deliver(others.inbox, String(n))
    sleeping.wake()
    expect(await delivered).toHaveProperty('uid')
    await slow.inbox.refresh()
    expect((await texts(slow.inbox)).filter((text) => text === 'slow')).toHaveLength(1)
    expect(told(slow.inbox)).toEqual(told(others.inbox))
  })
})

it('epochs that nobody needs stay for a while, for tools that copy the tree, and go an hour later', async () => {
  const disk = new MemoryDisk()
  const clock = { ...systemClock, now: () => disk.now }
  /** Some cuts, which the store waits for when it closes. Answers the starts of the epochs that are there then. */
  const work = async (deliveries: number): Promise<number[]> => {
    await using store = storeIn('/s', { fs: disk.fs(), epochEntries, clock, epochKeepMs: 3_600_000 })
    await store.account(user).ensure()
    await using inbox = await store.account(user).open('INBOX')
    for (let count = 0; count < deliveries; count += 1) {
      await deliver(inbox, 'x')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await store.close()
    const names = (await disk.fs().list(`/s/${user}/INBOX/log`)).map(({ name }) => name)
    return names.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b)
  }
  const kept = await work(30)
  expect(kept.length).toBeGreaterThan(4)
  expect(kept[0]).toBe(1)
  disk.now += 3_599_000
  expect((await work(10)).slice(0, kept.length)).toEqual(kept)
  disk.now += 2000
  const left = await work(10)
  expect(left).not.toContain(1)
  expect(left).not.toContain(kept.at(-2))
  expect(left.length).toBeGreaterThan(2)
})

it('epochs that stayed go when their mailbox, or account, is opened a day later, though nothing changes in it', async () => {
  const disk = new MemoryDisk()
  const clock = { ...systemClock, now: () => disk.now }
  const opened = () => storeIn('/s', { fs: disk.fs(), epochEntries, clock, epochKeepMs: 3_600_000 })
  const epochsOf = async (directory: string) => (await disk.fs().list(`/s/${user}${directory}/log`)).length
  {
    await using store = opened()
    const account = store.account(user)
    await account.ensure()
    await using inbox = await account.open('INBOX')
    for (let count = 0; count < 40; count += 1) {
      await account.put({ count })
      await deliver(inbox, 'x')
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for (const directory of ['', '/INBOX']) expect(await epochsOf(directory)).toBeGreaterThan(3)
  disk.now += 2 * 86_400_000
  await using store = opened()
  await using inbox = await store.account(user).open('INBOX')
  expect(await store.account(user).get('count')).toBe(39)
  expect(inbox.messages).toHaveLength(40)
  for (const directory of ['', '/INBOX']) await vi.waitFor(async () => expect(await epochsOf(directory)).toBe(2))
})
