import { describe, expect, it } from 'vitest'
import type { Account, Mailbox } from '#src/store/types.ts'
import { type Call, type Gate, MemoryDisk } from './disk.ts'
import { deliver, deliverAll, storeIn, textOf, uids, user } from './support.ts'
import { until } from './until.ts'

const root = '/s'
/** Nothing survives that was not synced. */
const keepNothing = () => 0.9
/** More commits than most of these tests make, and fewer than the others prepare. */
const epochEntries = 20

async function withInbox(disk: MemoryDisk, work: (inbox: Mailbox, account: Account) => Promise<void>, gate?: Gate) {
  const store = storeIn(root, { fs: disk.fs(gate), epochEntries })
  const account = store.account(user)
  await work(await account.open('INBOX'), account)
}

async function preparedDisk(tail = 0): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await using store = storeIn(root, { fs: disk.fs() })
  const account = store.account(user)
  await account.ensure()
  const inbox = await account.open('INBOX')
  await deliver(inbox, 'first')
  for (let at: number = inbox.highestModSeq; at < tail; at += 1)
    await inbox.changeFlags({ uids: uids(1), mode: at % 2 === 0 ? 'add' : 'remove', flags: ['\\Flagged'] })
  return disk
}

/** Holds back one call for ever. */
function stuckAt(matches: (call: Call) => boolean): { readonly gate: Gate; readonly reached: Promise<void> } {
  let reach = () => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const gate: Gate = (call) => {
    if (!matches(call)) return undefined
    reach()
    return new Promise(() => {})
  }
  return { gate, reached }
}

const texts = (mailbox: Mailbox) => Promise.all([...mailbox.messages].map((message) => textOf(mailbox, message.uid)))

describe('a power cut', () => {
  it('takes no message that came along with a commit whose race was lost', async () => {
    const disk = await preparedDisk()
    const go = Promise.withResolvers<void>()
    let isLinking = false
    const gate: Gate = (call) => {
      if (call.operation !== 'link' || isLinking) return undefined
      isLinking = true
      return go.promise
    }
    await withInbox(
      disk,
      async (inbox) => {
        const first = deliver(inbox, 'lost the race')
        await until(() => isLinking)
        await withInbox(disk, (other) => deliver(other, 'won the race').then(() => {}))
        const second = deliver(inbox, 'came along')
        await until(() => disk.files().filter((path) => path.includes('/INBOX/msg/')).length === 4)
        const modSeq = inbox.highestModSeq
        go.resolve()
        await Promise.all([first, second])
        expect(inbox.highestModSeq).toBe(modSeq + 2)
        disk.cutPower(keepNothing)
      },
      gate,
    )
    await withInbox(disk, async (inbox) => {
      expect(await texts(inbox)).toEqual(['first', 'won the race', 'lost the race', 'came along'])
    })
  })

  it('takes nothing that was acknowledged (invariant 1)', async () => {
    const disk = await preparedDisk()
    await withInbox(disk, async (inbox, account) => {
      await deliverAll(inbox, [{ text: 'second' }, { text: 'L'.repeat(300_000) }])
      await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Seen'] })
      await account.create('a/b')
      const target = await account.open('a/b')
      await inbox.copyTo(uids(1, 2), target)
      await inbox.moveTo(uids(3), target)
      await account.rename('a/b', 'c/d')
      await account.subscribe('c/d')
      disk.cutPower(keepNothing)
    })
    await withInbox(disk, async (inbox, account) => {
      expect(await texts(inbox)).toEqual(['first', 'second'])
      expect([...inbox.messages.at(1)!.flags]).toEqual(['\\Seen'])
      expect((await texts(await account.open('c/d'))).map((text) => text.length)).toEqual([5, 6, 300_000])
      expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX', 'c', 'c/d'])
      expect(await account.subscriptions()).toEqual(['c/d'])
    })
  })

  it('takes nothing that a reader was shown while its writer had not synced it (invariant 1)', async () => {
    const disk = await preparedDisk()
    const { gate, reached } = stuckAt(
      (call) => call.operation === 'syncDirectory' && /INBOX\/log\/[0-9]+\./.test(call.path),
    )
    await withInbox(disk, async (reader) => {
      const store = storeIn(root, { fs: disk.fs() })
      await store.account(user).open('INBOX')
      let committing = false
      const writer = storeIn(root, { fs: disk.fs((call) => (committing ? gate(call) : undefined)) })
      const inbox = await writer.account(user).open('INBOX')
      committing = true
      void deliver(inbox, 'second').catch(() => {})
      await reached
      expect(await reader.refresh()).toBe(true)
      expect(await texts(reader)).toEqual(['first', 'second'])
      disk.cutPower(keepNothing)
    })
    await withInbox(disk, async (inbox) => expect(await texts(inbox)).toEqual(['first', 'second']))
  })

  it('takes nothing that was committed in a new epoch', async () => {
    const disk = await preparedDisk(40)
    await withInbox(disk, async (inbox) => {
      await deliver(inbox, 'second')
      await until(() => inbox.highestModSeq === 43)
      await deliver(inbox, 'third')
      expect(disk.files().some((path) => path.includes('/log/000000000043.'))).toBe(true)
      disk.cutPower(keepNothing)
    })
    await withInbox(disk, async (inbox) => expect(await texts(inbox)).toEqual(['first', 'second', 'third']))
  })

  it('takes nothing that is built on an epoch whose maker had not synced it', async () => {
    const disk = await preparedDisk(40)
    const { gate, reached } = stuckAt((call) => call.operation === 'syncDirectory' && call.path.endsWith('INBOX/log'))
    const opened = storeIn(root, { fs: disk.fs((call) => (ready ? gate(call) : undefined)), epochEntries })
    let ready = false
    const inbox = await opened.account(user).open('INBOX')
    ready = true
    void deliver(inbox, 'second').catch(() => {})
    await reached
    await withInbox(disk, async (other) => {
      expect(await deliver(other, 'third')).toEqual({ uid: 3 })
      disk.cutPower(keepNothing)
    })
    await withInbox(disk, async (after) => expect(await texts(after)).toEqual(['first', 'second', 'third']))
  })
})

describe('a crash', () => {
  const operations: Record<string, (inbox: Mailbox, account: Account) => Promise<unknown>> = {
    'MOVE (a duplicate, never a hole)': async (inbox, account) => inbox.moveTo(uids(1), await account.open('a/b')),
    'RENAME of a tree': (_, account) => account.rename('a', 'z'),
    'RENAME of INBOX': (_, account) => account.rename('INBOX', 'old'),
    DELETE: (_, account) => account.remove('x'),
    CREATE: (_, account) => account.create('n/e/w'),
  }
  for (const [name, operation] of Object.entries(operations))
    it(`at any call of ${name} leaves every message somewhere, and the account usable`, async () => {
      const disk = await preparedDisk()
      await withInbox(disk, async (_, account) => {
        for (const mailbox of ['a/b', 'x']) await account.create(mailbox)
        await deliver(await account.open('a/b'), 'deep')
      })
      const calls: Call[] = []
      const counted = disk.clone()
      await withInbox(
        counted,
        async (inbox, account) => void (await operation(inbox, account)),
        (call) => {
          calls.push(call)
          return undefined
        },
      )
      for (let at = 0; at < calls.length; at += 1)
        for (const power of [undefined, () => 0.9, () => 0.1]) {
          const hurt = disk.clone()
          let count = 0
          let reach = () => {}
          const reached = new Promise<void>((resolve) => {
            reach = resolve
          })
          void withInbox(
            hurt,
            async (inbox, account) => void (await operation(inbox, account)),
            () => {
              count += 1
              if (count <= at) return undefined
              reach()
              return new Promise(() => {})
            },
          ).catch(() => {})
          await reached
          if (power !== undefined) hurt.cutPower(power)
          const where = `${calls[at]!.operation} ${calls[at]!.path}`
          await withInbox(hurt, async (_, account) => {
            const found: string[] = []
            const names = (await account.list()).filter((entry) => entry.selectable).map((entry) => entry.name)
            for (const mailbox of names) found.push(...(await texts(await account.open(mailbox))))
            expect([...new Set(found)].sort(), where).toEqual(['deep', 'first'])
            expect(names.includes('a/b') !== names.includes('z/b'), where).toBe(true)
            // Whatever was left half-done, the same thing can be asked for again.
            if (!names.includes('n/e/w')) await account.create('n/e/w')
            if (names.includes('x')) await account.remove('x')
            if (!names.includes('z/b')) await account.rename('a', 'z')
            expect(await deliver(await account.open('z/b'), 'more'), where).toEqual({
              uid: name.startsWith('MOVE') ? expect.any(Number) : 2,
            })
          })
        }
    })
})
