import type { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import type { Uid } from '#src/base/ids.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'
import { clientOf } from './support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'

let main: Dovecot
let extra: Dovecot
beforeAll(async () => {
  ;[main, extra] = await Promise.all([
    startDovecot({ users: { anna: 'secret', bert: 'secret', carl: 'secret' }, protocols: ['imap'] }),
    startDovecot({ users: { work: 'secret', shop: 'secret', office: 'secret', stall: 'secret' } }),
  ])
})
afterAll(() => Promise.all([main.stop(), extra.stop()]))

const subjects = (tree: Awaited<ReturnType<typeof treeHere>>) =>
  Object.fromEntries(
    Object.entries(tree).map(([name, seen]) => [name, seen.map(({ text }) => /Subject: (.*)\r/.exec(text)![1])]),
  )
const subscribedAt = async (client: ImapFlow) =>
  // imapflow takes INBOX for subscribed to.
  (await client.list()).flatMap(({ path, subscribed }) => (subscribed && path !== 'INBOX' ? [path] : [])).sort()

it('SYN-03 UDB-09 UDB-12: several backends of one user keep to their own mailboxes', async () => {
  const gateway = await testStore()
  const account = gateway.store.account(userId)
  const backends = [
    backendAt(main.imapPort, { protocol: 'imap', mailbox: '' }),
    backendAt(extra.imapPort, { protocol: 'imap', user: 'work', mailbox: 'Work/' }),
    backendAt(extra.pop3Port, { user: 'shop', mailbox: 'Shop' }),
  ]
  const syncers = backends.map((backend) => new Syncer(gateway.store, backend, { limits: defaultLimits }))
  const pass = async () => {
    for (const [at, syncer] of syncers.entries())
      await syncer.sync({}, { password: Buffer.from('secret'), others: backends.toSpliced(at, 1) })
  }
  const [anna, work] = [await clientOf(main), await clientOf(extra, { user: 'work' })]
  onTestFinished(async () => {
    anna.close()
    work.close()
    await gateway[Symbol.asyncDispose]()
  })
  await anna.append('INBOX', message('to anna'))
  await work.append('INBOX', message('to work'))
  await work.mailboxCreate('Plans')
  await work.append('Plans', message('a plan'))
  await extra.fill('shop', [Buffer.from(message('an order'))])
  // Names at the one provider that are the other backends' here.
  for (const path of ['Work/Own', 'Shop']) {
    await anna.mailboxCreate(path)
    await anna.append(path, message(`anna's ${path}`))
  }
  await pass()
  await pass()
  const first = {
    INBOX: ['to anna'],
    Shop: ['an order'],
    'Work/INBOX': ['to work'],
    'Work/Plans': ['a plan'],
    '_Work/Own': ["anna's Work/Own"],
    _Shop: ["anna's Shop"],
  }
  expect(subjects(await treeHere({ account }))).toEqual(first)
  expect(Object.keys(await treeThere({ other: anna })).sort()).toEqual(['INBOX', 'Shop', 'Work/Own'])
  expect(Object.keys(await treeThere({ other: work })).sort()).toEqual(['INBOX', 'Plans'])

  // What clients do goes to one provider: the one whose mailbox it is.
  for (const name of ['Work/New', 'New']) {
    await account.create(name)
    await account.subscribe(name)
    await using mailbox = await account.open(name)
    await put(mailbox, message(`in ${name}`))
  }
  await account.subscribe('Shop')
  await account.remove('Work/Plans')
  await account.rename('Shop', 'Orders')
  await pass()
  await pass()
  expect(subjects(await treeHere({ account }))).toEqual({
    INBOX: ['to anna'],
    New: ['in New'],
    Orders: ['an order'],
    'Work/INBOX': ['to work'],
    'Work/New': ['in Work/New'],
    '_Work/Own': ["anna's Work/Own"],
    _Shop: ["anna's Shop"],
  })
  expect(subjects(await treeThere({ other: anna }))).toEqual({
    INBOX: ['to anna'],
    New: ['in New'],
    'Work/Own': ["anna's Work/Own"],
    Shop: ["anna's Shop"],
  })
  expect(subjects(await treeThere({ other: work }))).toEqual({ INBOX: ['to work'], New: ['in Work/New'] })
  expect(await subscribedAt(anna)).toEqual(['New', 'Shop', 'Work/Own'])
  expect(await subscribedAt(work)).toEqual(['New'])

  // One that is moved below the prefix of another backend stays with its own, where it was.
  await account.rename('New', 'Work/Moved')
  await pass()
  await pass()
  expect(Object.keys(await treeThere({ other: anna })).sort()).toEqual(['INBOX', 'New', 'Shop', 'Work/Own'])
  expect(Object.keys(await treeThere({ other: work })).sort()).toEqual(['INBOX', 'New'])
}, 60_000)

it('a message that is moved from one backend to another is deleted at the first when the second has it', async () => {
  const gateway = await testStore()
  const account = gateway.store.account(userId)
  const backends = [
    backendAt(main.imapPort, { protocol: 'imap', mailbox: '', user: 'bert' }),
    backendAt(extra.imapPort, { protocol: 'imap', user: 'office', mailbox: 'Work/' }),
  ] as const
  const [atMain, atExtra] = backends.map((backend, at) => {
    const syncer = new Syncer(gateway.store, backend, { limits: defaultLimits })
    return () => syncer.sync({}, { password: Buffer.from('secret'), others: backends.toSpliced(at, 1) })
  }) as [() => Promise<unknown>, () => Promise<unknown>]
  const [bert, office] = [await clientOf(main, { user: 'bert' }), await clientOf(extra, { user: 'office' })]
  onTestFinished(async () => {
    bert.close()
    office.close()
    await gateway[Symbol.asyncDispose]()
  })
  await bert.mailboxCreate('Old')
  for (const path of ['INBOX', 'Old']) await bert.append(path, message(`from ${path}`))
  await office.mailboxCreate('Plans')
  await atMain()
  await atExtra()
  {
    await using inbox = await account.open('INBOX')
    await using old = await account.open('Old')
    await using plans = await account.open('Work/Plans')
    await inbox.moveTo([1 as Uid], plans)
    await old.moveTo([1 as Uid], plans)
  }
  await account.remove('Old')
  // As if the second one could not be reached.
  for (let pass = 0; pass < 3; pass += 1) await atMain()
  const before = { INBOX: ['from INBOX'], Old: ['from Old'] }
  expect(subjects(await treeThere({ other: bert }))).toEqual(before)
  await atExtra()
  expect(subjects(await treeThere({ other: office })).Plans!.sort()).toEqual(['from INBOX', 'from Old'])
  expect(subjects(await treeThere({ other: bert }))).toEqual(before)
  await atMain()
  expect(subjects(await treeThere({ other: bert }))).toEqual({ INBOX: [] })
  expect(subjects(await treeHere({ account }))).toMatchObject({ INBOX: [], 'Work/Plans': ['from INBOX', 'from Old'] })
}, 60_000)

it('a message that is moved from a POP3 backend to an IMAP backend is deleted at the first when the second has it', async () => {
  const gateway = await testStore()
  const account = gateway.store.account(userId)
  const backends = [
    backendAt(main.imapPort, { protocol: 'imap', mailbox: '', user: 'carl' }),
    backendAt(extra.pop3Port, { user: 'stall', mailbox: 'Stall' }),
  ] as const
  const [atImap, atPop] = backends.map((backend, at) => {
    const syncer = new Syncer(gateway.store, backend, { limits: defaultLimits })
    return () => syncer.sync({}, { password: Buffer.from('secret'), others: backends.toSpliced(at, 1) })
  }) as [() => Promise<SyncResult>, () => Promise<SyncResult>]
  const carl = await clientOf(main, { user: 'carl' })
  onTestFinished(async () => {
    carl.close()
    await gateway[Symbol.asyncDispose]()
  })
  await extra.fill('stall', [Buffer.from(message('moved')), Buffer.from(message('deleted'))])
  await atImap()
  await atPop()
  {
    await using stall = await account.open('Stall')
    await using inbox = await account.open('INBOX')
    const moved = [...stall.messages].map(({ uid }) => uid)
    await stall.moveTo([moved[0]!], inbox)
    await stall.expunge([moved[1]!], 'client')
  }
  expect(await atPop()).toMatchObject({ listed: 2, deletedThere: 1, fetched: 0 })
  expect(await atPop()).toMatchObject({ listed: 1, deletedThere: 0, fetched: 0 })
  await atImap()
  expect(subjects(await treeThere({ other: carl }))).toEqual({ INBOX: ['moved'] })
  expect(await atPop()).toMatchObject({ listed: 1, deletedThere: 1 })
  expect(await atPop()).toMatchObject({ listed: 0 })
}, 60_000)
