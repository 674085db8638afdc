import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import type { UserId } from '#src/base/ids.ts'
import { deliverAll } from '../../../store/actions.ts'
import { uids } from '../../../store/support.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { imapMessage, type ScriptedImap, scriptedImap } from '../../../support/imap-script.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'
import { bothSides } from './pass-support.ts'
import { message, treeHere, treeThere } from './trees.ts'

let dovecot: Dovecot
const users = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((user) => [user, 'secret']))
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

it('what another user moved or copied here, out of mailboxes of his own backend, is sent; what he took is deleted there', async () => {
  const both = await three()
  const friend = both.store.account('friend@example.org' as UserId)
  await friend.ensure()
  await using theirs = await friend.open('INBOX')
  await deliverAll(
    theirs,
    ['x', 'y'].map((text, at) => ({
      text: message(text),
      origin: `imap://there/INBOX/1/${at + 1}`,
    })),
  )
  await theirs.copyTo(uids(1), both.work)
  await theirs.moveTo(uids(2), both.work)
  await both.inbox.moveTo(uids(1), theirs)
  expect(await both.pass()).toMatchObject({ relocated: 0, sent: 2, deletedThere: 1 })
  const here = await treeHere(both)
  expect([here.INBOX!.length, here.Work!.length]).toEqual([2, 2])
  expect(here).toEqual(await treeThere(both))
  expect(theirs.messages.length).toBe(2)
})

describe('a backend that', () => {
  /** Two messages are moved here; `told`: what the server says of messages that it has copied or moved. */
  async function moved(answers: (server: ScriptedImap) => void) {
    await using server = await scriptedImap({
      mailboxes: { INBOX: ['a', 'b'].map((name, at) => imapMessage(at + 1, message(name))), Work: [] },
      capabilities: ['UIDPLUS', 'NAMESPACE', 'LITERAL+', 'MOVE'],
    })
    answers(server)
    const gateway = await testStore()
    const account = gateway.store.account(userId)
    const backend = backendAt(server.port, { protocol: 'imap', mailbox: '' })
    const syncer = new Syncer(gateway.store, backend, { limits: defaultLimits })
    await syncer.sync()
    {
      await using inbox = await account.open('INBOX')
      await using work = await account.open('Work')
      await inbox.moveTo(uids(1, 2), work)
      await work.changeFlags({ uids: uids(1, 2), mode: 'set', flags: ['\\Flagged'] })
    }
    const first = await syncer.sync()
    const second = await syncer.sync()
    const there = Array.from(server.mailboxes, ([name, { messages }]) => [
      name,
      messages.map(({ octets, flags }) => [/Subject: (.)/.exec(octets.toString())![1], ...flags].join(' ')).sort(),
    ])
    const here = Object.entries(await treeHere({ account })).map(([name, seen]) => [name, seen.length])
    await gateway[Symbol.asyncDispose]()
    return { first, second, there: Object.fromEntries(there), here: Object.fromEntries(here) }
  }
  const copyInto = (server: ScriptedImap, uid: number): number => {
    const work = server.mailboxes.get('Work')!
    const { octets, internalDate } = server.mailboxes.get('INBOX')!.messages.find((each) => each.uid === uid)!
    work.messages.push({ ...imapMessage(work.uidNext, octets), internalDate })
    return work.uidNext++
  }
  const once = {
    there: { INBOX: [], Work: ['a \\Flagged', 'b \\Flagged'] },
    here: { INBOX: 0, Work: 2 },
    second: { fetched: 0, sent: 0, relocated: 0 },
  }

  it('refuses a MOVE half way through: the rest is copied, and nothing is there twice', async () => {
    const outcome = await moved((server) => {
      server.on('UID MOVE', ({ tag }) => {
        copyInto(server, 1)
        server.mailboxes.get('INBOX')!.messages.shift()
        return `* 1 EXPUNGE\r\n${tag} NO [LIMIT] not more at once\r\n`
      })
      server.on('UID COPY', ({ tag }) => `${tag} OK [COPYUID 1001 2 ${copyInto(server, 2)}] done\r\n`)
    })
    expect(outcome).toMatchObject(once)
    expect(outcome.first).toMatchObject({ relocated: 1, sent: 0 })
  })

  it('moves without a word (no COPYUID): what it made is found', async () => {
    const outcome = await moved((server) => {
      server.on('UID MOVE', ({ tag }) => {
        for (const uid of [1, 2]) copyInto(server, uid)
        server.mailboxes.get('INBOX')!.messages = []
        return `* 2 EXPUNGE\r\n* 1 EXPUNGE\r\n${tag} OK done\r\n`
      })
    })
    expect(outcome).toMatchObject(once)
    expect(outcome.first).toMatchObject({ relocated: 0, sent: 0 })
  })

  it('refuses MOVE and COPY: the messages are sent, and then deleted where they were', async () => {
    const outcome = await moved((server) => {
      server.on('UID MOVE', () => 'NO [NOPERM] not here')
      server.on('UID COPY', () => 'NO [NOPERM] not here')
    })
    expect(outcome).toMatchObject(once)
    expect(outcome.first).toMatchObject({ relocated: 0, sent: 2, deletedThere: 2 })
  })
})
