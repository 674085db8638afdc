import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Summarizer } from '#src/mime/summary.ts'
import { deliverShared, share } from './actions.ts'
import { type Gate, MemoryDisk, systemError } from './disk.ts'
import { deliver, deliverAll, storeIn, textOf, uid, uids, user } from './support.ts'
import { until } from './until.ts'

const large = 300_000
/** Of one process. */
const writesAtOnce = 64

/** An INBOX, and another mailbox, on a simulated disk whose calls pass `gate`, once there is one. */
async function inboxBehind() {
  const disk = new MemoryDisk()
  const here: { gate: Gate } = { gate: () => undefined }
  const store = storeIn('/s', { fs: disk.fs((call) => here.gate(call)) })
  const account = store.account(user)
  await account.ensure()
  await account.create('other')
  return { disk, here, inbox: await account.open('INBOX'), other: await account.open('other') }
}

describe('messages on their way', () => {
  it('do not hold their sender back for the disk, but the commit for every file', async () => {
    const { disk, here, inbox } = await inboxBehind()
    const synced = Promise.withResolvers<void>()
    here.gate = ({ operation }) => (operation === 'finish' || operation === 'write' ? synced.promise : undefined)
    await using delivery = inbox.deliver()
    for (const text of ['a'.repeat(large), 'small', 'b'.repeat(large), '']) {
      const sink = delivery.add({ internalDate: 1 })
      expect(sink.write(Buffer.from(text))).toBeUndefined()
      expect(sink.end()).toBeUndefined()
    }
    let committed = false
    const commit = delivery.commit().then(() => {
      committed = true
    })
    await inbox.refresh()
    expect(committed).toBe(false)
    expect(inbox.messages).toHaveLength(0)
    synced.resolve()
    await commit
    const texts = await Promise.all([...inbox.messages].map(({ uid }) => textOf(inbox, uid)))
    expect(texts).toEqual(['a'.repeat(large), 'small', 'b'.repeat(large), ''])
    expect(disk.files().filter((path) => path.includes('/msg/'))).toHaveLength(4)
  })

  it.each(['push', 'end'] as const)('are kept whatever can not be made of them (%s)', async (method) => {
    const { inbox } = await inboxBehind()
    const failing = vi.spyOn(Summarizer.prototype, method).mockImplementation(() => {
      throw new RangeError('a defect')
    })
    onTestFinished(() => failing.mockRestore())
    await deliverAll(inbox, [{ text: 'Subject: small\r\n\r\n' }, { text: 'x'.repeat(large) }])
    failing.mockRestore()
    expect(await textOf(inbox, uid(2))).toBe('x'.repeat(large))
    expect((await inbox.summary(inbox.byUid(uid(1))!)).root.envelope?.subject).toBe('small')
  })

  it('hold up no other change while they wait for their turn at the disk', async () => {
    const { here, inbox, other } = await inboxBehind()
    await deliver(inbox, 'here')
    const free = Promise.withResolvers<void>()
    let writing = 0
    here.gate = ({ operation, path }) => {
      if (operation !== 'finish' || !path.includes('/other/msg/')) return undefined
      writing += 1
      return free.promise
    }
    const many = deliverAll(
      other,
      Array.from({ length: writesAtOnce }, () => ({ text: 'x' })),
    )
    await until(() => writing === writesAtOnce)
    const delivered = deliver(inbox, 'waits')
    await inbox.refresh()
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
    expect([...inbox.byUid(uid(1))!.flags]).toEqual(['\\Seen'])
    free.resolve()
    expect(await delivered).toEqual({ uid: 2 })
    expect(await many).toHaveLength(writesAtOnce)
  })

  for (const [what, operation, place] of [
    ['octets', 'finish', '/INBOX/msg/'],
    ['names', 'syncDirectory', '/INBOX/msg'],
  ] as const)
    it(`fail alone when their ${what} do not become durable: what is committed beside them is`, async () => {
      const { here, inbox } = await inboxBehind()
      await deliver(inbox, 'here')
      const go = Promise.withResolvers<void>()
      let isLinking = false
      let isNamed = false
      let isHurt = false
      here.gate = (call) => {
        if (call.operation === 'link' && !isLinking) {
          isLinking = true
          return go.promise
        }
        isNamed ||= call.operation === 'write' && call.path.includes('/INBOX/msg/')
        if (call.operation !== operation || !call.path.includes(place)) return undefined
        isHurt = true
        return Promise.reject(systemError('EIO'))
      }
      const change = (flag: string) => inbox.changeFlags({ uids: uids(1), mode: 'add', flags: [flag] })
      const before = change('\\Seen')
      await until(() => isLinking)
      const modSeq = inbox.highestModSeq
      const refused = expect(deliver(inbox, 'hurt')).rejects.toMatchObject({ kind: 'unavailable' })
      await until(() => isNamed)
      const beside = change('\\Flagged')
      go.resolve()
      await Promise.all([before, beside, refused])
      expect(isHurt).toBe(true)
      expect(inbox.highestModSeq).toBe(modSeq + 2)
      expect(Array.from(inbox.messages, ({ uid, flags }) => [uid, [...flags].sort()])).toEqual([
        [1, ['\\Flagged', '\\Seen']],
      ])
    })

  it('take no file for their own that was there', async () => {
    const store = storeIn('/s', { fs: new MemoryDisk().fs() })
    const account = store.account(user)
    await account.ensure()
    const inbox = await account.open('INBOX')
    for (const octets of [5, 5_000]) {
      await using shared = await share(store, 'x'.repeat(octets))
      expect(await deliverShared(inbox, shared, `${octets}`)).toHaveProperty('uid')
      expect(await deliverShared(inbox, shared, `${octets}`)).toHaveProperty('repeatOf')
    }
    expect(await Promise.all([...inbox.messages].map(({ uid }) => textOf(inbox, uid)))).toEqual([
      'x'.repeat(5),
      'x'.repeat(5_000),
    ])
  })

  it('close the file that they are read from once, however often they are disposed', async () => {
    const fs = new MemoryDisk().fs()
    let closed = 0
    const open = async (path: string) => {
      const file = await fs.open(path)
      const close = async () => {
        closed += 1
        await file.close()
      }
      return { sizeOctets: file.sizeOctets, read: file.read.bind(file), close }
    }
    const store = storeIn('/s', { fs: { ...fs, open } })
    await store.account(user).ensure()
    closed = 0
    const shared = await share(store, 'x'.repeat(5_000))
    expect((await shared.read(0, 2)).toString()).toBe('xx')
    for (let times = 0; times < 2; times++) await shared[Symbol.asyncDispose]()
    expect(closed).toBe(1)
  })

  it('hold their sender back once 16 MiB wait for the disk, until they are written', async () => {
    const { here, inbox } = await inboxBehind()
    const free = Promise.withResolvers<void>()
    here.gate = ({ operation }) => (operation === 'write chunk' ? free.promise : undefined)
    await using delivery = inbox.deliver()
    const sink = delivery.add({ internalDate: 1 })
    const chunk = Buffer.alloc(65_536, 'x')
    let room: undefined | void | Promise<void>
    let taken = 0
    for (; room === undefined && taken < 1000; taken++) room = sink.write(chunk)
    expect(taken).toBe((16 * 1_048_576) / chunk.length)
    free.resolve()
    await room
    await sink.end()
    await delivery.commit()
    expect(inbox.messages.at(0)!.sizeOctets).toBe(16 * 1_048_576)
  })

  it('come whole out of pieces of any size', async () => {
    const { inbox } = await inboxBehind()
    await using delivery = inbox.deliver()
    const sink = delivery.add({ internalDate: 1 })
    const octets = Buffer.from(Array.from({ length: large }, (_, index) => index % 251))
    const sizes = [1, 2, 511, 512, 513, 1, 1, 4096, 3]
    for (let at = 0, turn = 0; at < octets.length; turn++) {
      const size = at > 200_000 && at < 280_000 ? 1 : sizes[turn % sizes.length]!
      await sink.write(octets.subarray(at, at + size))
      at += size
    }
    await sink.end()
    await delivery.commit()
    expect(await textOf(inbox, 1)).toBe(octets.toString('latin1'))
  })

  it('tell a full disk to whoever goes on writing', async () => {
    const { here, inbox } = await inboxBehind()
    const reached = Promise.withResolvers<void>()
    here.gate = ({ operation, path }) => {
      if (operation !== 'write chunk') return undefined
      reached.resolve()
      return Promise.reject(systemError('ENOSPC', path))
    }
    await using delivery = inbox.deliver()
    const sink = delivery.add({ internalDate: 1 })
    await sink.write(Buffer.alloc(large))
    await reached.promise
    await expect(
      (async () => {
        for (;;) {
          await sink.write(Buffer.alloc(1000))
          await inbox.refresh()
        }
      })(),
    ).rejects.toMatchObject({ kind: 'unavailable' })
  })

  it('leave the others alone when one could not be written and was taken back', async () => {
    const { here, inbox } = await inboxBehind()
    await using delivery = inbox.deliver()
    here.gate = ({ operation }) => (operation === 'create' ? Promise.reject(systemError('EIO')) : undefined)
    const broken = delivery.add({ internalDate: 1 })
    await broken.write(Buffer.alloc(large))
    await broken.abort()
    here.gate = () => undefined
    const good = delivery.add({ internalDate: 1 })
    good.write(Buffer.from('good'))
    good.end()
    expect(await delivery.commit()).toEqual([{ aborted: true }, { uid: 1 }])
    expect(await textOf(inbox, inbox.messages.at(0)!.uid)).toBe('good')
  })
})
