/**
 * Renames that something comes between: a pass that is cut short after it sent messages and before it remembers as what, a backend that refuses,
 * another client. No mailbox becomes two, and nothing is there twice.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { withMark } from '#gateway/sync/imap/names.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { type Both, bothSides } from './pass-support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'

let dovecot: Dovecot
const users = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`user${at}`, 'secret']))
beforeAll(async () => {
  dovecot = await startDovecot({ users, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

let next = 0
const fresh = () => bothSides(dovecot, { user: `user${next++}` })

/** What was sent is at the backend, and nobody here knows as what. */
async function cutShort(both: Both): Promise<void> {
  const mailboxes = Object.getPrototypeOf(await both.open()) as Awaited<ReturnType<Both['open']>>
  const origins = vi.spyOn(mailboxes, 'giveOrigins').mockRejectedValue(new Error('killed'))
  try {
    await expect(both.pass()).rejects.toThrow('killed')
  } finally {
    origins.mockRestore()
  }
}

async function subjects(both: Both): Promise<Record<string, readonly string[]>> {
  await both.pass()
  await both.pass()
  const here = await treeHere(both)
  expect(here).toEqual(await treeThere(both))
  return subjectsOf(here)
}

const subjectsOf = (tree: Awaited<ReturnType<typeof treeHere>>): Record<string, readonly string[]> =>
  Object.fromEntries(
    Object.entries(tree).map(([name, seen]) => [
      name,
      seen.map(({ text }) => /Subject: (.+)\r/.exec(text)![1]!).sort(),
    ]),
  )

describe('a mailbox that is renamed there after a pass was cut short while it sent messages to it', () => {
  it('is the same: new here', async () => {
    const both = await fresh()
    await both.pass()
    await both.account.create('a')
    for (const subject of ['one', 'two']) await put(await both.open('a'), message(subject))
    await cutShort(both)
    await both.other.mailboxRename('a', 'b')
    expect(await subjects(both)).toEqual({ INBOX: [], b: ['one', 'two'] })
  })

  it('is the same: empty before', async () => {
    const both = await fresh()
    await both.account.create('a')
    await both.pass()
    await both.pass()
    for (const subject of ['one', 'two']) await put(await both.open('a'), message(subject))
    await cutShort(both)
    await both.other.mailboxRename('a', 'b')
    expect(await subjects(both)).toEqual({ INBOX: [], b: ['one', 'two'] })
  })

  it('is the same: moved from INBOX', async () => {
    const both = await fresh()
    await both.account.create('a')
    const inbox = await both.open()
    for (const subject of ['one', 'two']) await put(inbox, message(subject))
    await both.pass()
    await both.pass()
    await inbox.refresh()
    await inbox.moveTo(
      [...inbox.messages].map(({ uid }) => uid),
      await both.open('a'),
    )
    await cutShort(both)
    await both.other.mailboxRename('a', 'b')
    expect(await subjects(both)).toEqual({ INBOX: [], b: ['one', 'two'] })
  })
})

it('a mailbox here whose new name the backend refuses stays the one that it was, and another one of its old name is another one', async () => {
  const both = await fresh()
  for (const path of ['a', 'a/x']) {
    await both.other.mailboxCreate(path)
    await both.other.append(path, message(`in ${path}`))
  }
  await both.pass()
  // Dovecot takes no name that begins so.
  await both.account.rename('a', '~a')
  await both.account.create('a')
  await put(await both.open('a'), message('another'))
  await put(await both.open('~a'), message('new in a'))
  for (let passes = 0; passes < 4; passes += 1) await both.pass()
  expect(subjectsOf(await treeHere(both))).toEqual({
    INBOX: [],
    a: ['another'],
    '~a': ['in a', 'new in a'],
    '~a/x': ['in a/x'],
  })
  expect(subjectsOf(await treeThere(both))).toEqual({
    INBOX: [],
    a: ['in a', 'new in a'],
    'a/x': ['in a/x'],
    [withMark('a', 'a')]: ['another'],
  })
  await both.account.rename('~a', 'b')
  await both.pass()
  expect(subjectsOf(await treeThere(both))).toMatchObject({ b: ['in a', 'new in a'], 'b/x': ['in a/x'] })
})

it('a mailbox that was renamed there stays the one that it was here when a client makes one of its new name meanwhile', async () => {
  const both = await fresh()
  await both.other.mailboxCreate('a')
  await both.other.append('a', message('in a'))
  await both.pass()
  await both.other.mailboxRename('a', 'b')
  await both.other.append('b', message('new in a'))
  const accounts = Object.getPrototypeOf(both.account) as Both['account']
  const { rename } = accounts
  const renaming = vi.spyOn(accounts, 'rename').mockImplementationOnce(async function (
    this: Both['account'],
    from,
    to,
  ) {
    await both.account.create(to)
    await put(await both.open(to), message('another'))
    await rename.call(this, from, to)
  })
  for (let passes = 0; passes < 3; passes += 1) await both.pass()
  renaming.mockRestore()
  expect(subjectsOf(await treeHere(both))).toEqual({ INBOX: [], a: ['in a', 'new in a'], b: ['another'] })
  expect(subjectsOf(await treeThere(both))).toEqual({
    INBOX: [],
    b: ['in a', 'new in a'],
    [withMark('b', 'b')]: ['another'],
  })
})
