import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { bothSides } from './pass-support.ts'
import { clientOf } from './support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'
import { twoWays } from './two-ways.ts'

let dovecot: Dovecot
const users = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`user${at}`, 'secret']))
beforeAll(async () => {
  dovecot = await startDovecot({ users, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

let next = 0
const fresh = (changes: Parameters<typeof bothSides>[1] = {}) =>
  bothSides(dovecot, { user: `user${next++}`, ...changes })
const uids = (...values: number[]) => values as Uid[]

describe('an IMAP backend', () => {
  it('GW-03 GW-15: all mailboxes come with their messages, flags, dates and subscriptions', async () => {
    const both = await fresh()
    const { other, account } = both
    for (const path of ['Sent', 'Ablage/Büro', 'a & b']) await other.mailboxCreate(path)
    // imapflow subscribes to what it makes.
    for (const path of ['Ablage/Büro', 'a & b']) await other.mailboxUnsubscribe(path)
    await other.append('INBOX', message('one'), ['\\Seen', '$Work'], new Date(1_600_000_000_000))
    await other.append('INBOX', message('two', '\xfe\xff binary'))
    await other.append('Ablage/Büro', message('three'), ['\\Flagged'])
    const result = await both.pass()
    expect(result).toMatchObject({ mailboxes: 4, listed: 3, fetched: 3, failed: 0 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
    expect((await treeHere(both)).INBOX![0]!.date).toBe(1_600_000_000)
    expect((await account.subscriptions()).filter((name) => name !== 'INBOX')).toEqual(['Sent'])
    expect(await both.pass()).toMatchObject({ mailboxes: 4, fetched: 0, flags: 0, sent: 0 })
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
    const result = await both.pass()
    expect(result).toMatchObject({ fetched: 1, sent: 1, expungedHere: 1, deletedThere: 1, failed: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await treeThere(both))
    expect(here.INBOX!.map(({ text, flags }) => [/Subject: (\S+)/.exec(text)![1], flags])).toEqual([
      ['a', '\\Flagged todo'],
      ['c', '\\Seen'],
      ['e', ''],
      ['ours', '\\Draft'],
      ['theirs', ''],
    ])
    // Nothing is left to do, and what was sent does not come back.
    await both.pass()
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0, flags: 0, deletedThere: 0, expungedHere: 0 })
    expect(await treeHere(both)).toEqual(here)
  })

  it('mailboxes are made, renamed, removed and subscribed to on both sides', async () => {
    const both = await fresh()
    const { other, account } = both
    for (const path of ['stays', 'goes there', 'moves there', 'goes here']) {
      await other.mailboxCreate(path)
      await other.append(path, message(path))
    }
    await both.pass()
    const names = async () => [Object.keys(await treeHere(both)).sort(), Object.keys(await treeThere(both)).sort()]
    await account.create('new here/below')
    await put(await both.open('new here/below'), message('new'))
    await account.remove('goes here')
    await other.mailboxDelete('goes there')
    await other.mailboxRename('moves there', 'moved there')
    await other.mailboxCreate('new there')
    await account.rename('stays', 'renamed/under/another')
    await account.subscribe('new here/below')
    await both.pass()
    const wanted = ['INBOX', 'moved there', 'new here/below', 'new there', 'renamed/under/another']
    expect(await names()).toEqual([wanted, wanted])
    expect(await treeHere(both)).toEqual(await treeThere(both))
    const subscribed = (await other.list()).filter((mailbox) => mailbox.subscribed).map(({ path }) => path)
    expect(subscribed).toContain('new here/below')
    await both.pass()
    expect(await names()).toEqual([wanted, wanted])
  })

  it('a mailbox that was renamed there is renamed here, and another one of its old name is another one', async () => {
    const both = await fresh()
    const { other, account } = both
    await other.mailboxCreate('old')
    for (const subject of ['a', 'b']) await other.append('old', message(subject))
    await both.pass()
    const { mailboxId, uidValidity } = await account.status('old')
    await other.mailboxRename('old', 'new')
    await other.mailboxCreate('old')
    await other.append('old', message('c'))
    expect(await both.pass()).toMatchObject({ fetched: 1, sent: 0, expungedHere: 0, deletedThere: 0 })
    expect(await account.status('new')).toMatchObject({ mailboxId, uidValidity, messages: 2 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
  })

  it('what is renamed and removed below a mailbox that is renamed too is so on the other side, and nothing comes back', async () => {
    const both = await fresh()
    const { other, account } = both
    for (const path of ['p', 'p/x', 'p/y', 'q', 'q/x', 'q/y']) {
      await other.mailboxCreate(path)
      await other.append(path, message(path))
    }
    await both.pass()
    await other.mailboxRename('p', 'r')
    await other.mailboxRename('r/x', 'r/z')
    await other.mailboxDelete('r/y')
    await account.rename('q', 's')
    await account.rename('s/x', 's/z')
    await account.remove('s/y')
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0 })
    await both.pass()
    expect(Object.keys(await treeThere(both)).sort()).toEqual(['INBOX', 'r', 'r/z', 's', 's/z'])
    expect(await treeHere(both)).toEqual(await treeThere(both))
  })

  it('a mailbox that was removed here goes there too, after messages moved into it and out of it', async () => {
    const both = await fresh()
    const { other, account } = both
    for (const subject of ['a', 'b', 'c']) await other.append('INBOX', message(subject))
    await both.pass()
    await account.create('Ideas')
    const inbox = await both.open()
    const ideas = await both.open('Ideas')
    await inbox.moveTo(uids(1, 2), ideas)
    await both.pass()
    expect(await treeHere(both)).toEqual(await treeThere(both))
    expect((await treeThere(both)).Ideas!.length).toBe(2)
    await both.pass()
    await account.remove('Ideas')
    await both.pass()
    expect(Object.keys(await treeThere(both))).toEqual(['INBOX'])
  })
})

it('a pass that finds nothing new writes nothing', async () => {
  const both = await fresh()
  await both.other.mailboxCreate('Work')
  for (const name of ['INBOX', 'Work']) await both.other.append(name, message(name))
  await both.pass()
  const root = both.store.roots[0]!
  const files = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    const paths = entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
    return Promise.all(paths.sort().map(async (path) => [path, (await stat(path)).mtimeMs, (await stat(path)).size]))
  }
  await both.pass()
  const before = await files()
  expect(await both.pass()).toMatchObject({ listed: 2, fetched: 0 })
  expect(await files()).toEqual(before)
})

describe('UIDVALIDITY there changes (D7)', () => {
  /** Dovecot numbers a mailbox anew when it has lost its index and list of UIDs. */
  async function renumber(user: string): Promise<void> {
    const { readdirSync, readFileSync, rmSync } = await import('node:fs')
    const maildir = `${dovecot.home(user)}/Maildir`
    const before = Number(/^3 V(\d+)/.exec(readFileSync(`${maildir}/dovecot-uidlist`, 'latin1'))![1])
    for (const name of readdirSync(maildir)) if (name.startsWith('dovecot')) rmSync(`${maildir}/${name}`)
    // The new UIDVALIDITY is the second in which it is given: in the same one it would be the old one.
    while (Date.now() < (before + 1) * 1000) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  it('messages are found again by what they are: none is fetched, deleted or doubled, and UIDs here stay', async () => {
    const both = await fresh()
    const { other } = both
    for (let at = 0; at < 30; at += 1) await other.append('INBOX', message(`m${at}`), at % 2 === 0 ? ['\\Seen'] : [])
    // Without Message-ID, and two that are alike but for their bodies.
    for (const body of ['one', 'two', 'one']) await other.append('INBOX', `Subject: same\r\n\r\n${body}\r\n`)
    await both.pass()
    const inbox = await both.open()
    const look = () => [...inbox.messages].map(({ uid, digest }) => [uid, digest])
    const before = look()
    const validity = inbox.uidValidity
    await inbox.expunge(uids(3), 'client')
    await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Flagged'] })
    other.close()
    await renumber(`user${next - 1}`)
    const again = await clientOf(dovecot, { user: `user${next - 1}` })
    await again.append('INBOX', message('new'))
    const result = await both.pass()
    expect(result).toMatchObject({ fetched: 1, sent: 0, expungedHere: 0, deletedThere: 0, held: 0 })
    // What was deleted here is known again, and goes there with the next pass.
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0, expungedHere: 0, deletedThere: 1 })
    await inbox.refresh()
    expect(look().slice(0, -1)).toEqual(before.filter(([uid]) => uid !== 3))
    expect(inbox.uidValidity).toBe(validity)
    expect(await treeHere(both)).toEqual(await treeThere({ other: again }))
    expect((await treeHere(both)).INBOX!.filter(({ flags }) => flags.includes('\\Flagged')).length).toBe(1)
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0, expungedHere: 0, deletedThere: 0 })
    again.close()
  })
})

it('what a server without UIDPLUS takes is found again, and not fetched', async () => {
  const both = await fresh({ without: ['UIDPLUS', 'IMAP4REV2'] })
  const { other } = both
  await both.pass()
  const inbox = await both.open()
  for (const subject of ['a', 'b', 'c']) await put(inbox, message(subject))
  expect(await both.pass()).toMatchObject({ sent: 3, fetched: 0 })
  await other.append('INBOX', message('d'))
  expect(await both.pass()).toMatchObject({ sent: 0, fetched: 1 })
  expect(await treeHere(both)).toEqual(await treeThere(both))
})

it('D9: nothing is deleted here because a mailbox is empty there, before that was seen in three passes and a day', async () => {
  const both = await fresh()
  const { other } = both
  for (let at = 0; at < 20; at += 1) await other.append('INBOX', message(`m${at}`))
  await both.pass()
  await other.mailboxOpen('INBOX')
  await other.messageDelete('1:*')
  let offsetMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + offsetMs } as typeof systemClock
  for (let pass = 0; pass < 3; pass += 1) {
    expect(await both.pass({}, { clock })).toMatchObject({ held: 20, expungedHere: 0 })
    offsetMs += 40_000_000
  }
  expect((await treeHere(both)).INBOX!.length).toBe(20)
  offsetMs += 40_000_000
  expect(await both.pass({}, { clock })).toMatchObject({ held: 0, expungedHere: 20 })
})

it('GW-22 GW-20 UDB-09: INBOX alone, its newest messages, below a prefix', async () => {
  const both = await fresh({ mailbox: 'Provider/' })
  const { other, account } = both
  await other.mailboxCreate('Sent')
  for (let at = 0; at < 5; at += 1) await other.append('INBOX', message(`m${at}`))
  await account.create('Own')
  expect(await both.pass({ inboxOnly: true, fetchLastN: 2 })).toMatchObject({ mailboxes: 1, fetched: 2 })
  expect((await treeHere(both))['Provider/INBOX']!.length).toBe(2)
  await other.append('INBOX', message('m5'))
  expect(await both.pass({ inboxOnly: true, fetchLastN: 2 })).toMatchObject({
    fetched: 1,
    pushedOut: 1,
    deletedThere: 0,
  })
  expect(Object.keys(await treeHere(both)).sort()).toEqual(['INBOX', 'Own', 'Provider/INBOX'])
  await both.pass()
  expect(Object.keys(await treeHere(both)).sort()).toEqual(['INBOX', 'Own', 'Provider/INBOX', 'Provider/Sent'])
  expect(Object.keys(await treeThere(both)).sort()).toEqual(['INBOX', 'Sent'])
})

it('passes that are killed at any call lose nothing and double nothing, whatever both sides change meanwhile', async () => {
  const { violations, kills } = await twoWays(20, 42)
  expect(violations).toEqual([])
  expect(kills).toBeGreaterThan(3)
}, 120_000)

it('a message of 3 MB that was put here goes there, and is known there', async () => {
  const both = await fresh()
  const large = message(
    'large',
    'x'
      .repeat(76)
      .concat('\r\n')
      .repeat(3 * 13_000),
  )
  await put(await both.open(), large, ['\\Flagged'])
  expect(await both.pass()).toMatchObject({ sent: 1, failed: 0 })
  expect(await both.pass()).toMatchObject({ sent: 0, fetched: 0 })
  expect(await treeHere(both)).toEqual(await treeThere(both))
})
