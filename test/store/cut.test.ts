import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { AccountState } from '#src/store/account-state.ts'
import { readBase, writeBase } from '#src/store/base-file.ts'
import { DamagedEntry } from '#src/store/change-set.ts'
import { CommitLog } from '#src/store/commit-log.ts'
import { createLog } from '#src/store/epochs.ts'
import { Slots } from '#src/store/slots.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { type Call, type Gate, MemoryDisk } from './disk.ts'
import { Ledger } from './proof/ledger.ts'
import { interleave, type Waiting } from './proof/schedule.ts'
import { delivers, works } from './proof/steps.ts'
import { inOneTurn } from './proof/turns.ts'
import { deliver, deliverAll, storeIn, textOf, uids, user } from './support.ts'
import { until } from './until.ts'

const root = '/s'
/** So few that no process cuts later than another one. */
const epochEntries = 3
const log = `${root}/${user}/INBOX/log`
const isBase = ({ operation, path }: Call, what: Call['operation']) =>
  operation === what && path.startsWith(`${log}/`) && path.endsWith('/base')

const texts = (mailbox: Mailbox) => Promise.all([...mailbox.messages].map(({ uid }) => textOf(mailbox, uid)))
const epochsOn = (disk: MemoryDisk) => [
  ...new Set(disk.files().flatMap((path) => /\/INBOX\/log\/([0-9]{12}\.\w+)\/[0-9]{12}$/.exec(path)?.[1] ?? [])),
]
const startOf = (epoch: string) => Number(epoch.slice(0, 12))

async function openOn(disk: MemoryDisk, gate?: Gate, entries = epochEntries) {
  const clock = { ...systemClock, now: () => disk.now }
  const store = storeIn(root, { fs: disk.fs(gate), epochEntries: entries, clock })
  const account = store.account(user)
  await account.ensure()
  return { store, account, inbox: await account.open('INBOX') }
}

/** What sessions are told. */
const everything = (inbox: Mailbox) => ({
  uidValidity: inbox.uidValidity,
  uidNext: inbox.uidNext,
  highestModSeq: inbox.highestModSeq,
  recentAfter: inbox.recentAfter,
  keywords: [...inbox.keywords].sort(),
  departed: [...inbox.departed()],
  messages: Array.from(inbox.messages, ({ uid, file, flags, modSeq, origin, uidl }) => [
    ...[uid, file, [...flags].sort(), modSeq, origin, uidl],
  ]),
})

/** Holds a call back until it is told to go on. */
function held(matches: (call: Call) => boolean) {
  const reached = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const gate: Gate = (call) => {
    if (!matches(call)) return undefined
    reached.resolve()
    return goOn.promise
  }
  return { gate, reached: reached.promise, goOn: goOn.resolve }
}

describe('a log that is cut', () => {
  it('is cut after a few large change sets as after many small ones: both take time to read', async () => {
    const disk = new MemoryDisk()
    const { inbox, store } = await openOn(disk, undefined, 1000)
    await deliverAll(
      inbox,
      Array.from({ length: 4000 }, (_, n) => ({ text: `${n}`, origin: `pop://lena@pop.example.net/u:${n}` })),
    )
    await store.close()
    expect(epochsOn(disk)).toHaveLength(2)
    expect([...(await openOn(disk)).inbox.messages]).toHaveLength(4000)
  })

  it('is cut after a few change sets that concern the whole mailbox: each takes time to make again', async () => {
    const disk = new MemoryDisk()
    const { inbox, store } = await openOn(disk, undefined, 1000)
    await deliverAll(
      inbox,
      Array.from({ length: 1000 }, (_, n) => ({ text: `${n}` })),
    )
    const all = Array.from(inbox.messages, ({ uid }) => uid)
    expect(all).toHaveLength(1000)
    for (let turn = 0; turn < 45; turn += 1)
      await inbox.changeFlags({ uids: all, mode: turn % 2 === 0 ? 'add' : 'remove', flags: ['\\Seen'] })
    await store.close()
    expect(epochsOn(disk)).toHaveLength(2)
    expect(Array.from((await openOn(disk)).inbox.messages, ({ uid }) => uid)).toEqual(all)
  })

  it('takes commits of all processes while its base is written, and tells them behind it', async () => {
    const disk = new MemoryDisk()
    const writing = held((call) => isBase(call, 'finish'))
    const other = await openOn(disk, undefined, 1000)
    const { inbox, store } = await openOn(disk, writing.gate)
    for (let n = 1; n <= epochEntries; n += 1) await deliver(inbox, `${n}`)
    await writing.reached
    const number = inbox.highestModSeq
    await deliver(inbox, 'own')
    await deliver(other.inbox, 'of another')
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
    expect(epochsOn(disk)).toHaveLength(1)
    writing.goOn()
    await until(() => epochsOn(disk).length === 2)
    await store.close()
    const [old, next] = epochsOn(disk) as [string, string]
    const first = disk
      .octets(`${log}/${next}/${next.slice(0, 12)}`)
      .toString()
      .split('\n')
    // A head line, the base, three change sets of an operation, and the checksum.
    expect(first.slice(1, 2)).toEqual([`["base",${number}]`])
    expect(first.filter((line) => line.startsWith('["entry"'))).toEqual(
      [1, 2, 3].map((after) => `["entry",${number + after}]`),
    )
    // Without what went before, a process that comes new sees the same.
    await other.inbox.refresh()
    for (const path of disk.files()) if (path.startsWith(`${log}/${old}/`)) disk.tamper(path, undefined)
    const fresh = await openOn(disk)
    expect(everything(fresh.inbox)).toEqual(everything(other.inbox))
    expect(await texts(fresh.inbox)).toEqual(['1', '2', '3', 'own', 'of another'])
  })

  it('is what it was before, whatever came while the base was written', async () => {
    const step = fc.nat(1000)
    const work = async ({ inbox }: { inbox: Mailbox }, step: number) => {
      const all = Array.from(inbox.messages, ({ uid }) => uid)
      const some = all.filter((_, index) => (step >> (index % 7)) % 2 === 0)
      if (step % 5 === 0) await inbox.expunge(some, step % 2 === 0 ? 'client' : 'backend')
      else if (step % 5 === 1)
        await inbox.changeFlags({
          uids: some,
          mode: (['add', 'remove', 'set'] as const)[step % 3]!,
          flags: ['\\Seen', `k${step % 4}`],
        })
      else if (step % 5 === 2) await inbox.claimRecent()
      else await deliver(inbox, `${step}`, step % 2 === 0 ? { origin: `o-${step % 11}`, uidl: `${step % 3}` } : {})
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: epochEntries, maxLength: 12 }),
        fc.array(step, { maxLength: 12 }),
        async (before, during) => {
          const disk = new MemoryDisk()
          const writing = held((call) => isBase(call, 'finish'))
          const open = await openOn(disk, writing.gate)
          for (const one of before) await work(open, one)
          for (let n: number = open.inbox.highestModSeq; n <= epochEntries; n += 1) await deliver(open.inbox, 'more')
          await writing.reached
          for (const one of during) await work(open, one)
          writing.goOn()
          await open.store.close()
          const last = epochsOn(disk).at(-1)!
          expect(startOf(last)).toBeGreaterThan(1)
          for (const path of disk.files())
            if (path.startsWith(log) && !path.startsWith(`${log}/${last}/`)) disk.tamper(path, undefined)
          const fresh = await openOn(disk, undefined, 1000)
          await open.inbox.refresh()
          expect(everything(fresh.inbox)).toEqual(everything(open.inbox))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('loses nothing by a crash or power cut at any call of it', async () => {
    const prepared = new MemoryDisk()
    const { inbox: before } = await openOn(prepared, undefined, 1000)
    for (let n = 1; n <= epochEntries; n += 1) await deliver(before, `${n}`)
    const acknowledged = ['1', '2', '3']
    const counted: Call[] = []
    const cut = async (disk: MemoryDisk, gate: Gate, acknowledge: (text: string) => void) => {
      const { inbox, store } = await openOn(disk, gate)
      // Long enough to remove the first epoch: what is left depends on the bases.
      for (const text of ['4', '5', '6', '7', '8', '9']) {
        await deliver(inbox, text)
        acknowledge(text)
      }
      await store.close()
    }
    await cut(
      prepared.clone(),
      (call) => void counted.push(call),
      () => {},
    )
    // Summaries are written when there is time, also behind all of these.
    const calls = [...counted]
    expect(calls.some(({ operation, path }) => operation === 'rename' && path.startsWith(`${log}/`))).toBe(true)
    for (let at = 0; at < calls.length; at += 1)
      for (const power of [undefined, () => 0.9, () => 0.1, () => 0.49]) {
        const disk = prepared.clone()
        const stored = [...acknowledged]
        const reached = Promise.withResolvers<void>()
        let count = 0
        const gate: Gate = () => {
          count += 1
          if (count <= at) return undefined
          reached.resolve()
          return new Promise(() => {})
        }
        const over = cut(disk, gate, (text) => stored.push(text)).catch(() => {})
        // Those of a summary come earlier or later.
        await Promise.race([reached.promise, over])
        if (power !== undefined) disk.cutPower(power)
        const where = `${calls[at]!.operation} ${calls[at]!.path}`
        const { inbox } = await openOn(disk)
        const found = await texts(inbox)
        expect(found.slice(0, stored.length), where).toEqual(stored)
        expect(inbox.uidValidity, where).toBe(before.uidValidity)
        // And it goes on, over this end of an epoch and the next one.
        for (let n = 1; n <= 2 * epochEntries; n += 1) await deliver(inbox, `later ${n}`)
        const { inbox: fresh } = await openOn(disk)
        expect(await texts(fresh), where).toEqual([
          ...found,
          ...Array.from({ length: 2 * epochEntries }, (_, n) => `later ${n + 1}`),
        ])
      }
  })

  it('by two processes at once goes on in one epoch, whichever is first at what', async () => {
    const prepared = new MemoryDisk()
    {
      const { inbox } = await openOn(prepared, undefined, 1000)
      for (let n = 1; n <= epochEntries; n += 1) await deliver(inbox, `${n}`)
    }
    let both = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { minLength: 20, maxLength: 80 }), async (choices) => {
        const disk = prepared.clone()
        const ledger = new Ledger()
        let bases = 0
        const work = works(['a', 'b', 'c'].map((text) => delivers(text)))
        let at = 0
        const choose = (waiting: readonly Waiting[]) => {
          const next = choices[at++ % choices.length]! % waiting.length
          if (isBase(waiting[next]!.call, 'create')) bases += 1
          return next
        }
        await inOneTurn(() => interleave({ disk, works: [work, work], ledger, store: { epochEntries } }, choose))
        if (bases > 1) both += 1
        expect(await ledger.check(disk)).toEqual([])
        expect(epochsOn(disk).length).toBeGreaterThan(1)
      }),
      { numRuns: 200 },
    )
    expect(both).toBeGreaterThan(20)
  })

  it('is left alone by who finds, with a base at hand, that another process was first', async () => {
    const disk = new MemoryDisk()
    const writing = held((call) => isBase(call, 'finish'))
    const other = await openOn(disk, undefined, 5)
    const { inbox, store } = await openOn(disk, writing.gate)
    for (let n = 1; n <= epochEntries; n += 1) await deliver(inbox, `${n}`)
    await writing.reached
    for (let n = 0; epochsOn(disk).length === 1; n += 1) await deliver(other.inbox, `other ${n}`)
    await other.store.close()
    const epochs = epochsOn(disk)
    await inbox.refresh()
    writing.goOn()
    await store.close()
    expect(epochsOn(disk)).toEqual(epochs)
    expect(disk.files().filter((path) => path.endsWith('/base') && path.startsWith(log))).toHaveLength(2)
  })

  it('is cut by the time the store is closed', async () => {
    const disk = new MemoryDisk()
    const { inbox, store } = await openOn(disk)
    for (let n = 1; n <= epochEntries; n += 1) await deliver(inbox, `${n}`)
    await store.close()
    expect(epochsOn(disk).map(startOf)).toEqual([1, inbox.highestModSeq])
    expect(disk.files().filter((path) => path.includes('/INBOX/tmp/'))).toEqual([`${root}/${user}/INBOX/tmp/swept`])
  })
})

describe('a damaged base', () => {
  it('is known by any octet that is another one or missing', async () => {
    const disk = new MemoryDisk()
    const fs = disk.fs()
    const image = Buffer.from(Array.from({ length: 300 }, (_, at) => at % 251))
    expect(await writeBase(fs, '/base', 901, [image.subarray(0, 7), image.subarray(7)], async () => true)).toBe(true)
    expect(await readBase(fs, '/base', 901)).toEqual(image)
    const octets = disk.octets('/base')
    for (let at = 0; at < octets.length; at += 1) {
      disk.tamper('/base', Buffer.from(octets.map((octet, index) => (index === at ? octet ^ 1 : octet))))
      await expect(readBase(fs, '/base', 901), `octet ${at}`).rejects.toThrow(DamagedEntry)
      disk.tamper('/base', octets.subarray(0, at))
      await expect(readBase(fs, '/base', 901), `${at} octets`).rejects.toThrow(DamagedEntry)
    }
  })

  const harms: Record<string, (octets: Buffer) => Buffer | undefined> = {
    garbled: (octets) => Buffer.from(octets.map((octet, at) => (at === 100 ? octet ^ 1 : octet))),
    'garbled in its head': (octets) => Buffer.from(octets.map((octet, at) => (at === 12 ? octet ^ 1 : octet))),
    truncated: (octets) => octets.subarray(0, octets.length / 2),
    'cut off before its last line': (octets) => octets.subarray(0, octets.lastIndexOf('\noctets')),
    empty: () => Buffer.alloc(0),
    missing: () => undefined,
  }
  for (const [kind, harm] of Object.entries(harms))
    it(`(${kind}) costs nothing while the epoch before is there`, async () => {
      const disk = new MemoryDisk()
      const { inbox, store } = await openOn(disk)
      for (let n = 1; n <= epochEntries; n += 1) await deliver(inbox, `${n}`, { origin: `o-${n}` })
      await store.close()
      await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Flagged'] })
      const last = epochsOn(disk).at(-1)!
      expect(startOf(last)).toBeGreaterThan(1)
      disk.tamper(`${log}/${last}/base`, harm(disk.octets(`${log}/${last}/base`)))
      disk.now += 5_000
      const fresh = await openOn(disk)
      expect(everything(fresh.inbox)).toEqual(everything(inbox))
      for (let n = 1; n <= 2 * epochEntries; n += 1) await deliver(fresh.inbox, `later ${n}`)
      await fresh.store.close()
      expect(await texts((await openOn(disk)).inbox)).toHaveLength(3 * epochEntries)
    })

  it('of another number is refused like damage, one of a later version with a reason', async () => {
    const { crc32 } = await import('node:zlib')
    const again = (octets: Buffer, from: string, to: string) => {
      const body = Buffer.from(octets.toString('latin1').replace(from, to), 'latin1').subarray(
        0,
        -'crc32 12345678\n'.length,
      )
      return Buffer.concat([body, Buffer.from(`crc32 ${crc32(body).toString(16).padStart(8, '0')}\n`)])
    }
    for (const [to, outcome] of [
      ['mdir 1 base 2', undefined],
      ['mdir 2 base 1', { kind: 'unavailable', message: expect.stringContaining('later version') }],
    ] as const) {
      const disk = new MemoryDisk()
      const { inbox } = await openOn(disk)
      await deliver(inbox, 'kept')
      const base = `${log}/${epochsOn(disk)[0]}/base`
      disk.tamper(base, again(disk.octets(base), 'mdir 1 base 1', to))
      disk.now += 5_000
      const opened = openOn(disk).then((one) => one.inbox)
      if (outcome !== undefined) await expect(opened).rejects.toMatchObject(outcome)
      else {
        expect((await opened).uidValidity).toBeGreaterThan(inbox.uidValidity)
        expect(await texts(await opened)).toEqual(['kept'])
      }
    }
  })
})

describe('an entry that was taken away', () => {
  it('is noticed by whoever opens the mailbox, though later ones are there', async () => {
    for (const missing of [3, 4, 5]) {
      const disk = new MemoryDisk()
      const { inbox } = await openOn(disk, undefined, 1000)
      for (const text of ['a', 'b', 'c', 'd', 'e']) await deliver(inbox, text)
      const entry = disk.files().filter((path) => /\/INBOX\/log\/[^/]+\/[0-9]{12}$/.test(path))[missing - 1]!
      disk.tamper(entry, undefined)
      disk.now += 5_000
      const fresh = await openOn(disk)
      expect((await texts(fresh.inbox)).sort(), entry).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(fresh.inbox.uidValidity).toBeGreaterThan(inbox.uidValidity)
      // Who stood behind it is told.
      await expect(deliver(inbox, 'f')).rejects.toMatchObject({ kind: 'not-found' })
    }
  })

  it('is not seen where commits come while the folder is listed', async () => {
    const disk = new MemoryDisk()
    const { inbox } = await openOn(disk, undefined, 1000)
    await deliver(inbox, 'a')
    let committing = true
    const slow = await openOn(disk, async ({ operation, path }) => {
      if (operation !== 'list' || !/\/INBOX\/log\/[0-9]/.test(path) || !committing) return
      committing = false
      for (const text of ['b', 'c', 'd']) await deliver(inbox, text)
    })
    expect(slow.inbox.uidValidity).toBe(inbox.uidValidity)
    await slow.inbox.refresh()
    expect(await texts(slow.inbox)).toEqual(['a', 'b', 'c', 'd'])
  })
})

it('a commit into an account that moves away at that moment is not acknowledged', async () => {
  const disk = new MemoryDisk()
  const away = `${root}/.moved-1`
  let armed = false
  const { inbox, account } = await openOn(disk, async ({ operation, path }) => {
    if (!armed || operation !== 'syncDirectory' || !path.startsWith(`${log}/`)) return
    armed = false
    await disk.fs().rename(`${root}/${user}`, away)
  })
  await deliver(inbox, 'before')
  armed = true
  await expect(deliver(inbox, 'meanwhile')).rejects.toMatchObject({ kind: 'unavailable' })
  expect(armed).toBe(false)
  const refused = async (attempt: Promise<unknown>) => {
    const kind = await attempt.then(
      () => 'done',
      (error: { kind?: string }) => error.kind,
    )
    expect(['not-found', 'unavailable']).toContain(kind)
  }
  await refused(deliver(inbox, 'after'))
  await refused(inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] }))
  await refused(inbox.refresh())
  await refused(subscribe(account))
})

const subscribe = (account: Account) => account.subscribe('x')

describe('a log that begins at a given number', () => {
  const context = (disk: MemoryDisk) => {
    const fs = disk.fs()
    const closing = new AbortController().signal
    const rest = { clock: systemClock, log: silentLog, slots: new Slots(1, 1), closing }
    return { fs, ...rest, epochEntries: 2, cutSpread: 1, cuts: new Map<string, Promise<void>>() }
  }

  it('goes on from there', async () => {
    const disk = new MemoryDisk()
    const shared = context(disk)
    for (const path of ['/l', '/l/tmp']) await shared.fs.makeDirectory(path)
    await createLog(shared.fs, '/l', new AccountState(systemClock), 900_000_000_000)
    const opened = () => new CommitLog(shared as never, 'account', '/l', () => new AccountState(systemClock))
    const first = opened()
    await first.open()
    expect(first.number).toBe(900_000_000_000)
    for (const name of ['a', 'b', 'c', 'd'])
      await first.commit({ plan: () => [['subscribe', name]], done: () => undefined })
    await Promise.all(shared.cuts.values())
    const second = opened()
    await second.open()
    expect([...second.state.subscriptions]).toEqual(['a', 'b', 'c', 'd'])
    expect(second.number).toBe(first.number)
    expect(disk.files().some((path) => /^\/l\/log\/90000000000[2-9]\./.test(path))).toBe(true)
  })

  it('can not begin where numbers have no name', async () => {
    const { fs } = context(new MemoryDisk())
    for (const start of [0, -1, 1.5, Number.NaN, 10 ** 12])
      await expect(createLog(fs, '/l', new AccountState(systemClock), start)).rejects.toMatchObject({ kind: 'invalid' })
  })
})
