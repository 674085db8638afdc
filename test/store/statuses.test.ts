import { cpSync, existsSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, it } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { Store } from '#src/store/types.ts'
import { deliver, deliverAll, freshInbox, storeIn, uids, user } from './support.ts'

/** The real disk; `opened` are the mailboxes whose log was looked through. */
function watching() {
  const opened = new Set<string>()
  const fs: StoreFs = {
    ...nodeFs,
    list: (path) => {
      const mailbox = /.*@example\.com\/(.+)\/log$/.exec(path)?.[1]
      if (mailbox !== undefined) opened.add(mailbox)
      return nodeFs.list(path)
    },
  }
  return { fs, opened }
}

async function fresh<T>(root: string, work: (store: Store) => Promise<T>): Promise<{ value: T; opened: string[] }> {
  const { fs, opened } = watching()
  await using store = storeIn(root, { fs })
  const value = await work(store)
  return { value, opened: [...opened].sort() }
}

/** INBOX with three messages of 7 octets, `a` with one of 5, `b` empty. */
async function withThree() {
  const { root, account, inbox, store } = await freshInbox()
  await deliverAll(inbox, [
    { text: 'x'.repeat(7) },
    { text: 'y'.repeat(7), flags: ['\\Seen'] },
    { text: 'z'.repeat(7) },
  ])
  await account.create('a')
  await account.create('b')
  await deliver(await account.open('a'), '12345')
  await store.close()
  return { root, account, file: `${account.path}/cache/usage` }
}

const usage = (root: string) => fresh(root, (store) => store.account(user).usage())
const all = { messages: 4, octets: 26 }

it('counts what an account holds, and opens only mailboxes that changed since', async () => {
  const { root } = await withThree()
  expect(await usage(root)).toEqual({ value: all, opened: ['INBOX', 'a', 'b'] })
  expect(await usage(root)).toEqual({ value: all, opened: [] })
  {
    await using store = storeIn(root)
    const account = store.account(user)
    await (await account.open('INBOX')).expunge(uids(1), 'client')
    await account.remove('b')
    await account.create('b')
    await account.create('c')
  }
  expect(await usage(root)).toEqual({ value: { messages: 3, octets: 19 }, opened: ['INBOX', 'b', 'c'] })
  expect(await usage(root)).toEqual({ value: { messages: 3, octets: 19 }, opened: [] })
})

it('tells the status of a mailbox as opening it does, over renames too', async () => {
  const { root } = await withThree()
  const opening = await fresh(root, (store) => store.account(user).status('INBOX'))
  expect(opening.value).toMatchObject({ messages: 3, unseen: 2, recent: 3, sizeOctets: 21, uidNext: 4 })
  const counted = await fresh(root, async (store) => {
    await store.account(user).usage()
    await store.account(user).rename('a', 'z/a')
    return await store.account(user).usage()
  })
  expect(counted.value).toEqual(all)
  const again = await fresh(root, async (store) => ({
    inbox: await store.account(user).status('INBOX'),
    moved: await store.account(user).status('z/a'),
  }))
  expect(again.value.inbox).toEqual(opening.value)
  expect(again.value.moved).toMatchObject({ messages: 1, sizeOctets: 5 })
  expect(again.opened).toEqual([])
  await expect(fresh(root, (store) => store.account(user).status('a'))).rejects.toMatchObject({ kind: 'not-found' })
})

it('sees what another process commits between two questions', async () => {
  const { root } = await withThree()
  await usage(root)
  await using other = storeIn(root)
  const theirs = await other.account(user).open('a')
  const { value, opened } = await fresh(root, async (store) => {
    const before = await store.account(user).status('a')
    await deliver(theirs, 'more')
    return [before.messages, (await store.account(user).status('a')).messages]
  })
  expect(value).toEqual([1, 2])
  expect(opened).toEqual(['a'])
})

it('its file may be damaged or deleted at any time, and stays small (invariant 8)', async () => {
  const { root, file } = await withThree()
  await usage(root)
  const size = statSync(file).size
  const sound = readFileSync(file)
  for (const harm of [
    () => unlinkSync(file),
    () => rmSync(dirname(file), { recursive: true }),
    () => writeFileSync(file, sound.subarray(0, 100)),
    () => writeFileSync(file, Buffer.from(sound.toString('latin1').replace('"messages":3', '"messages":9'), 'latin1')),
    () => writeFileSync(file, Buffer.alloc(10_000, 'x\n')),
    () => writeFileSync(file, Buffer.concat(Array(9).fill(sound))),
  ]) {
    harm()
    expect((await usage(root)).value).toEqual(all)
    expect((await usage(root)).value).toEqual(all)
    expect(existsSync(file) && statSync(file).size).toBeLessThan(2.5 * size)
  }
})

it('does not take a mailbox that came back from a backup for the one it counted', async () => {
  const { root, account } = await withThree()
  const backup = `${root}/backup`
  cpSync(`${account.path}/a`, backup, { recursive: true })
  {
    await using store = storeIn(root)
    await deliver(await store.account(user).open('a'), 'one more')
  }
  expect((await usage(root)).value).toEqual({ messages: 5, octets: 34 })
  const bringBack = () => {
    rmSync(`${account.path}/a`, { recursive: true })
    cpSync(backup, `${account.path}/a`, { recursive: true })
  }
  bringBack()
  {
    // Its log is as long again as the one that was counted.
    await using store = storeIn(root)
    await deliver(await store.account(user).open('a'), '123')
  }
  expect((await usage(root)).value).toEqual({ messages: 5, octets: 29 })
  bringBack()
  expect((await usage(root)).value).toEqual(all)
})
