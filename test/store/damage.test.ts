import { truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliver, deliverAll, freshInbox, storeIn, textOf, uids, user } from './support.ts'

/** UIDVALIDITY counts seconds where nothing better is left: some have passed when damage is found. */
const nextDay = { ...systemClock, now: () => Date.now() + 86_400_000 }
const long = `long-${'x'.repeat(400)}`

const logFiles = (disk: MemoryDisk) => disk.files().filter((path) => path.includes('/INBOX/log/'))
/** Without the base. */
const entries = (disk: MemoryDisk) => logFiles(disk).filter((path) => /\/[0-9]{12}$/.test(path))

async function preparedDisk() {
  const disk = new MemoryDisk()
  await using store = storeIn('/s', { fs: disk.fs() })
  const account = store.account(user)
  await account.ensure()
  await account.subscribe('kept')
  const inbox = await account.open('INBOX')
  await deliverAll(inbox, [
    { text: 'one', origin: 'o-1', uidl: 'o-1' },
    { text: 'two', origin: long },
  ])
  await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
  await deliver(inbox, 'three', { origin: 'o-3' })
  await inbox.expunge(uids(3), 'client')
  await deliver(inbox, 'four')
  return { disk, log: logFiles(disk), last: entries(disk).at(-1)!, uidValidity: inbox.uidValidity }
}

async function withInbox(disk: MemoryDisk, work: (inbox: Mailbox) => Promise<void>) {
  await using store = storeIn('/s', { fs: disk.fs(), clock: nextDay })
  await work(await store.account(user).open('INBOX'))
}

const texts = async (mailbox: Mailbox) =>
  (await Promise.all([...mailbox.messages].map((message) => textOf(mailbox, message.uid)))).sort()

describe('damage (invariant 9)', () => {
  for (const [kind, harm] of Object.entries({
    garbled: (octets: Buffer) => Buffer.from(octets.map((octet, at) => (at === 30 ? octet ^ 1 : octet))),
    truncated: (octets: Buffer) => octets.subarray(0, octets.length / 2),
    empty: () => Buffer.alloc(0),
  }))
    it(`of any one file of the log (${kind}) costs no message, and clients are told by a new UIDVALIDITY`, async () => {
      const { disk, log, uidValidity } = await preparedDisk()
      for (const path of log) {
        const hurt = disk.clone()
        hurt.tamper(path, harm(hurt.octets(path)))
        await withInbox(hurt, async (inbox) => {
          expect(await texts(inbox), path).toEqual(expect.arrayContaining(['four', 'one', 'two']))
          expect(inbox.uidValidity).toBeGreaterThan(uidValidity)
          // Known or departed, no origin is fetched again, even one of which only the hash is in the file name.
          for (const origin of ['o-1', long, 'o-3']) expect(inbox.byOrigin(origin), origin).toBeDefined()
          expect(await deliver(inbox, 'again', { origin: long })).toHaveProperty('duplicateOf')
          expect(await deliver(inbox, 'five')).toHaveProperty('uid')
        })
        await withInbox(hurt, async (inbox) => expect(await texts(inbox)).toContain('five'))
      }
    })

  it('of the whole log costs flags and UIDs, not messages', async () => {
    const { disk, log, uidValidity } = await preparedDisk()
    for (const path of log) disk.tamper(path, undefined)
    await withInbox(disk, async (inbox) => {
      expect(await texts(inbox)).toEqual(['four', 'one', 'three', 'two'])
      expect(inbox.uidValidity).toBeGreaterThan(uidValidity)
      expect(inbox.byOrigin('o-1')).toMatchObject({ present: true })
      expect(inbox.byOrigin(long)).toMatchObject({ present: true })
      expect([...inbox.messages].find((message) => message.origin === 'o-1')!.internalDate).toBe(1_700_000_000)
    })
  })

  it('found by a process that has the mailbox open is repaired once; who had it open is told to open it again', async () => {
    const { disk, log, uidValidity } = await preparedDisk()
    await using one = storeIn('/s', { fs: disk.fs(), clock: nextDay })
    await using two = storeIn('/s', { fs: disk.fs(), clock: nextDay })
    const first = await one.account(user).open('INBOX')
    const second = await two.account(user).open('INBOX')
    await deliver(first, 'five')
    const last = entries(disk).at(-1)!
    expect(log).not.toContain(last)
    disk.tamper(last, Buffer.from('nonsense'))
    const again: Mailbox[] = []
    for (const [store, open] of [
      [two, second],
      [one, first],
    ] as const) {
      let told = 0
      open.onChange(() => {
        told += 1
      })
      const { messages, highestModSeq } = open
      const gone = { kind: 'not-found', message: expect.stringContaining('open it again') }
      await expect(open.refresh()).rejects.toMatchObject(gone)
      expect(told).toBe(1)
      // UIDs that mean another message now can't be used, and what the session knows doesn't change under it.
      await expect(open.expunge(uids(4), 'client')).rejects.toMatchObject(gone)
      await expect(open.changeFlags({ uids: uids(4), mode: 'add', flags: ['\\Seen'] })).rejects.toMatchObject(gone)
      await expect(open.claimRecent()).rejects.toMatchObject(gone)
      await expect(deliver(open, 'six')).rejects.toMatchObject(gone)
      expect([open.uidValidity, open.highestModSeq, open.messages]).toEqual([uidValidity, highestModSeq, messages])
      again.push(await store.account(user).open('INBOX'))
    }
    const [theirs, ours] = again as [Mailbox, Mailbox]
    expect(ours.uidValidity).toBeGreaterThan(uidValidity)
    expect(await texts(ours)).toContain('five')
    expect(await deliver(ours, 'seven')).toHaveProperty('uid')
    await theirs.refresh()
    expect([theirs.uidValidity, theirs.messages]).toEqual([ours.uidValidity, ours.messages])
  })

  it('of one entry lets no later one mean another message', async () => {
    const disk = new MemoryDisk()
    {
      await using store = storeIn('/s', { fs: disk.fs() })
      await store.account(user).ensure()
      const inbox = await store.account(user).open('INBOX')
      for (const text of ['a', 'b', 'c', 'd']) await deliver(inbox, text, { origin: `o-${text}` })
      await inbox.changeFlags({ uids: uids(4), mode: 'add', flags: ['\\Flagged'] })
      await inbox.expunge(uids(2), 'client')
    }
    const log = logFiles(disk)
    const expected: Record<string, unknown> = {}
    for (const [index, path] of log.entries()) {
      const hurt = disk.clone()
      hurt.tamper(path, Buffer.from('nonsense'))
      await withInbox(hurt, async (inbox) => {
        const flagged = [...inbox.messages].filter(({ flags }) => flags.has('\\Flagged')).map(({ origin }) => origin)
        const departed = [...inbox.departed()].map(([origin, { cause }]) => `${origin} ${cause}`)
        expected[index] = [await texts(inbox), flagged, departed]
      })
    }
    const all = ['a', 'b', 'c', 'd']
    const [left, flagged, gone] = [['a', 'c', 'd'], ['o-d'], ['o-b client']]
    expect(expected).toEqual({
      // The empty mailbox.
      0: [left, flagged, gone],
      1: [left, flagged, gone],
      // Of b itself: its expunge names what is not known, so it stays.
      2: [all, flagged, []],
      3: [left, flagged, gone],
      // Of d: what was flagged is not known.
      4: [left, [], gone],
      5: [left, [], gone],
      // The expunge itself.
      6: [all, flagged, []],
      // The base, which is the empty mailbox as well.
      7: [left, flagged, gone],
    })
  })

  it('brings back a message whose origin left once before', async () => {
    const disk = new MemoryDisk()
    {
      await using store = storeIn('/s', { fs: disk.fs() })
      await store.account(user).ensure()
      const inbox = await store.account(user).open('INBOX')
      await deliver(inbox, 'before', { origin: 'o' })
      await inbox.expunge(uids(1), 'client')
      await inbox.forget(['o'])
      await deliver(inbox, 'after', { origin: 'o' })
    }
    for (const lost of entries(disk).slice(-2)) {
      const hurt = disk.clone()
      hurt.tamper(lost, Buffer.alloc(0))
      await withInbox(hurt, async (inbox) => {
        expect(await texts(inbox)).toEqual(['after'])
        expect(inbox.byOrigin('o')).toMatchObject({ present: true })
      })
    }
  })

  it('leaves out messages whose expunge was lost and whose file is gone', async () => {
    const { disk, last } = await preparedDisk()
    const gone = disk.files().find((path) => path.includes('/INBOX/msg/') && path.includes('O=o-1,'))!
    disk.tamper(gone, undefined)
    disk.tamper(last, Buffer.alloc(0))
    await withInbox(disk, async (inbox) => {
      expect(await texts(inbox)).toEqual(['four', 'two'])
      expect(inbox.byOrigin('o-1')).toBeUndefined()
    })
  })

  it('an origin of which only the hash is left is recorded when somebody comes with it', async () => {
    const { disk, log } = await preparedDisk()
    for (const path of log) disk.tamper(path, undefined)
    const other = `${long}-2`
    await withInbox(disk, async (inbox) => {
      expect([...inbox.messages].map(({ origin }) => origin)).not.toContain(long)
      expect(await deliver(inbox, 'two', { origin: long, uidl: 'x'.repeat(9) })).toMatchObject({
        duplicateOf: { present: true },
      })
      expect(await deliver(inbox, 'of another origin', { origin: other })).toHaveProperty('uid')
    })
    await withInbox(disk, async (inbox) => {
      const two = [...inbox.messages].find(({ origin }) => origin === long)!
      expect(await textOf(inbox, two.uid)).toBe('two')
      expect(two.uidl).toBe('x'.repeat(9))
      await inbox.expunge([two.uid], 'client')
    })
    await withInbox(disk, async (inbox) =>
      expect([...inbox.departed()]).toMatchObject([[long, { present: false, cause: 'client' }]]),
    )
  })

  it('an origin of which only the hash is left when its message goes is told once somebody comes with it', async () => {
    for (const come of [
      (inbox: Mailbox) => deliver(inbox, 'two', { origin: long }),
      async (inbox: Mailbox) => inbox.byOrigin(long),
    ]) {
      const { disk, log } = await preparedDisk()
      for (const path of log) disk.tamper(path, undefined)
      await withInbox(disk, async (inbox) => {
        const hashed = [...inbox.messages].find(({ file }) => file.includes('O=^'))!
        await inbox.expunge([hashed.uid], 'client')
        expect([...inbox.departed()]).toEqual([])
      })
      await withInbox(disk, async (inbox) => {
        await come(inbox)
        // The commit that goes on behind it.
        await inbox.changeFlags({ uids: [...inbox.messages].map(({ uid }) => uid), mode: 'add', flags: ['\\Seen'] })
        expect(inbox.byOrigin(long)).toMatchObject({ present: false, cause: 'client' })
      })
      await withInbox(disk, async (inbox) => {
        expect([...inbox.departed()]).toMatchObject([[long, { cause: 'client' }]])
        expect(await deliver(inbox, 'two', { origin: long })).toMatchObject({ duplicateOf: { present: false } })
        await inbox.forget([long])
        expect(await deliver(inbox, 'two', { origin: long })).toHaveProperty('uid')
      })
    }
  })

  it('of the account log keeps what can be read', async () => {
    const { disk } = await preparedDisk()
    await using store = storeIn('/s', { fs: disk.fs() })
    await store.account(user).put({ last: 1 })
    const last = disk
      .files()
      .filter((path) => /\/s\/[^/]+\/log\/[^/]+\/[0-9]{12}$/.test(path))
      .at(-1)!
    disk.tamper(last, Buffer.alloc(0))
    await using other = storeIn('/s', { fs: disk.fs() })
    expect(await other.account(user).subscriptions()).toEqual(['kept'])
    await other.account(user).create('new')
    expect((await other.account(user).status('INBOX')).messages).toBe(3)
  })

  it('of a message file fails that message with a clear error, and no other', async () => {
    const { inbox, account } = await freshInbox()
    await deliverAll(inbox, [{ text: 'good' }, { text: 'short' }, { text: 'missing' }, { text: 'gone' }])
    const path = (value: number) => `${account.path}/INBOX/msg/${inbox.messages.at(value - 1)!.file}`
    truncateSync(path(2), 2)
    unlinkSync(path(3))
    const damaged = { kind: 'damaged' }
    await expect(inbox.content(inbox.messages.at(1)!)).rejects.toMatchObject(damaged)
    await expect(inbox.part(inbox.messages.at(1)!, 0, 1)).rejects.toMatchObject(damaged)
    await expect(inbox.content(inbox.messages.at(2)!)).rejects.toMatchObject(damaged)
    const expunged = inbox.messages.at(3)!
    await inbox.expunge(uids(4), 'client')
    unlinkSync(`${account.path}/INBOX/msg/${expunged.file}`)
    await expect(inbox.content(expunged)).rejects.toMatchObject({ kind: 'expunged' })
    expect(await textOf(inbox, 1)).toBe('good')
  })

  it('is not seen in an entry of a later version: it is refused', async () => {
    const { disk, last } = await preparedDisk()
    disk.tamper(last, Buffer.from(disk.octets(last).toString().replace('mdir 1', 'mdir 2')))
    // The head is part of the checksum, so a changed version alone is damage; with its own checksum it is a version.
    const { crc32 } = await import('node:zlib')
    const body = disk.octets(last).subarray(0, -15)
    disk.tamper(last, Buffer.concat([body, Buffer.from(`crc32 ${crc32(body).toString(16).padStart(8, '0')}\n`)]))
    await expect(withInbox(disk, async () => {})).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('later version'),
    })
  })
})

describe('the summary cache', () => {
  const message = 'Subject: first\r\nFrom: a@example.com\r\n\r\nbody\r\n'

  it('answers without the message file, over a restart and in another process', async () => {
    const { inbox, account, root, store } = await freshInbox()
    await deliver(inbox, message)
    const summary = await inbox.summary(inbox.messages.at(0)!)
    expect(summary.root.envelope?.subject).toBe('first')
    await store.close()
    await using other = storeIn(root)
    const again = await other.account(user).open('INBOX')
    unlinkSync(`${account.path}/INBOX/msg/${again.messages.at(0)!.file}`)
    expect(JSON.stringify(await again.summary(again.messages.at(0)!))).toBe(JSON.stringify(summary))
  })

  it('may be damaged or deleted at any time (invariant 8)', async () => {
    const { inbox, account, root, store } = await freshInbox()
    await deliverAll(
      inbox,
      Array.from({ length: 300 }, (_, index) => ({ text: message.replace('first', `number ${index}`) })),
    )
    for (const record of inbox.messages) await inbox.summary(record)
    await store.close()
    const path = `${account.path}/INBOX/cache/summaries-2.1`
    for (const harm of [
      () => unlinkSync(path),
      () => truncateSync(path, 12_345),
      () => writeFileSync(path, Buffer.alloc(50_000, 'x\n')),
    ]) {
      harm()
      await using other = storeIn(root)
      const again = await other.account(user).open('INBOX')
      for (const [index, record] of [...again.messages].entries())
        expect((await again.summary(record)).root.envelope?.subject).toBe(`number ${index}`)
    }
  })
})
