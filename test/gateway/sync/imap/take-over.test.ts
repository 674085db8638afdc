import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { uids } from '../../../store/support.ts'
import { type Cyrus, startCyrus } from '../../../support/cyrus.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { imapMessage, scriptedImap } from '../../../support/imap-script.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'
import { bothSides } from './pass-support.ts'
import { message, treeHere, treeThere } from './trees.ts'

const users = { a: 'secret', b: 'secret', c: 'secret' }

describe.each([
  { name: 'Dovecot', start: () => startDovecot({ users, protocols: ['imap'] }) },
  { name: 'Cyrus', start: () => startCyrus({ users, altNamespace: true, separator: '/' }) },
])('at $name', ({ start }) => {
  let server: Dovecot | Cyrus
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  it('what was moved there is moved here, with the flags that it got there, and not fetched again', async () => {
    const both = await bothSides(server, { user: 'a' })
    const { other } = both
    // In either order of their names.
    for (const path of ['Archive', 'Zettel']) await other.mailboxCreate(path)
    for (const subject of ['a', 'b', 'c', 'd', 'e']) await other.append('INBOX', message(subject), ['\\Seen'])
    await other.append('Zettel', message('z'))
    await both.pass()
    await other.mailboxOpen('Zettel')
    await other.messageMove('1', 'Archive', { uid: true })
    await other.mailboxOpen('INBOX')
    await other.messageFlagsSet('1', ['\\Flagged', 'Work'], { uid: true })
    await other.messageMove('1:2', 'Zettel', { uid: true })
    await other.append('INBOX', message('new'))
    expect(await both.pass()).toMatchObject({ fetched: 1, sent: 0, relocated: 0, expungedHere: 3, deletedThere: 0 })
    const here = await treeHere(both)
    expect(here).toEqual(await treeThere(both))
    expect(here.Zettel!.map(({ flags }) => flags)).toEqual(['Work \\Flagged', '\\Seen'])
    // They are known by where they are there now.
    const zettel = await both.open('Zettel')
    await zettel.refresh()
    await zettel.changeFlags({ uids: uids(2, 3), mode: 'add', flags: ['\\Answered'] })
    expect(await both.pass()).toMatchObject({ fetched: 0, sent: 0, relocated: 0 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
  })

  it('messages that are alike by size and date alone are fetched', async () => {
    const both = await bothSides(server, { user: 'b' })
    const { other } = both
    await other.mailboxCreate('Archive')
    const date = new Date(1_600_000_000_000)
    for (const subject of ['a', 'b']) await other.append('INBOX', message(subject), [], date)
    await both.pass()
    await other.mailboxOpen('INBOX')
    await other.messageDelete('1', { uid: true })
    await other.append('Archive', message('c'), [], date)
    expect(await both.pass()).toMatchObject({ fetched: 1, expungedHere: 1 })
    expect(await treeHere(both)).toEqual(await treeThere(both))
  })
})

describe('I21: a backend with labels (X-GM-EXT-1)', () => {
  const labelled = (id: number, uid: number, text = message(String(id))) => ({
    ...imapMessage(uid, text),
    gmailId: String(1_278_455_344_230_334_865n + BigInt(id)),
  })
  const capabilities = ['UIDPLUS', 'NAMESPACE', 'LITERAL+', 'MOVE', 'X-GM-EXT-1']

  async function pulled(mailboxes: Parameters<typeof scriptedImap>[0]) {
    const server = await scriptedImap({ ...mailboxes, capabilities })
    const gateway = await testStore()
    const syncer = new Syncer(gateway.store, backendAt(server.port, { protocol: 'imap', mailbox: '' }))
    const result = await syncer.sync()
    const tree = await treeHere({ account: gateway.store.account(userId) })
    const texts = Object.fromEntries(
      Object.entries(tree).map(([name, seen]) => [name, seen.map(({ text }) => /Subject: (.*)\r/.exec(text)![1])]),
    )
    await gateway[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    return { result, texts }
  }

  it('gives each message once, whatever its labels, and each mailbox has its messages', async () => {
    const mailboxes = {
      INBOX: [labelled(1, 11), labelled(2, 12)],
      '[Gmail]/All Mail': [labelled(1, 101), labelled(2, 102), labelled(3, 103), labelled(4, 104)],
      '[Gmail]/Important': [labelled(2, 22)],
      Label: [labelled(2, 31), labelled(3, 32)],
    }
    const { result, texts } = await pulled({ mailboxes })
    expect(result).toMatchObject({ fetched: 4, failed: 0, listed: 9 })
    expect(texts).toEqual({
      INBOX: ['1', '2'],
      '[Gmail]/All Mail': ['1', '2', '3', '4'],
      '[Gmail]/Important': ['2'],
      Label: ['2', '3'],
    })
  })

  it('one id for messages of different sizes is not believed', async () => {
    const mailboxes = { INBOX: [labelled(1, 11)], Label: [labelled(1, 31, message('another one'))] }
    const { result, texts } = await pulled({ mailboxes })
    expect(result.fetched).toBe(2)
    expect(texts).toEqual({ INBOX: ['1'], Label: ['another one'] })
  })
})
