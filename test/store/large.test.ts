import { expect, it } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { Mailbox } from '#src/store/types.ts'
import { deliverAll, freshInbox, storeIn, user } from './support.ts'

const count = 50_000

/** The log is real, message files are not: only the CPU's part matters here. */
const later = () => new Promise<void>((resolve) => setImmediate(resolve))
const fs: StoreFs = {
  ...nodeFs,
  begin: async (path, ...pieces) =>
    path.includes('/msg/') ? { durable: later() } : await nodeFs.begin(path, ...pieces),
  link: (from, to) => (to.includes('/msg/') ? later() : nodeFs.link(from, to)),
  syncDirectory: () => later(),
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Looks at the mailboxes between all turns of the event loop: how long the longest took, and what could be seen. */
async function watching(mailboxes: readonly Mailbox[], work: () => Promise<unknown>) {
  const seen = mailboxes.map(() => new Set<string>())
  let worstMs = 0
  let last = cpuMs()
  let on = true
  const look = () => {
    const now = cpuMs()
    worstMs = Math.max(worstMs, now - last)
    for (const [index, { highestModSeq, messages }] of mailboxes.entries()) {
      let flagged = 0
      for (let position = 0; position < messages.length; position += 1)
        if (messages.flagsAt(position).size > 0) flagged += 1
      seen[index]!.add(`${highestModSeq}: ${messages.length} messages, ${flagged} flagged`)
    }
    last = cpuMs()
    if (on) setImmediate(look)
  }
  look()
  await work()
  on = false
  look()
  return { worstMs, seen: seen.map((states) => [...states]) }
}

/** Of what was seen. The log of a mailbox may be cut meanwhile, which takes numbers and changes nothing. */
const contents = (states: readonly string[]): readonly string[] => [
  ...new Set(states.map((state) => state.replace(/^\d+: /, ''))),
]

it(`nothing done to ${count} messages at once keeps others from their turn, or is seen half done`, async () => {
  const { inbox, account, root } = await freshInbox({ fs })
  for (let at = 0; at < count; at += 500)
    await deliverAll(
      inbox,
      Array.from({ length: 500 }, (_, index) => ({
        text: `${at + index}`,
        origin: `pop://u@example.com/${at + index}`,
      })),
    )
  await account.create('copy')
  const copy = await account.open('copy')
  await using other = storeIn(root, { fs })
  const theirs = await other.account(user).open('INBOX')
  const uids = [...inbox.messages].map(({ uid }) => uid)
  const [modSeq, copyModSeq]: number[] = [inbox.highestModSeq, copy.highestModSeq]
  const all = `${count} messages`
  const steps: Record<string, [() => Promise<unknown>, string[][]]> = {
    store: [
      () => inbox.changeFlags({ uids, mode: 'add', flags: ['\\Seen'] }),
      [
        [`${modSeq}: ${all}, 0 flagged`, `${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${modSeq}: ${all}, 0 flagged`],
        [`${copyModSeq}: 0 messages, 0 flagged`],
      ],
    ],
    'refresh after store': [
      () => theirs.refresh(),
      [
        [`${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${modSeq}: ${all}, 0 flagged`, `${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${copyModSeq}: 0 messages, 0 flagged`],
      ],
    ],
    copy: [
      () => inbox.copyTo(uids, copy),
      [
        [`${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${copyModSeq}: 0 messages, 0 flagged`, `${copyModSeq! + 1}: ${all}, ${count} flagged`],
      ],
    ],
    expunge: [
      () => inbox.expunge(uids, 'client'),
      [
        [`${modSeq! + 1}: ${all}, ${count} flagged`, `${modSeq! + 2}: 0 messages, 0 flagged`],
        [`${modSeq! + 1}: ${all}, ${count} flagged`],
        [`${copyModSeq! + 1}: ${all}, ${count} flagged`],
      ],
    ],
    'refresh after expunge': [
      () => theirs.refresh(),
      [
        [`${modSeq! + 2}: 0 messages, 0 flagged`],
        [`${modSeq! + 1}: ${all}, ${count} flagged`, `${modSeq! + 2}: 0 messages, 0 flagged`],
        [`${copyModSeq! + 1}: ${all}, ${count} flagged`],
      ],
    ],
  }
  for (const [name, [work, states]] of Object.entries(steps)) {
    const { worstMs, seen } = await watching([inbox, theirs, copy], work)
    expect(seen.map(contents), name).toEqual(states.map(contents))
    expect(worstMs, name).toBeLessThan(50)
  }
}, 60_000)
