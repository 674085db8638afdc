import { describe, expect, it } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { StoreOptions } from '#src/store/store.ts'
import type { Store } from '#src/store/types.ts'
import { mulberry32 } from '#test/support/random.ts'
import { type Call, type Gate, MemoryDisk } from './disk.ts'
import { deliver, storeIn, textOf, user } from './support.ts'

const roots = ['/a', '/b', '/c']
/** More than a dead mover's silence. */
const longMs = 3_600_000

const openOn = (disk: MemoryDisk, gate?: Gate, options: Partial<StoreOptions> = {}): Store =>
  storeIn(roots[0]!, { fs: disk.fs(gate), partitions: roots.slice(1), partitionRule: 'first', ...options })

async function emptyDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  for (const root of roots) await disk.fs().makeDirectory(root)
  await disk.fs().syncDirectory('/')
  return disk
}

async function preparedDisk(): Promise<MemoryDisk> {
  const disk = await emptyDisk()
  await using store = openOn(disk)
  const account = store.account(user)
  await account.ensure()
  const inbox = await account.open('INBOX')
  await deliver(inbox, 'first', { origin: 'origin-1' })
  await deliver(inbox, 'L'.repeat(5000))
  await inbox.changeFlags({ uids: [inbox.messages.at(0)!.uid], mode: 'add', flags: ['\\Seen', 'work'] })
  await account.create('lists/node')
  await account.subscribe('lists/node')
  await account.put({ cursor: 7 })
  return disk
}

/** Roots that have the account, as the disk has it. */
const homesOf = (disk: MemoryDisk, userId: UserId = user) =>
  roots.filter((root) => disk.files().some((file) => file.startsWith(`${root}/${userId}/log/`)))

/** Delivers one message; notes it when that was acknowledged. */
async function write(store: Store, text: string, acknowledged: string[]): Promise<void> {
  try {
    await using inbox = await store.account(user).open('INBOX')
    if ('uid' in (await deliver(inbox, text))) acknowledged.push(text)
  } catch (error) {
    if (!(error instanceof StoreError && ['unavailable', 'not-found'].includes(error.kind))) throw error
  }
}

async function textsIn(store: Store): Promise<string[]> {
  await using inbox = await store.account(user).open('INBOX')
  return await Promise.all(Array.from(inbox.messages, ({ uid }) => textOf(inbox, uid)))
}

/** Exactly one account, which has everything that was acknowledged, once, and which works. */
async function expectWhole(disk: MemoryDisk, acknowledged: readonly string[], where: string): Promise<void> {
  await using store = openOn(disk)
  const account = store.account(user)
  await account.ensure()
  expect(homesOf(disk), where).toHaveLength(1)
  const texts = await textsIn(store)
  const tries = new Set(texts)
  expect(texts.length, where).toBe(tries.size)
  for (const text of ['first', 'L'.repeat(5000), ...acknowledged])
    expect(tries.has(text), `${where}: ${text}`).toBe(true)
  expect(await account.subscriptions(), where).toEqual(['lists/node'])
  expect(await account.get('cursor'), where).toBe(7)
  await using inbox = await account.open('INBOX')
  expect([...(inbox.byOrigin('origin-1') ? ['known'] : [])], where).toEqual(['known'])
  expect([...inbox.messages.at(0)!.flags].sort(), where).toEqual(['\\Seen', 'work'])
  const { root } = await account.locate()
  await store.move(user, roots.find((other) => other !== root)!)
  expect(homesOf(disk), where).toHaveLength(1)
  expect((await textsIn(store)).length, where).toBe(texts.length)
}

describe('a move to another root', () => {
  it('keeps UIDs, UIDVALIDITY, MODSEQ, flags, origins, subscriptions and values', async () => {
    const disk = await preparedDisk()
    await using store = openOn(disk)
    const account = store.account(user)
    const state = async () => {
      await using inbox = await account.open('INBOX')
      const { id, uidValidity, uidNext, highestModSeq, recentAfter } = inbox
      const messages = Array.from(inbox.messages, ({ uid, flags, modSeq, internalDate, digest, origin }) => ({
        ...{ uid, flags: [...flags], modSeq, internalDate, digest, origin },
      }))
      const names = (await account.list()).map(({ name }) => name)
      return { ...{ id, uidValidity, uidNext, highestModSeq, recentAfter }, messages, names }
    }
    const before = await state()
    const result = await store.move(user, '/b', { verify: true })
    expect(result).toMatchObject({ from: '/a', to: '/b', damaged: 0 })
    expect(result.files).toBeGreaterThan(5)
    expect(await state()).toEqual(before)
    expect(account.path).toBe(`/b/${user}`)
    expect(disk.files().filter((file) => file.startsWith('/a/') && !file.startsWith('/a/.'))).toEqual([])
    expect(disk.files().filter((file) => file.includes('.places') || file.includes('.gone'))).toEqual([])
  })

  it('makes the log of each mailbox with a lower inode number than its messages', async () => {
    const disk = await preparedDisk()
    await using store = openOn(disk)
    for (const root of ['/b', '/c', '/a', '/c', '/b']) {
      await store.move(user, root)
      for (const name of ['INBOX', 'lists/node']) {
        const inodes = ['log', 'msg'].map(
          async (folder) => (await disk.fs().status(`${root}/${user}/${name}/${folder}`)).inode,
        )
        const [log, msg] = await Promise.all(inodes)
        expect(log, `${name} in ${root}`).toBeLessThan(msg!)
      }
    }
  })

  it('says what is wrong with what it is asked for', async () => {
    await using store = openOn(await preparedDisk())
    await expect(store.move(user, '/d')).rejects.toThrow(
      'which is neither userdir nor one of the partitions (/a, /b, /c)',
    )
    await expect(store.move(user, '/a')).rejects.toMatchObject({ kind: 'already-exists' })
    await expect(store.move('nobody@example.com' as UserId, '/b')).rejects.toMatchObject({ kind: 'not-found' })
  })

  it('ends a session that is open, which then finds everything in the new place', async () => {
    const disk = await preparedDisk()
    await using session = openOn(disk)
    await using inbox = await session.account(user).open('INBOX')
    await using mover = openOn(disk)
    await mover.move(user, '/c')
    await expect(inbox.refresh()).rejects.toMatchObject({ kind: 'not-found' })
    await expect(deliver(inbox, 'late')).rejects.toBeInstanceOf(StoreError)
    expect(await textsIn(session)).toHaveLength(2)
    expect((await session.account(user).list()).map(({ name }) => name)).toEqual(['INBOX', 'lists', 'lists/node'])
  })

  it('while it freezes the account says so, and nobody makes another one', async () => {
    const disk = await preparedDisk()
    const reached = await stopAt(disk, ({ operation, path }) => operation === 'rename' && path.endsWith('/left'))
    expect(reached).toBe(true)
    await using other = openOn(disk)
    const account = other.account(user)
    for (const asked of [
      () => account.ensure(),
      () => account.list(),
      () => account.exists(),
      () => account.open('INBOX'),
      () => account.create('new'),
      () => account.destroy(),
      () => other.move(user, '/c'),
    ])
      await expect(asked()).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('being moved'),
      })
    const all: UserId[] = []
    for await (const userId of other.accounts()) all.push(userId)
    expect(all).toEqual([user])
    // The mover is dead: whoever needs the account puts it back.
    disk.now += longMs
    expect(await textsIn(other)).toHaveLength(2)
    expect(homesOf(disk)).toEqual(['/a'])
  })

  it('that was given up puts the account back at once, and the next one goes on with what was copied', async () => {
    const disk = await preparedDisk()
    await using store = openOn(disk)
    const giveUp = new AbortController()
    const onProgress = ({ phase }: { phase: string }) => phase === 'frozen' && giveUp.abort(new Error('enough'))
    await expect(store.move(user, '/b', { signal: giveUp.signal, waitMs: 1, onProgress })).rejects.toThrow('enough')
    expect(homesOf(disk)).toEqual(['/a'])
    expect(await textsIn(store)).toHaveLength(2)
    expect(await store.move(user, '/b')).toMatchObject({ files: 0 })
    expect(homesOf(disk)).toEqual(['/b'])
  })
})

/** Moves /a to /b and stops for ever before the call that matches. */
async function stopAt(disk: MemoryDisk, matches: (call: Call) => boolean) {
  return await new Promise<boolean>((resolve) => {
    const store = openOn(disk, (call) => {
      if (!matches(call)) return undefined
      resolve(true)
      return new Promise(() => {})
    })
    store.move(user, '/b').then(
      () => resolve(false),
      () => resolve(false),
    )
  })
}

describe('a crash or power cut', () => {
  it('at any call of a move leaves one account with every message that was acknowledged', async () => {
    const prepared = await preparedDisk()
    const calls: string[] = []
    await openOn(prepared.clone(), (call) => void calls.push(`${call.operation} ${call.path}`)).move(user, '/b')
    expect(calls.length).toBeGreaterThan(100)
    for (let at = 0; at < calls.length; at += 1)
      for (const power of [undefined, at % 2 === 0 ? () => 0.9 : () => 0.1]) {
        const disk = prepared.clone()
        const acknowledged: string[] = []
        const writer = openOn(disk)
        await new Promise<void>((resolve, reject) => {
          let count = 0
          const gate: Gate = async () => {
            const now = count++
            if (now > at) return await new Promise<void>(() => {})
            // One session writes in the middle of the move, and right before its end.
            if (now === at >> 1 || now === at) await write(writer, `at ${now}`, acknowledged).catch(reject)
            if (now < at) return
            resolve()
            await new Promise<void>(() => {})
          }
          openOn(disk, gate)
            .move(user, '/b')
            .then(() => resolve(), reject)
        })
        if (power !== undefined) disk.cutPower(power)
        disk.now += longMs
        await expectWhole(disk, acknowledged, `${at} ${calls[at]} ${power?.()}`)
      }
  }, 120_000)

  it('at any call of making an account leaves at most one, wherever others make it', async () => {
    const empty = await emptyDisk()
    const calls: Call[] = []
    await openOn(empty.clone(), (call) => void calls.push(call))
      .account(user)
      .ensure()
    for (let at = 0; at < calls.length; at += 1)
      for (const power of [undefined, at % 2 === 0 ? () => 0.9 : () => 0.1]) {
        const disk = empty.clone()
        await new Promise<void>((resolve, reject) => {
          let left = at
          const gate: Gate = () => {
            if (left-- > 0) return undefined
            resolve()
            return new Promise(() => {})
          }
          openOn(disk, gate, { ownRoot: async () => '/b' })
            .account(user)
            .ensure()
            .then(resolve, reject)
        })
        if (power !== undefined) disk.cutPower(power)
        await using store = openOn(disk, undefined, { ownRoot: async () => '/c' })
        await store.account(user).ensure()
        expect(homesOf(disk), String(at)).toHaveLength(1)
        await using inbox = await store.account(user).open('INBOX')
        expect(await deliver(inbox, 'works')).toEqual({ uid: 1 })
      }
  }, 60_000)
})

/** Lets every call wait for some turns of others. */
const jitter =
  (number: () => number): Gate =>
  async () => {
    for (let turns = Math.floor(number() * 4); turns > 0; turns -= 1)
      await new Promise((resolve) => setImmediate(resolve))
  }

describe('several processes', () => {
  it('that make the same account in different roots make one', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const disk = await emptyDisk()
      const number = mulberry32(seed)
      const stores = roots.map((root) => openOn(disk, jitter(number), { ownRoot: async () => root }))
      await Promise.all(stores.map((store) => store.account(user).ensure()))
      expect(homesOf(disk), `seed ${seed}`).toHaveLength(1)
      for (const store of stores) expect((await store.account(user).list()).map(({ name }) => name)).toEqual(['INBOX'])
    }
  }, 60_000)

  it('that move an account to different roots while others write lose nothing, and one of them wins', async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const disk = await preparedDisk()
      const number = mulberry32(seed)
      const acknowledged: string[] = []
      let moving = true
      const moves = ['/b', '/c', '/b'].map((root) =>
        openOn(disk, jitter(number))
          .move(user, root)
          .then(
            () => 'moved',
            (error: StoreError) => error.kind,
          ),
      )
      const writers = [1, 2].map(async (name) => {
        const store = openOn(disk, jitter(number))
        for (let count = 0; moving || count < 3; count += 1) await write(store, `${name}.${count}`, acknowledged)
      })
      const outcomes = await Promise.all(moves)
      moving = false
      await Promise.all(writers)
      expect(outcomes.filter((outcome) => outcome === 'moved').length, `seed ${seed}: ${outcomes}`).toBeLessThanOrEqual(
        2,
      )
      for (const outcome of outcomes)
        expect(['moved', 'in-use', 'not-found', 'already-exists', 'unavailable'], `seed ${seed}`).toContain(outcome)
      disk.now += longMs
      await expectWhole(disk, acknowledged, `seed ${seed}: ${outcomes}`)
    }
  }, 120_000)
})
