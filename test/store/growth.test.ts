import { expect, it } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { Mailbox } from '#src/store/types.ts'
import { deliver, deliverAll, freshInbox, storeIn, uids, user } from './support.ts'

/** The log is real, message files are not. Counts the calls, and the octets written and read. */
function counting() {
  const counts = { calls: 0, written: 0, read: 0 }
  const isMessage = (path: string) => path.includes('/msg/')
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    counts.calls += 1
    return await work()
  }
  const fs: StoreFs = {
    ...nodeFs,
    begin: (path, ...pieces) =>
      counted(async () => {
        for (const piece of pieces) counts.written += piece.length
        return isMessage(path) ? { durable: Promise.resolve() } : await nodeFs.begin(path, ...pieces)
      }),
    write: async (path, ...pieces) => (await fs.begin(path, ...pieces)).durable,
    read: (path) =>
      counted(async () => {
        const octets = await nodeFs.read(path)
        counts.read += octets.length
        return octets
      }),
    link: (from, to) => counted(() => nodeFs.link(from, to)),
    // Whether a sweep is due is asked at the side, some time after a mailbox was opened.
    status: (path) => (path.endsWith('/swept') ? nodeFs.status(path) : counted(() => nodeFs.status(path))),
    list: (path) => counted(() => nodeFs.list(path)),
    syncDirectory: () => counted(async () => {}),
  }
  return { fs, counts }
}

/** What small changes to a mailbox of so many messages cost. */
async function costs(messages: number) {
  const { root, inbox, store } = await freshInbox({ fs: counting().fs })
  await deliverAll(
    inbox,
    Array.from({ length: messages }, () => ({ text: '0123456789' })),
  )
  await store.close()
  const { fs, counts } = counting()
  await using again = storeIn(root, { fs })
  const mailbox = await again.account(user).open('INBOX')
  const steps: Record<string, (mailbox: Mailbox) => Promise<unknown>> = {
    'look for news': () => mailbox.refresh(),
    status: () => again.account(user).status('INBOX'),
    deliver: () => deliver(mailbox, '0123456789'),
    flag: () => mailbox.changeFlags({ uids: uids(messages / 2), mode: 'add', flags: ['\\Seen'] }),
    expunge: () => mailbox.expunge(uids(messages / 2), 'client'),
    close: () => mailbox.close(),
  }
  const cost: Record<string, { calls: number; octets: number }> = {}
  for (const [name, step] of Object.entries(steps)) {
    const before = { ...counts }
    await step(mailbox)
    const octets = counts.written + counts.read - before.written - before.read
    cost[name] = { calls: counts.calls - before.calls, octets }
  }
  return cost
}

it('a small change costs the same in a small mailbox and in a large one (MDIR-07)', async () => {
  const small = await costs(1000)
  const large = await costs(20_000)
  for (const [name, { calls, octets }] of Object.entries(large)) {
    expect(calls, name).toBe(small[name]!.calls)
    // Numbers have more digits in a larger mailbox.
    expect(octets, name).toBeLessThan(small[name]!.octets + 64)
  }
  expect(small.deliver!.octets).toBeGreaterThan(0)
}, 60_000)
