import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { uids } from '../../../store/support.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { bothSides } from './pass-support.ts'
import { message, treeHere, treeThere } from './trees.ts'

let dovecot: Dovecot
const users = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((user) => [user, 'secret']))
beforeAll(async () => {
  dovecot = await startDovecot({ users, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

const names = Object.keys(users)
/** INBOX with three messages on both sides, and a mailbox beside it. */
async function three(without: readonly string[] = []) {
  const both = await bothSides(dovecot, { user: names.pop()!, without })
  await both.other.mailboxCreate('Work')
  for (const subject of ['a', 'b', 'c']) await both.other.append('INBOX', message(subject), ['\\Flagged'])
  await both.pass()
  return { ...both, inbox: await both.open(), work: await both.open('Work') }
}

describe.each([
  ['MOVE (RFC 6851)', []],
  ['UID COPY, STORE and UID EXPUNGE, where the backend has no MOVE', ['MOVE']],
])('by %s', (_how, without) => {
  it('what was moved and copied here is moved and copied there, with the flags that it has here; nothing is sent', async () => {
    const both = await three(without)
    await both.inbox.changeFlags({ uids: uids(1), mode: 'set', flags: ['\\Seen', 'Later'] })
    await both.inbox.moveTo(uids(1), both.work)
    await both.inbox.copyTo(uids(2, 3), both.work)
    await both.work.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Answered'] })
    // The last of two copies in the same mailbox has to be sent.
    await both.inbox.copyTo(uids(3), both.work)
    expect(await both.pass()).toMatchObject({ relocated: 3, sent: 1, fetched: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await treeThere(both))
    expect(here.Work!.map(({ flags }) => flags)).toEqual([
      'Later \\Seen',
      '\\Answered \\Flagged',
      '\\Flagged',
      '\\Flagged',
    ])
    expect(here.INBOX!.length).toBe(2)
    expect(await both.pass()).toMatchObject({ relocated: 0, sent: 0, fetched: 0, deletedThere: 0, expungedHere: 0 })
    expect(await treeThere(both)).toEqual(here)
  })

  it('on and back again, after the mailbox that it came from was renamed', async () => {
    const both = await three(without)
    await both.inbox.moveTo(uids(1, 2), both.work)
    await both.account.create('Third')
    await using third = await both.account.open('Third')
    await both.work.moveTo(uids(1), third)
    await both.work.moveTo(uids(2), both.inbox)
    expect(await both.pass()).toMatchObject({ relocated: 2, sent: 0, fetched: 0 })
    await third.refresh()
    await third.moveTo(uids(1), both.work)
    await both.account.rename('Third', 'Fourth')
    expect(await both.pass()).toMatchObject({ relocated: 1, sent: 0, fetched: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await treeThere(both))
    expect(Object.entries(here).map(([name, seen]) => [name, seen.length])).toEqual([
      ['INBOX', 2],
      ['Fourth', 0],
      ['Work', 1],
    ])
  })

  it('what is gone there meanwhile is sent: who put it somewhere wants it there', async () => {
    const both = await three(without)
    await both.inbox.moveTo(uids(1, 2), both.work)
    await both.other.mailboxOpen('INBOX')
    await both.other.messageDelete('1', { uid: true })
    expect(await both.pass()).toMatchObject({ relocated: 1, sent: 1, fetched: 0 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
    expect((await both.pass()).listed).toBe(3)
  })
})

it('a backend that does not tell what became of messages (no UIDPLUS) is sent them', async () => {
  const both = await three(['UIDPLUS'])
  await both.inbox.moveTo(uids(1), both.work)
  expect(await both.pass()).toMatchObject({ relocated: 0, sent: 1, fetched: 0 })
  await both.pass()
  expect(await treeHere(both)).toEqual(await treeThere(both))
})
