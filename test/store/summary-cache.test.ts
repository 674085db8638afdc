import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import type { MessageSummary } from '#src/mime/types.ts'
import { nodeFs } from '#src/store/fs.ts'
import { RecentlyUsed } from '#src/store/recently-used.ts'
import { SummaryBlock, summaryLine } from '#src/store/summary-block.ts'
import type { Mailbox } from '#src/store/types.ts'
import { MemoryDisk } from './disk.ts'
import { deliverAll, freshInbox, storeIn, tellingReads, uids, user } from './support.ts'

const subject = (index: number) => `number ${index}`
const texts = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ text: `Subject: ${subject(index)}\r\n\r\nbody\r\n` }))
const range = (first: number, last: number) =>
  uids(...Array.from({ length: last - first + 1 }, (_, index) => first + index))

/** Asks for every message's summary, which must be right. */
async function summarizeAll(mailbox: Mailbox): Promise<void> {
  for (const record of mailbox.messages)
    expect((await mailbox.summary(record)).root.envelope?.subject).toBe(subject(record.uid - 1))
}

/** Counts the files opened, by folder. */
function counting() {
  const opened = { cache: 0, msg: 0 }
  const fs = tellingReads((path) => {
    if (path.includes('/cache/')) opened.cache += 1
    if (path.includes('/msg/')) opened.msg += 1
  })
  return { fs, opened }
}

async function withSummaries(count: number) {
  const { account, inbox, root, store } = await freshInbox()
  await deliverAll(inbox, texts(count))
  await summarizeAll(inbox)
  await store.close()
  return { root, cache: `${account.path}/INBOX/cache` }
}

it('knows the summary of a message before anybody asks: it was made while the message came', async () => {
  const { inbox, root, store } = await freshInbox()
  const large = `Subject: ${subject(3)}\r\n\r\n${'x'.repeat(300_000)}`
  await deliverAll(inbox, [...texts(3), { text: large }])
  await store.close()
  const { fs, opened } = counting()
  await using again = storeIn(root, { fs })
  await summarizeAll(await again.account(user).open('INBOX'))
  expect(opened).toEqual({ cache: 1, msg: 0 })
})

it('MDIR-05: reads one file for 256 messages, and none of the messages', async () => {
  const { root } = await withSummaries(600)
  const { fs, opened } = counting()
  await using store = storeIn(root, { fs })
  await summarizeAll(await store.account(user).open('INBOX'))
  expect(opened).toEqual({ cache: 3, msg: 0 })
})

it('makes again what is damaged, and nothing else', async () => {
  const { root, cache } = await withSummaries(100)
  const path = `${cache}/summaries-2.1`
  const octets = readFileSync(path)
  octets[octets.indexOf(subject(7))]! ^= 1
  writeFileSync(path, octets.subarray(0, octets.length - 5))
  // The first line added goes on behind the one that was cut off, and is lost with it.
  for (const msg of [2, 1, 0]) {
    const { fs, opened } = counting()
    await using store = storeIn(root, { fs })
    await summarizeAll(await store.account(user).open('INBOX'))
    expect(opened.msg).toBe(msg)
  }
})

it('writes a block anew when most of it is doubled, or garbage', async () => {
  const { root, cache } = await withSummaries(100)
  const path = `${cache}/summaries-2.1`
  const octets = readFileSync(path)
  for (const more of [Buffer.concat([octets, octets]), Buffer.alloc(9 * 1_048_576, 'garbage\n')]) {
    writeFileSync(path, Buffer.concat([octets, more]))
    const { fs, opened } = counting()
    await using store = storeIn(root, { fs })
    await summarizeAll(await store.account(user).open('INBOX'))
    expect(opened.msg).toBe(0)
    expect(statSync(path).size).toBe(octets.length)
  }
})

it('drops the summaries of messages that left: a block when it is opened, a whole one by the daily sweep', async () => {
  const disk = new MemoryDisk()
  const sizes = () =>
    disk.files().flatMap((path) => (path.includes('/cache/') ? [[path.slice(-13), disk.octets(path).length]] : []))
  {
    await using store = storeIn('/s', { fs: disk.fs() })
    await store.account(user).ensure()
    const inbox = await store.account(user).open('INBOX')
    await deliverAll(inbox, texts(768))
    await summarizeAll(inbox)
  }
  const before = new Map(sizes() as [string, number][])
  expect([...before.keys()]).toEqual(['summaries-2.1', 'mmaries-2.257', 'mmaries-2.513'])
  await disk.fs().append('/s/lena@example.com/INBOX/cache/summaries-1', Buffer.from('of another shape'))
  disk.now += 2 * 86_400_000
  await using store = storeIn('/s', { fs: disk.fs() })
  const inbox = await store.account(user).open('INBOX')
  await vi.waitFor(() => expect(disk.files().filter((path) => path.endsWith('summaries-1'))).toEqual([]))
  await inbox.expunge(range(1, 256), 'client')
  await inbox.expunge(range(258, 512), 'client')
  await summarizeAll(inbox)
  const opened = new Map(sizes() as [string, number][])
  expect(opened.get('mmaries-2.257')).toBeLessThan(before.get('mmaries-2.257')! / 100)
  expect(opened.get('summaries-2.1')).toBe(before.get('summaries-2.1'))
  disk.now += 2 * 86_400_000
  await using later = storeIn('/s', { fs: disk.fs() })
  await later.account(user).open('INBOX')
  await vi.waitFor(() => expect(sizes().map(([name]) => name)).toEqual(['mmaries-2.257', 'mmaries-2.513']))
})

it('needs no folder: it is made', async () => {
  const { root, cache } = await withSummaries(3)
  await nodeFs.remove(`${cache}/summaries-2.1`)
  await nodeFs.removeDirectory(cache)
  {
    await using store = storeIn(root)
    await summarizeAll(await store.account(user).open('INBOX'))
  }
  expect(existsSync(`${cache}/summaries-2.1`)).toBe(true)
  expect(readdirSync(cache)).toEqual(['summaries-2.1'])
})

it('a line is large or it is kept, and counts for its own message only', () => {
  const summary = { root: { lines: 1 }, fields: [] } as unknown as MessageSummary
  const [one, other] = ['a'.repeat(43), 'b'.repeat(43)]
  const block = SummaryBlock.of(summaryLine(one, summary)!)
  expect(block.get(one)).toEqual(summary)
  expect(block.get(other)).toBeUndefined()
  expect(summaryLine(one, { ...summary, fields: [['to', 'x'.repeat(300_000)]] })).toBeUndefined()
})

it('what was read lately stays in memory as long as there is room', () => {
  const recent = new RecentlyUsed<string>(10)
  recent.set('a', 'A', 4)
  recent.set('b', 'B', 4)
  expect(recent.get('a')).toBe('A')
  recent.set('c', 'C', 4)
  expect([recent.get('a'), recent.get('b'), recent.get('c')]).toEqual(['A', undefined, 'C'])
  recent.set('c', 'larger', 8)
  expect([recent.get('a'), recent.get('c')]).toEqual([undefined, 'larger'])
  recent.delete('c')
  recent.set('d', 'D', 10)
  expect(recent.get('d')).toBe('D')
})
