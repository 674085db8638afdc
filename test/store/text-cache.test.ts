import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import { textKind } from '#src/store/text-block.ts'
import type { SearchedText } from '#src/store/text-cache.ts'
import type { Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliverAll, freshInbox, storeIn, tellingReads, uids, user } from './support.ts'

const mails = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ text: `Subject: number ${index}\r\n\r\nbody of ${index}\r\n` }))

async function textsOf(mailbox: Mailbox): Promise<SearchedText[]> {
  const all: SearchedText[] = []
  for await (const run of mailbox.texts([...mailbox.messages])) all.push(...run.map(([, text]) => text))
  return all
}

/** Every message's text, which must be right. */
async function checkAll(mailbox: Mailbox): Promise<void> {
  const texts = (await textsOf(mailbox)).map((text) => (typeof text === 'string' ? text : text.octets.toString()))
  expect(texts).toEqual(
    [...mailbox.messages].map(({ uid }) => `\0\nSUBJECT: NUMBER ${uid - 1}\0BODY OF ${uid - 1}\r\n`),
  )
}

function counting() {
  const opened = { texts: 0, msg: 0 }
  const fs = tellingReads((path) => {
    if (path.includes('/texts-')) opened.texts += 1
    if (path.includes('/msg/')) opened.msg += 1
  })
  return { fs, opened }
}

async function searched(count: number) {
  const { account, inbox, root, store } = await freshInbox()
  await deliverAll(inbox, mails(count))
  await checkAll(inbox)
  await store.close()
  return { root, cache: `${account.path}/INBOX/cache` }
}

it('MDIR-05: a second search reads one file for 256 messages, and none of the messages', async () => {
  const { root, cache } = await searched(300)
  const { fs, opened } = counting()
  await using store = storeIn(root, { fs })
  await checkAll(await store.account(user).open('INBOX'))
  expect(opened).toEqual({ texts: 2, msg: 0 })
  expect(readdirSync(cache).filter((name) => name.startsWith('texts'))).toEqual(['texts-1.1', 'texts-1.257'])
})

it('makes again what is damaged, doubled or too much, and never believes it', async () => {
  const { root, cache } = await searched(20)
  const path = `${cache}/texts-1.1`
  const sound = readFileSync(path)
  const flipped = Buffer.from(sound)
  flipped[flipped.indexOf('NUMBER 7')]! ^= 1
  const spoilt: [string, Buffer, number][] = [
    ['a bit', flipped, 13],
    ['cut off', sound.subarray(0, sound.length - 3), 1],
    ['nothing', Buffer.alloc(0), 20],
    ['garbage', Buffer.alloc(textKind.maxOctets + 1, 7), 20],
    ['garbage behind', Buffer.concat([sound, Buffer.alloc(100, 255)]), 0],
    ['thrice', Buffer.concat([sound, sound, sound]), 0],
  ]
  for (const [what, octets, msg] of spoilt) {
    writeFileSync(path, octets)
    for (const expected of [msg, 0]) {
      const { fs, opened } = counting()
      await using store = storeIn(root, { fs })
      await checkAll(await store.account(user).open('INBOX'))
      expect([what, opened.msg]).toEqual([what, expected])
    }
    expect([what, statSync(path).size]).toEqual([what, sound.length])
    expect(textKind.read(readFileSync(path))).toMatchObject({ count: 20, isWhole: true })
  }
})

it('keeps no long text, and remembers that', async () => {
  const { inbox } = await freshInbox()
  const line = `${'x'.repeat(70)}\r\n`
  await deliverAll(inbox, [{ text: `Subject: a\r\n\r\n${line.repeat(1000)}` }, { text: 'Subject: b\r\n\r\nshort\r\n' }])
  const texts = await textsOf(inbox)
  expect([texts[0], typeof texts[1]]).toEqual(['long', 'object'])
  expect((await textsOf(inbox))[0]).toBe('long')
})

it('tells of a message that can not be read, and keeps nothing of it', async () => {
  const { inbox, account } = await freshInbox()
  await deliverAll(inbox, mails(3))
  truncateSync(`${account.path}/INBOX/msg/${inbox.byUid(uids(2)[0]!)!.file}`, 5)
  expect((await textsOf(inbox)).map((text) => typeof text === 'string')).toEqual([false, true, false])
  expect(textKind.read(readFileSync(`${account.path}/INBOX/cache/texts-1.1`)).count).toBe(2)
})

it('texts of messages that left go with the daily sweep, and other shapes', async () => {
  const disk = new MemoryDisk()
  const blocks = () => disk.files().flatMap((path) => /texts-.*/.exec(path)?.[0] ?? [])
  const first = () => disk.octets('/s/lena@example.com/INBOX/cache/texts-1.1').toString('latin1')
  {
    await using store = storeIn('/s', { fs: disk.fs() })
    await store.account(user).ensure()
    const inbox = await store.account(user).open('INBOX')
    await deliverAll(inbox, mails(257))
    await checkAll(inbox)
    await inbox.expunge(uids(3, 257), 'client')
    await checkAll(inbox)
    expect(first()).toContain('BODY OF 2\r\n')
  }
  await disk.fs().append('/s/lena@example.com/INBOX/cache/texts-0.1', Buffer.from('of another shape'))
  expect(blocks().sort()).toEqual(['texts-0.1', 'texts-1.1', 'texts-1.257'])
  disk.now += 2 * 86_400_000
  await using store = storeIn('/s', { fs: disk.fs() })
  await store.account(user).open('INBOX')
  await vi.waitFor(() => expect(blocks()).toEqual(['texts-1.1']))
  await vi.waitFor(() => expect(first()).not.toContain('BODY OF 2\r\n'))
  expect(textKind.read(disk.octets('/s/lena@example.com/INBOX/cache/texts-1.1'))).toMatchObject({
    count: 255,
    isWhole: true,
  })
})

it('works where the cache can not be written', async () => {
  const { root, cache } = await searched(3)
  await nodeFs.remove(`${cache}/texts-1.1`)
  const fs: StoreFs = {
    ...nodeFs,
    append: (path, octets) =>
      path.includes('/texts-')
        ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
        : nodeFs.append(path, octets),
  }
  await using store = storeIn(root, { fs })
  await checkAll(await store.account(user).open('INBOX'))
  expect(existsSync(`${cache}/texts-1.1`)).toBe(false)
})
