/** Migration from real servers: UIDVALIDITY and UIDs here are those there, or a note tells why not. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { readUidsNotes, spareUids, type UidsNote } from '#gateway/sync/imap/kept-uids.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import type { SyncOnceRequest } from '#gateway/sync/sync-once.ts'
import { systemClock } from '#src/base/clock.ts'

import type { Account } from '#src/store/types.ts'
import { startCyrus } from '../../../support/cyrus.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { sampleMessages } from '../../../support/messages.ts'
import { backendAt, testStore, userId } from '../support.ts'
import { passThroughKills } from './killed-passes.ts'
import { type Both, bothSides } from './pass-support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'

const users = Object.fromEntries(
  ['tree', 'meanwhile', 'full', 'late', 'again', 'kills', 'changed'].map((name) => [name, 'secret']),
)
let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users, protocols: ['imap'] })
})
afterAll(() => dovecot?.stop())

const policy = { pullOnly: true, keepUids: true }
const sided = async (user: string, server: { readonly imapPort: number } = dovecot) => {
  const both = await bothSides(server, { user })
  const backend = backendAt(server.imapPort, { protocol: 'imap', mailbox: '', user })
  const url = backendUrl(backend, userId)
  return {
    ...both,
    url,
    pass: (changes?: Partial<SyncOnceRequest>) => both.pass(policy, changes),
    note: async (name = 'INBOX'): Promise<UidsNote | undefined> =>
      (await readUidsNotes(both.account, url)).get((await both.account.status(name)).mailboxId),
  }
}

interface Numbers {
  readonly uidValidity: number
  readonly uidNext: number
  readonly uids: readonly number[]
}

const numbersThere = async ({ other }: Pick<Both, 'other'>, path: string): Promise<Numbers> => {
  const { uidValidity, uidNext, exists } = await other.mailboxOpen(path, { readOnly: true })
  const uids = exists === 0 ? [] : await other.search({ all: true }, { uid: true })
  return { uidValidity: Number(uidValidity), uidNext, uids: uids || [] }
}

const numbersHere = async (account: Account, name: string): Promise<Numbers> => {
  await using mailbox = await account.open(name)
  const uids = Array.from(mailbox.messages, ({ uid }) => Number(uid))
  return { uidValidity: mailbox.uidValidity, uidNext: mailbox.uidNext, uids }
}

/** A tree with odd names, gaps between UIDs and behind them, flags, keywords and dates. */
const plant = async ({ other }: Pick<Both, 'other'>, separator = '/', prefix = ''): Promise<readonly string[]> => {
  const names = ['Sent', 'Ablage/Büro', 'a & b', '日本', 'empty', 'was full', 'x y/z "q"'].filter(
    (name) => separator === '/' || !name.includes('"'),
  )
  const paths = names.map((name) => prefix + name.replaceAll('/', separator))
  for (const path of paths) await other.mailboxCreate(path)
  for (const path of ['INBOX', ...paths]) {
    if (path.endsWith('empty')) continue
    for (let number = 1; number <= 7; number += 1)
      await other.append(
        path,
        message(`${number}`, `in ${path.length}`),
        number % 2 === 0 ? ['\\Seen', '$Work'] : ['\\Flagged'],
        new Date(1_500_000_000_000 + number * 1000),
      )
    await other.mailboxOpen(path)
    await other.messageDelete(path.endsWith('full') ? '1:*' : '1,3:4,7', { uid: true })
  }
  return ['INBOX', ...paths]
}

it('MIG-14: every mailbox has the UIDVALIDITY, UIDs and UIDNEXT of the backend, and the next pass changes none of them', async () => {
  const both = await sided('tree')
  const paths = await plant(both)
  for (let pass = 0; pass < 2; pass += 1) {
    await both.pass()
    for (const path of paths)
      expect(await numbersHere(both.account, path), path).toEqual(await numbersThere(both, path))
    expect(await treeHere(both)).toEqual(await treeThere(both))
  }
  expect((await numbersHere(both.account, 'was full')).uidNext).toBe(8)
  for (const path of paths) {
    const { uidValidity } = await numbersThere(both, path)
    expect(await both.note(path)).toEqual({ path, uidValidity })
  }
  // What is new there and here goes on from there.
  await both.other.append('INBOX', message('new there'))
  await both.pass()
  expect(await numbersHere(both.account, 'INBOX')).toEqual(await numbersThere(both, 'INBOX'))
  await put(await both.open(), message('new here'))
  expect((await numbersHere(both.account, 'INBOX')).uids.at(-1)).toBe(9 + spareUids)
})

it('the same from Cyrus', async () => {
  await using cyrus = await startCyrus({ users: { tree: 'secret' } })
  const both = await sided('tree', cyrus)
  const paths = await plant(both, '.', 'INBOX.')
  await both.pass()
  for (const path of paths) {
    const name = path === 'INBOX' ? path : path.slice('INBOX.'.length).replaceAll('.', '/')
    expect(await numbersHere(both.account, name), path).toEqual(await numbersThere(both, path))
  }
}, 60_000)

it('mail that comes here meanwhile has no UID that the backend gave; what it overtakes is noted', async () => {
  const both = await sided('meanwhile')
  const { other } = both
  for (const subject of ['a', 'b', 'c']) await other.append('INBOX', message(subject))
  // The mailbox is taken over, and one message comes before the backend's.
  let inject = true
  const injection = directInjection(systemClock)
  const meanwhile: typeof injection = {
    ...injection,
    into: (target) => {
      const injector = injection.into(target)
      return {
        ...{ taken: 0, takenOctets: 0, leftAway: 0, postponed: [] },
        open: (incoming, onAbort) => injector.open(incoming, onAbort),
        finish: async () => {
          if (inject) await put(target.mailbox, message('here'))
          inject = false
          await injector.finish()
        },
      }
    },
  }
  await both.pass({ injection: meanwhile })
  const { uidValidity } = await numbersThere(both, 'INBOX')
  const free = 4 + spareUids
  const upTo = (length: number) => Array.from({ length }, (_, at) => free + at)
  expect(await numbersHere(both.account, 'INBOX')).toEqual({ uidValidity, uidNext: free + 4, uids: upTo(4) })
  expect(await both.note()).toEqual({ path: 'INBOX', uidValidity, overtaken: '1:3' })
  expect((await treeHere(both)).INBOX!.length).toBe(4)
  await other.append('INBOX', message('d'))
  await both.pass()
  expect((await numbersHere(both.account, 'INBOX')).uids).toEqual(upTo(5))
  expect(await both.note()).toEqual({ path: 'INBOX', uidValidity, overtaken: '1:4' })
})

it('a mailbox that had mail keeps its own UIDVALIDITY, and gets the messages all the same', async () => {
  const both = await sided('full')
  await both.account.create('box', { uidValidity: 7 })
  await put(await both.open('box'), message('here'))
  await both.other.mailboxCreate('box')
  await both.other.append('box', message('there'))
  await both.pass()
  expect(await numbersHere(both.account, 'box')).toEqual({ uidValidity: 7, uidNext: 3, uids: [1, 2] })
  const { uidValidity } = await numbersThere(both, 'box')
  expect(await both.note('box')).toEqual({ path: 'box', uidValidity, refusal: 'not-empty' })
})

it('by way of a mail server no UIDs come', async () => {
  const both = await sided('full')
  await both.other.append('INBOX', message('there'))
  await both.pass({ injection: { ...directInjection(systemClock), keepsUids: false } })
  expect(await both.note()).toMatchObject({ refusal: 'injected' })
})

it('a message that the backend did not give at once leaves a gap, and takes no place of another one when it comes', async () => {
  const both = await sided('late')
  for (const subject of ['a', 'b', 'c']) await both.other.append('INBOX', message(subject))
  const { uidValidity } = await numbersThere(both, 'INBOX')
  const origin = `${both.url}${uidValidity}/2`
  for (let failure = 0; failure < 2; failure += 1)
    both.syncer.setbacks.add(origin, systemClock.now(), { why: 'refuses it', isRefused: true })
  await both.pass()
  // It came when it was asked for in another way, behind the others.
  expect((await numbersHere(both.account, 'INBOX')).uids).toEqual([1, 3, 4 + spareUids])
  expect(await both.note()).toEqual({ path: 'INBOX', uidValidity, late: '2' })
})

it('a mailbox that is made again does not get a UIDVALIDITY under which UIDs were given here', async () => {
  const both = await sided('again')
  const { other, account } = both
  await other.mailboxCreate('box')
  await other.append('box', message('a'))
  await both.pass()
  const { uidValidity } = await numbersHere(account, 'box')
  await put(await both.open('box'), message('here'))
  await account.remove('box')
  await account.create('box')
  await both.pass()
  expect((await numbersHere(account, 'box')).uidValidity).not.toBe(uidValidity)
  expect(await both.note('box')).toMatchObject({ refusal: 'made-again' })
})

it('a new UIDVALIDITY there is not taken over half-way', async () => {
  const both = await sided('changed')
  const { other, account } = both
  await other.mailboxCreate('box')
  await other.append('box', message('a'))
  await both.pass()
  const before = await numbersHere(account, 'box')
  await other.mailboxDelete('box')
  // Dovecot's UIDVALIDITY is of the second.
  while ((await numbersOfNew(other)).uidValidity === before.uidValidity) await other.mailboxDelete('box')
  for (const subject of ['b', 'c']) await other.append('box', message(subject))
  await both.pass()
  const here = await numbersHere(account, 'box')
  expect(here.uidValidity).toBe(before.uidValidity)
  expect(Math.min(...here.uids.slice(-2))).toBeGreaterThan(1)
  expect(await both.note('box')).toMatchObject({ refusal: 'not-empty' })
})

const numbersOfNew = async (other: Both['other']): Promise<Numbers> => {
  await other.mailboxCreate('box')
  return await numbersThere({ other }, 'box')
}

it('MIG-03: killed at any call and begun again, the numbers are the backend’s', async () => {
  await dovecot.fill('kills', sampleMessages(900))
  await dovecot.fill('kills', sampleMessages(300), 'Archive')
  const root = await testStore()
  const { store } = root
  const account = store.account(userId)
  const both = await sided('kills')
  await both.other.mailboxOpen('INBOX')
  await both.other.messageDelete('3:9,400:420,899', { uid: true })
  const kills = await passThroughKills(root.root, { imapPort: dovecot.imapPort, user: 'kills' }, policy, 1.3)
  expect(kills).toBeGreaterThan(5)
  for (const path of ['INBOX', 'Archive'])
    expect(await numbersHere(account, path)).toEqual(await numbersThere(both, path))
  expect(await treeHere({ account })).toEqual(await treeThere(both))
  await root[Symbol.asyncDispose]()
}, 120_000)
