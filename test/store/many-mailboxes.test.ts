import { rmSync } from 'node:fs'
import { expect, it } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import { severalAtOnce } from '#src/store/several.ts'
import type { Account } from '#src/store/types.ts'
import { deliver, freshInbox, storeIn, user } from './support.ts'

/** The real disk, counting calls. */
function counting() {
  const counts = { list: 0, all: 0, deepest: '' }
  let underway = 0
  const most = { lists: 0 }
  const fs = Object.fromEntries(
    Object.entries(nodeFs as unknown as Record<string, (...args: unknown[]) => unknown>).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        counts.all += 1
        if (name !== 'list') return call(...args)
        counts.list += 1
        if (/\/(msg|log|cache|tmp)$/.test(String(args[0]))) counts.deepest = String(args[0])
        underway += 1
        most.lists = Math.max(most.lists, underway)
        return (call(...args) as Promise<unknown>).finally(() => (underway -= 1))
      },
    ]),
  ) as unknown as StoreFs
  return { fs, counts, most }
}

async function withTree(mailboxes: number): Promise<{ root: string; account: Account }> {
  const { root, account } = await freshInbox()
  await severalAtOnce(
    Array.from({ length: mailboxes }, (_, index) => `tree/${index % 10}/${index}`),
    8,
    (name) => account.create(name),
  )
  return { root, account }
}

it('MDIR-03: lists each directory of a tree once, several at the same time, and none that holds no mailbox', async () => {
  const { root } = await withTree(100)
  const { fs, counts, most } = counting()
  await using store = storeIn(root, { fs })
  const found = await store.account(user).list()
  expect(found.map(({ name }) => name)).toEqual(
    ['INBOX'].concat(
      [
        'tree',
        ...Array.from({ length: 10 }, (_, index) => `tree/${index}`),
        ...Array.from({ length: 100 }, (_, index) => `tree/${index % 10}/${index}`),
      ].sort(),
    ),
  )
  expect(found.filter(({ hasChildren }) => hasChildren).length).toBe(11)
  // The account, INBOX, tree, its 10 levels and the mailboxes.
  expect(counts).toMatchObject({ list: 113, deepest: '' })
  expect(most.lists).toBe(16)
})

it('renames a tree of any size with the same few calls', async () => {
  const calls: number[] = []
  for (const size of [10, 100]) {
    const { root } = await withTree(size)
    const { fs, counts } = counting()
    await using store = storeIn(root, { fs })
    const account = store.account(user)
    // Its own log is read once in a process: a rename looks there for what users said of mailboxes.
    await account.get('anything')
    const before = counts.all
    await account.rename('tree', 'wood/pile')
    calls.push(counts.all - before)
    expect((await account.list()).filter(({ name }) => name.startsWith('wood/pile/')).length).toBe(size + 10)
  }
  expect(calls[1]).toBe(calls[0])
  expect(calls[0]).toBeLessThan(20)
})

it('keeps a mailbox that nobody uses open for the next one', async () => {
  const { root } = await withTree(60)
  const { fs, counts } = counting()
  await using store = storeIn(root, { fs })
  const account = store.account(user)
  const names = (await account.list()).filter(({ selectable }) => selectable).map(({ name }) => name)
  for (const name of names) await (await account.open(name)).close()
  const before = counts.list
  for (const name of names) await (await account.open(name)).close()
  // Each would list its log to be read again.
  expect(counts.list).toBe(before)
})

it('MDIR-02: takes messages into a mailbox that came from a backup without its empty folders', async () => {
  const { root, account, store } = await freshInbox()
  await store.close()
  for (const folder of ['msg', 'cache', 'tmp'])
    rmSync(`${account.path}/INBOX/${folder}`, { recursive: true, force: true })
  await using other = storeIn(root)
  const inbox = await other.account(user).open('INBOX')
  expect(await deliver(inbox, 'Subject: x\r\n\r\n')).toEqual({ uid: 1 })
})
