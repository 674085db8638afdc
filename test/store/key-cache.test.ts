import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import type { KeyText } from '#src/mime/order-keys.ts'
import type { Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliverAll, freshInbox, storeIn, tellingReads, uid, uids, user } from './support.ts'

const texts = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    text: `Subject: Re: [x] number ${index}\r\nDate: 7 Feb 1994 00:00:00 +0000\r\nReferences: <a@b> <c@d>\r\n\r\nbody\r\n`,
  }))

/** One key of every message that has it, by UID. */
async function keysOf(mailbox: Mailbox, text: KeyText = 'subject'): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  const { messages } = mailbox
  const wanted = { uids: [...messages].map((message) => message.uid), record: (index: number) => messages.at(index)! }
  for await (const { start, end, keys } of mailbox.keys(wanted))
    for (const one of wanted.uids.slice(start, end)) if (keys.has(one)) found.set(one, keys.text(one, text))
  return found
}

const expected = (count: number, first = 0) =>
  new Map(Array.from({ length: count }, (_, index) => [first + index + 1, `NUMBER ${first + index}`] as const))

function counting() {
  const opened: string[] = []
  const fs = tellingReads((path) => {
    if (/\/(cache|msg)\//.test(path)) opened.push(path.replace(/.*\/(cache|msg)\/([a-z]*).*/, '$1/$2'))
  })
  return { fs, opened }
}

async function withKeys(count: number) {
  const { account, inbox, root, store } = await freshInbox()
  await deliverAll(inbox, texts(count))
  expect(await keysOf(inbox)).toEqual(expected(count))
  await store.close()
  return { root, cache: `${account.path}/INBOX/cache`, path: `${account.path}/INBOX/cache/keys-1.1` }
}

it('gives what the messages say, from one file for 256 of them', async () => {
  const { root } = await withKeys(300)
  const { fs, opened } = counting()
  await using store = storeIn(root, { fs })
  const inbox = await store.account(user).open('INBOX')
  expect(await keysOf(inbox)).toEqual(expected(300))
  expect(opened).toEqual(['cache/keys', 'cache/keys'])
  expect((await keysOf(inbox, 'references')).get(300)).toBe('a@b\0c@d')
  for await (const { keys } of inbox.keys({ uids: uids(7), record: () => inbox.messages.at(6)! }))
    expect([keys.sentAt(uid(7)), keys.isReply(uid(7))]).toEqual([Date.UTC(1994, 1, 7) / 1000, true])
  expect(opened).toHaveLength(2)
})

it('makes again what is damaged, and writes the file anew', async () => {
  const { root, path } = await withKeys(100)
  const octets = readFileSync(path)
  const size = octets.length
  octets[octets.indexOf('NUMBER 50')]! ^= 1
  writeFileSync(path, octets)
  for (const opens of [50, 0]) {
    const { fs, opened } = counting()
    await using store = storeIn(root, { fs })
    expect(await keysOf(await store.account(user).open('INBOX'))).toEqual(expected(100))
    expect(opened.filter((name) => name.startsWith('cache/summaries')).length).toBe(opens > 0 ? 1 : 0)
    expect(opened.filter((name) => name.startsWith('msg/'))).toEqual([])
  }
  expect(statSync(path).size).toBe(size)
})

it('takes the keys of a message for those of no other', async () => {
  const { root, cache } = await withKeys(300)
  // as if somebody put a backup of another mailbox there
  writeFileSync(`${cache}/keys-1.257`, readFileSync(`${cache}/keys-1.1`))
  await using store = storeIn(root)
  expect(await keysOf(await store.account(user).open('INBOX'))).toEqual(expected(300))
})

it('keeps nothing of messages that left, or of another shape', async () => {
  const disk = new MemoryDisk()
  const files = () => disk.files().flatMap((path) => /\/(keys-.*)/.exec(path)?.[1] ?? [])
  {
    await using store = storeIn('/s', { fs: disk.fs() })
    await store.account(user).ensure()
    const inbox = await store.account(user).open('INBOX')
    await deliverAll(inbox, texts(300))
    expect(await keysOf(inbox)).toEqual(expected(300))
    await inbox.expunge(uids(...Array.from({ length: 256 }, (_, index) => index + 1)), 'client')
  }
  await disk.fs().append(`/s/${user}/INBOX/cache/keys-0.1`, Buffer.from('of another shape'))
  expect(files().sort()).toEqual(['keys-0.1', 'keys-1.1', 'keys-1.257'])
  disk.now += 2 * 86_400_000
  await using store = storeIn('/s', { fs: disk.fs() })
  const inbox = await store.account(user).open('INBOX')
  await vi.waitFor(() => expect(files()).toEqual(['keys-1.257']))
  expect(await keysOf(inbox)).toEqual(expected(44, 256))
})

it('bounds what one message takes', async () => {
  const { inbox } = await freshInbox()
  const references = Array.from({ length: 2000 }, (_, index) => `<${index}${'x'.repeat(50)}@example.org>`).join('\r\n ')
  await deliverAll(inbox, [{ text: `References: ${references}\r\n\r\n` }])
  const kept = (await keysOf(inbox, 'references')).get(1)!
  expect(kept.length).toBeLessThan(32 * 1024)
  expect(kept.split('\0').at(-1)).toBe(`1999${'x'.repeat(50)}@example.org`)
  expect(kept).toMatch(/^1\d{3}x/)
})

it('keeps the keys of a message whose texts grow when they are prepared', async () => {
  // One character that is 18 others to i;unicode-casemap.
  const word = `=?utf-8?B?${Buffer.from('\ufdfa'.repeat(2000)).toString('base64')}?=`
  const address = `"${'\u00e9'.repeat(1000)}" <a@b>`
  const { account, inbox, root, store } = await freshInbox()
  const text = `Subject: ${word}\r\nFrom: ${word} <a@b>\r\nTo: ${word} <a@b>\r\nCc: ${address}\r\nReferences: <r@s>\r\n\r\n`
  await deliverAll(inbox, [{ text }, ...texts(10)])
  const made = await keysOf(inbox)
  await store.close()
  const size = statSync(`${account.path}/INBOX/cache/keys-1.1`).size
  const { fs, opened } = counting()
  await using again = storeIn(root, { fs })
  const reopened = await again.account(user).open('INBOX')
  expect(await keysOf(reopened)).toEqual(made)
  expect((await keysOf(reopened, 'references')).get(1)).toBe('r@s')
  expect(opened).toEqual(['cache/keys'])
  expect(statSync(`${account.path}/INBOX/cache/keys-1.1`).size).toBe(size)
})
