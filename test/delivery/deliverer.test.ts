import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openMessageTrack } from '#src/delivery/message-track.ts'
import type { Fate, Recipient, Trace, Transaction } from '#src/delivery/types.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, Store } from '#src/store/types.ts'
import { MemoryDisk, systemError } from '#test/store/disk.ts'
import { recipientOf, testDeliverer } from '#test/support/deliver-to.ts'

let root: string
let store: Store
let number = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'deliverer-'))
  store = openStore({ root: join(root, 'user'), clock: systemClock, log: silentLog })
})
afterAll(async () => {
  await store.close()
  await rm(root, { recursive: true })
})

const trace: Trace = { helo: 'mx.example.net', address: '192.0.2.1', name: undefined, type: 'LMTP', tls: undefined }
const received = 'Received: from a by b; Tue, 14 Nov 2023 22:13:20 +0000\r\n'
const plain = `${received}Subject: x\r\n\r\ntext\r\n`

const newUser = async (inStore = store, makes = true): Promise<Account> => {
  number += 1
  const account = inStore.account(`user${number}@example.org` as UserId)
  if (makes) await account.ensure()
  return account
}
const newTransaction = (...recipients: readonly Recipient[]): Transaction => {
  number += 1
  return {
    id: `t${number}`,
    sender: 'bea@example.net',
    parameters: new Map(),
    trace,
    receivedAt: 1_700_000_000,
    recipients,
  }
}
const send = async (
  recipients: readonly Recipient[],
  octets: string | Iterable<Buffer> = plain,
  deliverer = testDeliverer(store),
): Promise<readonly Fate[]> => {
  await using incoming = deliverer.begin(newTransaction(...recipients))
  for (const chunk of typeof octets === 'string' ? [Buffer.from(octets)] : octets) await incoming.write(chunk)
  return await incoming.end()
}
const files = async (account: Account, mailbox = 'INBOX') => {
  const folder = join(account.path, mailbox, 'msg')
  return await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).ino))
}
const texts = async (account: Account, mailbox = 'INBOX') => {
  await using open = await account.open(mailbox)
  const all: string[] = []
  for (const record of open.messages) {
    await using content = await open.content(record)
    all.push((await content.read(0, content.sizeOctets)).toString())
  }
  return all
}
const stored = (...places: readonly (readonly [mailbox: string, uid: number])[]) => ({
  kind: 'stored',
  places: places.map(([mailbox, uid]) => ({ mailbox, uid })),
})

describe('a message for many', () => {
  it('has one copy on the disk, and says whom it was for only where that is one', async () => {
    const accounts = await Promise.all(Array.from({ length: 20 }, () => newUser()))
    const fates = await send(accounts.map((account) => recipientOf(account)))
    expect(fates).toEqual(accounts.map(() => stored(['INBOX', 1])))
    const inodes = (await Promise.all(accounts.map((account) => files(account)))).flat()
    expect(inodes).toHaveLength(20)
    expect(new Set(inodes).size).toBe(1)
    const [text] = await texts(accounts[3]!)
    expect(text).toBe(
      `Return-Path: <bea@example.net>\r\nReceived: from mx.example.net ([192.0.2.1])\r\n\tby mail.example.org with LMTP id t${number};\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n${plain}`,
    )
    await send([recipientOf(accounts[0]!, { address: 'anna@example.org' })])
    expect((await texts(accounts[0]!))[1]).toMatch(/ id t\d+\r\n\tfor <anna@example.org>;\r\n/)
  })

  it('has one on each partition', async () => {
    const disk = new MemoryDisk()
    const made: string[] = []
    const partitionOf = (path: string) => path.split('/')[1]!
    const fs = disk.fs(({ operation, path, from }) => {
      if (operation === 'link' && partitionOf(path) !== partitionOf(from!)) return Promise.reject(systemError('EXDEV'))
      if ((operation === 'write' || operation === 'create') && path.includes('/msg/')) made.push(partitionOf(path))
      return undefined
    })
    for (const root of ['/even', '/odd']) await fs.makeDirectory(root)
    const both = openStore({
      root: '/even',
      partitions: ['/odd'],
      ownRoot: async (userId) => ['/even', '/odd'][Number(/\d+/.exec(userId)![0]) % 2]!,
      clock: systemClock,
      log: silentLog,
      fs,
    })
    const accounts: Account[] = []
    for (let index = 0; index < 8; index++) accounts.push(await newUser(both))
    const large = [Buffer.from(plain), Buffer.alloc(100_000, 'x\r\n')]
    const deliverer = testDeliverer(both, { options: { memoryOctets: 50_000 } })
    const recipients = accounts.map((account) => recipientOf(account))
    for (const octets of [plain, large]) {
      const fates = await send(recipients, octets, deliverer)
      expect(fates.map(({ kind }) => kind)).toEqual(accounts.map(() => 'stored'))
    }
    // Of the large one, the file that it came into is the copy of one of them.
    expect(made).toHaveLength(3)
    expect(new Set(made.slice(0, 2)).size).toBe(2)
    for (const account of accounts) {
      const [first, second] = await texts(account)
      expect(first!.endsWith(plain)).toBe(true)
      expect(second!.endsWith(Buffer.concat(large).toString())).toBe(true)
    }
    await both.close()
  })

  it('LMTP-08: a large one goes to the disk as it comes, and nothing else is left of it there', async () => {
    const accounts = await Promise.all(Array.from({ length: 3 }, () => newUser()))
    const chunk = Buffer.alloc(65_536, `${'x'.repeat(62)}\r\n`)
    const incoming = testDeliverer(store, { options: { memoryOctets: 100_000 } }).begin(
      newTransaction(...accounts.map((account) => recipientOf(account))),
    )
    await incoming.write(Buffer.from(plain))
    for (let index = 0; index < 40; index++) await incoming.write(chunk)
    const spooled = async () => (await readdir(join(accounts[0]!.path, 'tmp'))).filter((name) => name !== 'swept')
    expect(await spooled()).toHaveLength(1)
    expect(await incoming.end()).toEqual(accounts.map(() => stored(['INBOX', 1])))
    expect(await spooled()).toEqual([])
    const inodes = (await Promise.all(accounts.map((account) => files(account)))).flat()
    expect(new Set(inodes).size).toBe(1)
    const [text] = await texts(accounts[2]!)
    expect(text!.slice(text!.indexOf(plain))).toBe(plain + chunk.toString().repeat(40))
    const broken = testDeliverer(store, { options: { memoryOctets: 1 } }).begin(
      newTransaction(recipientOf(accounts[0]!)),
    )
    await broken.write(chunk)
    await broken[Symbol.asyncDispose]()
    expect(await spooled()).toEqual([])
  })

  it('LMTP-08: many at a time stay in little memory, whatever each may have', async () => {
    const account = await newUser()
    const deliverer = testDeliverer(store, { options: { memoryOctets: 2_097_152 } })
    const begin = () => deliverer.begin(newTransaction(recipientOf(account)))
    const piece = Buffer.alloc(262_144, `${'x'.repeat(62)}\r\n`)
    const spooled = async () => (await readdir(join(account.path, 'tmp'))).filter((name) => name !== 'swept')
    const others = Array.from({ length: 200 }, begin)
    const late = begin()
    await late.write(piece)
    expect(await spooled()).toHaveLength(1)
    for (const incoming of [late, ...others]) await incoming[Symbol.asyncDispose]()
    await using alone = begin()
    await alone.write(piece)
    expect(await spooled()).toEqual([])
  })
})

describe('fates are each recipient’s own', () => {
  it('LMTP-04, QUO-06: over quota is temporary or permanent, as the option says; shared folders and the others get theirs', async () => {
    const [full, other] = [await newUser(), await newUser()]
    const recipients = [
      recipientOf(full, { adding: () => Promise.reject(new StoreError('over-quota', 'full')) }),
      recipientOf(other),
    ]
    expect(await send(recipients)).toEqual([
      { kind: 'failed', reply: 452, status: '4.2.2', text: 'full' },
      stored(['INBOX', 1]),
    ])
    const strict = testDeliverer(store, { options: { isOverQuotaTemporary: false } })
    expect((await send(recipients, `X: y\r\n${plain}`, strict))[0]).toMatchObject({ reply: 552, status: '5.2.2' })
    expect(await files(full)).toEqual([])
  })

  it('LMTP-07: a missing INBOX is made, or the delivery fails', async () => {
    const [first, second] = [await newUser(store, false), await newUser(store, false)]
    const strict = testDeliverer(store, { options: { autocreate: false } })
    expect((await send([recipientOf(first)], plain, strict))[0]).toMatchObject({ kind: 'failed', reply: 550 })
    expect(await first.exists()).toBe(false)
    expect(await send([recipientOf(first), recipientOf(second)])).toEqual([stored(['INBOX', 1]), stored(['INBOX', 1])])
  })
})

describe('who sends the same message again', () => {
  it('has it stored once, also when it has left or was flagged, and by another process', async () => {
    const account = await newUser()
    const recipient = recipientOf(account)
    await send([recipient])
    expect(await send([recipient])).toEqual([{ kind: 'duplicate', mailbox: 'INBOX' }])
    await using other = openStore({ root: join(root, 'user'), clock: systemClock, log: silentLog })
    const there = recipientOf(other.account(account.userId))
    expect(await send([there], plain, testDeliverer(other))).toEqual([{ kind: 'duplicate', mailbox: 'INBOX' }])
    expect(await files(account)).toHaveLength(1)
    await using inbox = await account.open('INBOX')
    await inbox.expunge([inbox.messages.at(0)!.uid], 'client')
    expect(await send([recipient])).toEqual([{ kind: 'duplicate', mailbox: 'INBOX' }])
  })

  it('at the same moment, too', async () => {
    const account = await newUser()
    const fates = await Promise.all(Array.from({ length: 8 }, () => send([recipientOf(account)])))
    expect(
      fates
        .flat()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual([...Array(7).fill('duplicate'), 'stored'])
    expect(await texts(account)).toHaveLength(1)
  })

  it('but not another one, nor one that nothing tells from another that says the same', async () => {
    const account = await newUser()
    const recipient = recipientOf(account)
    await send([recipient])
    await send([recipient], plain.replace('text', 'tex.'))
    await send([{ ...recipient, address: 'anna+x@example.org' }])
    await send([recipient], 'Subject: alarm\r\n\r\n')
    await send([recipient], 'Subject: alarm\r\n\r\n')
    expect(await texts(account)).toHaveLength(5)
  })
})

describe('LMTP-05: with duplicate_suppression', () => {
  const octets = (text: string) => `${received}Message-Id: <1@example.net>\r\n\r\n${text}\r\n`

  it('a message whose Message-Id was delivered to the mailbox is not delivered again; other mailboxes are unaffected', async () => {
    const track = openMessageTrack({
      path: join(root, 'track'),
      clock: systemClock,
      log: silentLog,
      historySeconds: () => 100,
    })
    const deliverer = testDeliverer(store, { options: { suppressesDuplicates: true }, track })
    const [first, second] = [await newUser(), await newUser()]
    await first.create('Work')
    const together = await Promise.all(['a', 'b'].map((text) => send([recipientOf(first)], octets(text), deliverer)))
    expect(
      together
        .flat()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['duplicate', 'stored'])
    expect(await send([recipientOf(first), recipientOf(second)], octets('c'), deliverer)).toEqual([
      { kind: 'duplicate', mailbox: 'INBOX' },
      stored(['INBOX', 1]),
    ])
    expect(await send([recipientOf(first, { mailbox: 'Work' })], octets('d'), deliverer)).toEqual([stored(['Work', 1])])
    const without = `${received}Subject: x\r\n\r\n`
    for (const text of ['e', 'f'])
      expect((await send([recipientOf(second)], without + text, deliverer))[0]).toMatchObject({ kind: 'stored' })
    await track.close()
  })

  it('it is delivered where the records can not be used', async () => {
    const account = await newUser()
    await writeFile(join(root, 'file'), '')
    const track = openMessageTrack({
      path: join(root, 'file', 'track'),
      clock: systemClock,
      log: silentLog,
      historySeconds: () => 100,
    })
    const deliverer = testDeliverer(store, { options: { suppressesDuplicates: true }, track })
    for (const text of ['a', 'b'])
      expect((await send([recipientOf(account)], octets(text), deliverer))[0]).toMatchObject({ kind: 'stored' })
  })
})

describe('a filter decides', () => {
  it('where a copy goes, with which flags and header; what nobody edits stays one file', async () => {
    const [first, second] = [await newUser(), await newUser()]
    const deliverer = testDeliverer(store, {
      filter: async (_, { account }, { header }) => ({
        placings:
          account === second
            ? [{ mailbox: 'INBOX', flags: [], create: false }]
            : [
                { mailbox: 'New/Below', flags: ['\\Seen', 'x'], create: true },
                { mailbox: 'Missing', flags: ['y'], create: false },
                { mailbox: 'INBOX', flags: ['z'], create: false },
                {
                  mailbox: 'Edited',
                  flags: [],
                  create: true,
                  header: Buffer.concat([Buffer.from('X-Test: a\r\n'), header]),
                },
              ],
      }),
    })
    expect(await send([recipientOf(first), recipientOf(second)], plain, deliverer)).toEqual([
      stored(['New/Below', 1], ['INBOX', 1], ['Edited', 1]),
      stored(['INBOX', 1]),
    ])
    expect(await first.subscriptions()).toEqual(['Edited', 'New/Below'])
    await using inbox = await first.open('INBOX')
    expect([...inbox.messages.at(0)!.flags].sort()).toEqual(['y', 'z'])
    expect(await files(first)).toEqual(await files(second))
    expect(await texts(first, 'Edited')).toEqual([`X-Test: a\r\n${(await texts(first))[0]}`])
  })

  it('to refuse or discard; what it asks for is done before the fate is told, and failures keep the message', async () => {
    const account = await newUser()
    const done: string[] = []
    const told = async (name: string) => {
      done.push(name)
    }
    const decisions: Parameters<typeof testDeliverer>[1][] = [
      { filter: async () => ({ placings: [], refusal: { text: 'no' }, perform: () => told('refused') }) },
      { filter: async () => ({ placings: [], perform: () => told('sent'), end: () => done.push('ended') }) },
      { filter: () => Promise.reject(new Error('a defect')) },
      {
        filter: async () => ({
          placings: [],
          perform: () => Promise.reject(new StoreError('unavailable', 'no queue')),
          end: () => done.push('ended'),
        }),
      },
    ]
    const fates: Fate[] = []
    for (const parts of decisions)
      fates.push(...(await send([recipientOf(account)], plain, testDeliverer(store, parts))))
    expect(fates).toEqual([
      { kind: 'refused', text: 'no' },
      { kind: 'discarded' },
      stored(['INBOX', 1]),
      { kind: 'failed', reply: 451, status: '4.3.0', text: 'no queue' },
    ])
    expect(done).toEqual(['refused', 'sent', 'ended', 'ended'])
  })
})
