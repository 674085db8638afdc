/** IMAP backends that are not Dovecot, with the namespaces and separators that they have. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { startCourier } from '../../../support/courier.ts'
import { startCyrus } from '../../../support/cyrus.ts'
import { fixtureMessages } from '../../../support/messages.ts'
import { bothSides } from './pass-support.ts'
import { message, put, type Seen, treeHere, treeThere } from './trees.ts'
import { twoWays } from './two-ways.ts'

const users = Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`user${at}`, 'secret']))
const uids = (...values: number[]) => values as Uid[]

describe.each([
  { name: 'Courier', start: () => startCourier({ users }), prefix: 'INBOX.', separator: '.', qresync: false },
  { name: 'Cyrus', start: () => startCyrus({ users }), prefix: 'INBOX.', separator: '.', qresync: true },
  {
    name: 'Cyrus with altnamespace',
    start: () => startCyrus({ users, altNamespace: true }),
    prefix: '',
    separator: '.',
    qresync: true,
  },
  {
    name: 'Cyrus with altnamespace and unixhierarchysep',
    start: () => startCyrus({ users, altNamespace: true, separator: '/' }),
    prefix: '',
    separator: '/',
    qresync: true,
  },
])('$name as an IMAP backend', ({ start, prefix, separator, qresync }) => {
  let server: Awaited<ReturnType<typeof start>>
  let next = 0
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())
  const fresh = () => bothSides(server, { user: `user${next++}` })
  const there = (name: string) => prefix + name.replaceAll('/', separator)
  /** What is there, by the names that it has here. */
  const beyond = async (both: Parameters<typeof treeThere>[0]) => {
    const tree: Record<string, readonly Seen[]> = {}
    for (const [path, seen] of Object.entries(await treeThere(both)))
      tree[path === 'INBOX' ? path : path.slice(prefix.length).replaceAll(separator, '/')] = seen
    return tree
  }

  /** Cyrus makes a mailbox above another one, too. */
  const named = (tree: object) =>
    Object.keys(tree)
      .filter((name) => name !== 'Ablage' && name !== 'new here')
      .sort()

  it('GW-03 GW-15: all mailboxes come with their messages, flags, dates and subscriptions', async () => {
    const both = await fresh()
    const { other, account } = both
    expect(other.capabilities.has('QRESYNC')).toBe(qresync)
    for (const name of ['Sent', 'Ablage/Büro', 'a & b', 'o~ld']) await other.mailboxCreate(there(name))
    for (const name of ['a & b', 'o~ld']) await other.mailboxUnsubscribe(there(name))
    await other.append('INBOX', message('one'), ['\\Seen', '$Work'], new Date(1_600_000_000_000))
    await other.append(there('Ablage/Büro'), message('three'), ['\\Flagged'])
    expect(await both.pass()).toMatchObject({ fetched: 2, failed: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await beyond(both))
    expect(here.INBOX).toEqual([{ text: message('one'), flags: '$Work \\Seen', date: 1_600_000_000 }])
    expect(named(here)).toEqual(['Ablage/Büro', 'INBOX', 'Sent', 'a & b', 'o~ld'])
    expect((await account.subscriptions()).filter((name) => name !== 'INBOX').sort()).toEqual(['Ablage/Büro', 'Sent'])
    expect(await both.pass()).toMatchObject({ fetched: 0, flags: 0, sent: 0 })
  })

  it('GW-15: a mailbox comes that is not subscribed to, though one below it is', async () => {
    const both = await fresh()
    for (const name of ['above', 'above/below']) {
      await both.other.mailboxCreate(there(name))
      await both.other.append(there(name), message(name))
    }
    await both.other.mailboxUnsubscribe(there('above'))
    await both.other.mailboxSubscribe(there('above/below'))
    expect(await both.pass()).toMatchObject({ fetched: 2, failed: 0 })
    const here = await treeHere(both)
    expect([here.above, here['above/below']].map((seen) => seen?.map(({ text }) => text))).toEqual([
      [message('above')],
      [message('above/below')],
    ])
    expect(await both.account.subscriptions()).not.toContain('above')
  })

  it('flags, new messages and deletions go both ways', async () => {
    const both = await fresh()
    const { other } = both
    for (const subject of ['a', 'b', 'c', 'd', 'e']) await other.append('INBOX', message(subject))
    await both.pass()
    const inbox = await both.open()
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Flagged', 'todo'] })
    await inbox.expunge(uids(2), 'client')
    await put(inbox, message('ours'), ['\\Draft'])
    await other.mailboxOpen('INBOX')
    await other.messageFlagsAdd('3', ['\\Seen'], { uid: true })
    await other.messageDelete('4', { uid: true })
    await other.append('INBOX', message('theirs'))
    expect(await both.pass()).toMatchObject({ fetched: 1, sent: 1, expungedHere: 1, deletedThere: 1, failed: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await beyond(both))
    expect(here.INBOX!.map(({ text, flags }) => [/Subject: (\S+)/.exec(text)![1], flags])).toEqual([
      ['a', '\\Flagged todo'],
      ['c', '\\Seen'],
      ['e', ''],
      ['ours', '\\Draft'],
      ['theirs', ''],
    ])
    await both.pass()
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0, flags: 0, deletedThere: 0, expungedHere: 0 })
    expect(await treeHere(both)).toEqual(here)
  })

  it('mailboxes are made, renamed and removed on both sides', async () => {
    const both = await fresh()
    const { other, account } = both
    for (const name of ['stays', 'goes there', 'moves there', 'goes here']) {
      await other.mailboxCreate(there(name))
      await other.append(there(name), message(name))
    }
    await both.pass()
    await account.create('new here/below')
    await put(await both.open('new here/below'), message('new'))
    await account.remove('goes here')
    await other.mailboxDelete(there('goes there'))
    await other.mailboxRename(there('moves there'), there('moved there'))
    await other.mailboxCreate(there('new there'))
    await account.rename('stays', 'renamed')
    await both.pass()
    await both.pass()
    const here = await treeHere(both)
    expect(named(here)).toEqual(['INBOX', 'moved there', 'new here/below', 'new there', 'renamed'])
    expect(here).toEqual(await beyond(both))
    expect(here.renamed).toHaveLength(1)
    expect(here['moved there']).toHaveLength(1)
  })

  it('GW-03: odd messages come with the octets that another client gets', async () => {
    const both = await fresh()
    let taken = 0
    for (const { octets } of fixtureMessages())
      await both.other.append('INBOX', octets).then(
        () => (taken += 1),
        // Cyrus takes no NUL, bare LF or broken header.
        (error: { responseText?: string }) => expect(error.responseText).toMatch(/^Message contains/),
      )
    expect(taken).toBeGreaterThan(20)
    expect(await both.pass()).toMatchObject({ fetched: taken, failed: 0 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
  })
})

it('Cyrus: passes that are killed at any call lose nothing and double nothing', async () => {
  const { violations, kills } = await twoWays(10, 42, [], 'cyrus')
  expect(violations).toEqual([])
  expect(kills).toBeGreaterThan(1)
}, 120_000)
