import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { timeOf } from '#src/cli/msadm/time.ts'
import { openStore } from '#src/store/store.ts'
import type { Account } from '#src/store/types.ts'
import { announce } from '../store/actions.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'msadm-'))
  await writeFile(
    join(directory, 'ms.conf'),
    '<ms_options><account_db>accounts</account_db><userdir>user</userdir><domain>a.example</domain></ms_options>',
  )
})
afterEach(() => rm(directory, { recursive: true }))

const call = async (...args: readonly string[]) => {
  const output = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        output[name] += chunk
        done()
      },
    })
  const [out, err] = [collect('out'), collect('err')]
  const status = await msadm(['-c', join(directory, 'ms.conf'), ...args], { input: Readable.from([]), out, err })
  return { status, ...output }
}
const json = async (...args: readonly string[]) => {
  const { out } = await call('--json', ...args)
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function withAccount(work: (account: Account) => Promise<void>): Promise<void> {
  await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  const account = store.account('joe@a.example' as UserId)
  await account.ensure()
  await work(account)
}

it('what was deleted before it came from an old server takes no room, and is not offered', async () => {
  await withAccount(async (account) => {
    await using inbox = await account.open('INBOX')
    await announce(
      inbox,
      [1, 2].map((uid) => ({ origin: `imap://joe@old/7/${uid}`, internalDate: 1, sizeOctets: 5000 })),
    )
    await inbox.expunge([1 as Uid], 'client')
  })
  expect(await json('undelete', '--list', 'joe')).toEqual([{ kind: 'total', messages: 0, octets: 0 }])
  expect((await json('du', '-r', 'joe'))[0]).toMatchObject({ messages: 1, kept: { messages: 0, octets: 0 } })
})

/** INBOX lost UIDs 1 (by a client) and 2 (at the backend), Lists lost UID 1 and was deleted then, with UID 2 in it. */
const losses = () =>
  withAccount(async (account) => {
    await account.create('Lists')
    for (const name of ['INBOX', 'Lists']) {
      await using mailbox = await account.open(name)
      await using delivery = mailbox.deliver()
      for (const text of ['one', 'three', 'five']) {
        const sink = delivery.add({ internalDate: 1_700_000_000, flags: ['\\Flagged', '\\Deleted'] })
        await sink.write(Buffer.from(`Subject: ${text}\r\n\r\n`))
        await sink.end()
      }
      await delivery.commit()
      await mailbox.expunge([1 as Uid], 'client')
      if (name === 'INBOX') await mailbox.expunge([2 as Uid], 'backend')
    }
    await account.remove('Lists')
  })

it('lists what can be brought back, and brings it back', async () => {
  await losses()
  const listed = await call('undelete', '--list', 'joe')
  expect(listed).toMatchObject({ status: 0, err: '' })
  expect(listed.out.split('\n')).toEqual([
    expect.stringMatching(/^"Lists" mailbox, 2 messages, 35 octets, deleted 20\S+Z, 7 days left$/),
    expect.stringMatching(
      /^"INBOX" UID 1, of 2023-11-14T22:13:20Z, 16 octets, expunged \(client\) 20\S+Z, 7 days left$/,
    ),
    '3 messages, 51 octets, can be brought back',
    '',
  ])
  expect(await json('undelete', '--list', '--cause', 'any', 'joe', 'inbox')).toMatchObject([
    { kind: 'message', mailbox: 'INBOX', uid: 1, octets: 16, cause: 'client', daysLeft: 7 },
    { kind: 'message', mailbox: 'INBOX', uid: 2, octets: 18, cause: 'backend' },
    { kind: 'total', messages: 2, octets: 34 },
  ])
  expect(await call('undelete', 'joe')).toEqual({
    status: 0,
    out: [
      'brought back mailbox "Lists", 2 messages, 35 octets',
      'brought back 1 messages, 16 octets, to "INBOX"',
      'brought back 1 messages, 16 octets, to "Lists"',
      '',
    ].join('\n'),
    err: '',
  })
  await withAccount(async (account) => {
    expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX', 'Lists'])
    await using inbox = await account.open('INBOX')
    expect(Array.from(inbox.messages, ({ uid, flags }) => [uid, [...flags]])).toEqual([
      [3, ['\\Flagged', '\\Deleted']],
      [4, ['\\Flagged']],
    ])
  })
  expect(await call('undelete', 'joe')).toMatchObject({
    status: 1,
    err: 'msadm: undelete: there is nothing to bring back\n',
  })
  expect(await json('undelete', '--cause=backend', 'joe', 'INBOX')).toEqual([
    { kind: 'messages', mailbox: 'INBOX', messages: 1, octets: 18, uids: [5] },
  ])
})

it('takes the mailbox and the time that are asked for, and no other', async () => {
  await losses()
  expect(await call('undelete', '--since', '2100-01-01', 'joe')).toMatchObject({ status: 1 })
  expect(await json('undelete', '--since', '-1h', 'joe', 'Lists')).toMatchObject([
    { kind: 'mailbox', mailbox: 'Lists', as: 'Lists' },
    { kind: 'messages', mailbox: 'Lists', messages: 1 },
  ])
  expect(await json('undelete', '--list', 'joe')).toMatchObject([{ mailbox: 'INBOX', uid: 1 }, { kind: 'total' }])
})

it('gives a deleted mailbox another name where its own is taken', async () => {
  await losses()
  await withAccount((account) => account.create('Lists'))
  expect((await call('undelete', 'joe', 'Lists')).out).toContain('brought back mailbox "Lists" as "Lists (restored)"')
})

it('says what is wrong with its words', async () => {
  await losses()
  expect(await call('undelete')).toMatchObject({ status: 64, err: expect.stringContaining('a userid is missing') })
  expect(await call('undelete', '--cause', 'me', 'joe')).toMatchObject({ status: 64 })
  expect(await call('undelete', '--since', 'monday', 'joe')).toMatchObject({
    status: 64,
    err: expect.stringContaining('take 2026-11-20'),
  })
  expect(await call('undelete', 'nobody')).toMatchObject({
    status: 1,
    err: 'msadm: undelete: there is no mail of nobody@a.example\n',
  })
  expect(await call('undelete', 'joe', 'None')).toMatchObject({
    status: 1,
    err: expect.stringContaining('has no mailbox "None"'),
  })
  expect((await call('undelete', '--help')).out).toContain('--since TIME')
})

it('reads times', () => {
  const now = 1_800_000_000
  expect(timeOf('-3d', now)).toBe(now - 3 * 86_400)
  expect(timeOf('-12h', now)).toBe(now - 12 * 3600)
  expect(timeOf('2026-11-20', now)).toBe(new Date(2026, 10, 20).getTime() / 1000)
  expect(timeOf('2026-11-20T10:05', now)).toBe(new Date(2026, 10, 20, 10, 5).getTime() / 1000)
  for (const text of ['', '3d', '2026-02-30', '2026-11-20T25:00', '2026-1-1', 'now'])
    expect(() => timeOf(text, now)).toThrow('is no time')
})
