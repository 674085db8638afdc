import { describe, expect, it } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import type { Account } from '#src/store/types.ts'
import { type Call, MemoryDisk, systemError } from './disk.ts'
import { deliver, deliverAll, storeIn, textOf, uids, user } from './support.ts'

const root = '/s'

async function preparedDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await using store = storeIn(root, { fs: disk.fs() })
  const account = store.account(user)
  await account.ensure()
  const inbox = await account.open('INBOX')
  await deliverAll(inbox, [{ text: 'first', origin: 'o-1' }, { text: 'second' }])
  return disk
}

/** What the account holds, as a fresh process sees it. */
async function contents(disk: MemoryDisk) {
  await using store = storeIn(root, { fs: disk.fs() })
  const account = store.account(user)
  const mailboxes: Record<string, unknown> = {}
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    const mailbox = await account.open(name)
    mailboxes[name] = await Promise.all(
      [...mailbox.messages].map(async (message) => [
        message.uid,
        await textOf(mailbox, message.uid),
        [...message.flags].sort().join(' '),
        message.origin,
      ]),
    )
  }
  return { mailboxes, subscriptions: await account.subscriptions(), value: await account.get('key') }
}

const operations: Record<string, (account: Account) => Promise<unknown>> = {
  deliver: async (account) => deliver(await account.open('INBOX'), 'third', { origin: 'o-3' }),
  'deliver a large one': async (account) => deliver(await account.open('INBOX'), 'L'.repeat(400_000)),
  'deliver three': async (account) =>
    deliverAll(await account.open('INBOX'), [{ text: 'a' }, { text: 'b', origin: 'o-1' }, { text: 'c' }]),
  flags: async (account) =>
    (await account.open('INBOX')).changeFlags({ uids: uids(1, 2), mode: 'add', flags: ['\\Seen'] }),
  expunge: async (account) => (await account.open('INBOX')).expunge(uids(1), 'client'),
  create: async (account) => account.create('a/b'),
  copy: async (account) => {
    const inbox = await account.open('INBOX')
    return await inbox.copyTo(uids(1, 2), inbox)
  },
  subscribe: (account) => account.subscribe('x'),
  put: (account) => account.put({ key: { a: 1 } }),
}

describe('a failing disk', () => {
  for (const [name, operation] of Object.entries(operations))
    it(`fails ${name} as a whole at any call, or makes it as a whole`, async () => {
      const disk = await preparedDisk()
      const before = await contents(disk.clone())
      const done = disk.clone()
      const calls: Call[] = []
      {
        const store = storeIn(root, { fs: done.fs((call) => void calls.push(call)) })
        await operation(store.account(user))
      }
      const after = await contents(done)
      expect(after).not.toEqual(before)
      expect(calls.length).toBeGreaterThan(3)

      for (let failing = 0; failing < calls.length; failing += 1)
        for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
          const hurt = disk.clone()
          let count = 0
          const store = storeIn(root, {
            fs: hurt.fs((call) => {
              count += 1
              if (count - 1 === failing) throw systemError(code, call.path)
              return undefined
            }),
          })
          const failed: unknown = await operation(store.account(user)).then(
            () => undefined,
            (error: unknown) => error,
          )
          const where = `${code} at ${calls[failing]!.operation} ${calls[failing]!.path}`
          const found = await contents(hurt)
          // Acknowledged: all of it. Refused: nothing of it, or (when only the last sync failed) all of it.
          if (failed === undefined) expect(found, where).toEqual(after)
          else {
            expect(failed, where).toBeInstanceOf(StoreError)
            expect([before, after], where).toContainEqual(found)
          }
          // And the store works on, in the same process.
          expect(await contents(hurt)).toEqual(found)
          const again = store.account(user)
          expect(await deliver(await again.open('INBOX'), 'later'), where).toHaveProperty('uid')
        }
    })
})
