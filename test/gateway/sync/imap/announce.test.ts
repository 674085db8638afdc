/** Messages of an old server are here before their bodies: docs/decisions/0025-announced-first.md */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { spareUids } from '#gateway/sync/imap/kept-uids.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import type { Injection } from '#gateway/sync/inject/injector.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import { isStub } from '#gateway/sync/stub.ts'
import { systemClock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { sampleMessages } from '../../../support/messages.ts'
import { backendAt, testStore, userId } from '../support.ts'
import { passThroughKills } from './killed-passes.ts'
import { type Both, bothSides } from './pass-support.ts'
import { message, put, treeHere, treeThere } from './trees.ts'

const names = ['first', 'refused', 'vanished', 'changed', 'through', 'kills', 'halfway', 'emptied']
let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({
    users: Object.fromEntries(names.map((name) => [name, 'secret'])),
    protocols: ['imap'],
  })
})
afterAll(() => dovecot?.stop())

const policy = { pullOnly: true, keepUids: true, announces: true, fetchSetSize: 2 }
const direct = directInjection(systemClock)

const sided = async (user: string) => {
  const both = await bothSides(dovecot, { user })
  const url = backendUrl(backendAt(dovecot.imapPort, { protocol: 'imap', mailbox: '', user }), userId)
  return { ...both, url }
}

/** UIDs, and whether they are here. */
const here = async ({ account }: Pick<Both, 'account'>, name = 'INBOX') => {
  await using mailbox = await account.open(name)
  await mailbox.refresh()
  return Array.from(mailbox.messages, ({ uid, isHere, origin }) =>
    origin !== undefined && isStub(origin) ? `${uid} is a notice` : isHere ? Number(uid) : `${uid} is to come`,
  )
}

/** The way into the store, told of the origins that begin to come, in their order; what `came` answers is waited for. */
const watched = (came: (origin: string) => unknown): Injection => ({
  ...direct,
  into: (target) => {
    const injector = direct.into(target)
    return Object.assign(Object.create(injector) as typeof injector, {
      open: (incoming: Parameters<typeof injector.open>[0], onAbort: () => void) => {
        const ready = came(incoming.origin)
        const sink = injector.open(incoming, onAbort)
        const write: typeof sink.write = async (chunk) => {
          await ready
          await sink.write(chunk)
        }
        return { write, end: () => sink.end(), abort: (reason: Error) => sink.abort(reason) }
      },
      finish: () => injector.finish(),
    })
  },
})

const append = async ({ other }: Both, path: string, subjects: readonly string[]) => {
  for (const [index, subject] of subjects.entries())
    await other.append(path, message(subject), index === 1 ? ['\\Seen', '$Work'] : [], new Date(1_500_000_000_000))
}

it('when a client may work, every mailbox has all messages; then bodies come, INBOX and the newest first', async () => {
  const both = await sided('first')
  await both.other.mailboxCreate('Archive')
  await append(both, 'Archive', ['x', 'y'])
  await append(both, 'INBOX', ['a', 'b', 'c', 'd', 'e'])
  await both.other.mailboxOpen('INBOX')
  await both.other.messageDelete('3', { uid: true })
  let usable: Promise<unknown> | undefined
  const came: string[] = []
  await both.pass(policy, {
    injection: watched((origin) => {
      came.push(origin.slice(origin.lastIndexOf('/') + 1))
      return usable
    }),
    onUsable: () => {
      const look = async () => {
        await using inbox = await both.account.open('INBOX')
        const [first, second] = [...inbox.messages]
        return [
          await here(both),
          await here(both, 'Archive'),
          [first!.sizeOctets, first!.internalDate, [...second!.flags].sort()],
          inbox.uidValidity,
        ]
      }
      usable = look()
    },
  })
  const opened = await both.other.mailboxOpen('INBOX', { readOnly: true })
  const toCome = (...uids: number[]) => uids.map((uid) => `${uid} is to come`)
  expect(await usable).toEqual([
    toCome(1, 2, 4, 5),
    toCome(1, 2),
    [message('a').length, 1_500_000_000, ['$Work', '\\Seen']],
    Number(opened.uidValidity),
  ])
  // By two: the order within a command is the server's.
  expect(came).toEqual(['4', '5', '1', '2', '1', '2'])
  expect(await treeHere(both)).toEqual(await treeThere(both))
  await append(both, 'INBOX', ['new'])
  await both.pass(policy)
  expect(await here(both)).toEqual([1, 2, 4, 5, 6])
  // Nothing is asked for again.
  const again: string[] = []
  await both.pass(policy, { injection: watched((origin) => again.push(origin)) })
  expect(again).toEqual([])
})

it('a message that the backend does not give keeps no other from its UID; a notice tells of it until it comes', async () => {
  const both = await sided('refused')
  await append(both, 'INBOX', ['a', 'b', 'c'])
  const { uidValidity } = await both.other.mailboxOpen('INBOX', { readOnly: true })
  const origin = `${both.url}${uidValidity}/2`
  const refusing = (): Injection => ({
    ...direct,
    into: (target) => {
      const injector = direct.into(target)
      return Object.assign(Object.create(injector) as typeof injector, {
        open: (incoming: Parameters<typeof injector.open>[0], onAbort: () => void) => {
          if (incoming.origin !== origin) return injector.open(incoming, onAbort)
          // As a server that begins with it and gives nothing.
          return { write: () => {}, end: () => onAbort(), abort: () => onAbort() }
        },
        finish: () => injector.finish(),
      })
    },
  })
  for (let failure = 0; failure < 2; failure += 1)
    both.syncer.setbacks.add(origin, systemClock.now() - 3_600_000, { why: 'refuses it', isRefused: true })
  both.syncer.setbacks.risk(origin)
  await both.pass(policy, { injection: refusing() })
  expect(await here(both)).toEqual([1, 3, `${4 + spareUids} is a notice`])
  // As after a restart: it is asked for at once.
  await both.pass(policy, { setbacks: new Setbacks() })
  // The notice goes when it is there.
  expect(await here(both)).toEqual([1, 3, 5 + spareUids])
  expect((await treeHere(both)).INBOX!.length).toBe(3)
})

it('what goes there before it came goes here, whatever a client did with it', async () => {
  const both = await sided('vanished')
  await append(both, 'INBOX', ['a', 'b', 'c', 'd'])
  const { other } = both
  const stopped = new Error('stopped')
  const stopping: Injection = {
    ...direct,
    into: () => {
      throw stopped
    },
  }
  await expect(both.pass(policy, { injection: stopping })).rejects.toBe(stopped)
  await using inbox = await both.open()
  await inbox.refresh()
  await inbox.changeFlags({ uids: [1, 2] as Uid[], mode: 'add', flags: ['\\Flagged'] })
  await inbox.expunge([3] as Uid[], 'client')
  await put(inbox, message('own'))
  await other.mailboxOpen('INBOX')
  await other.messageDelete('2', { uid: true })
  await both.pass(policy)
  expect(await here(both)).toEqual([1, 4, 5 + spareUids])
  await inbox.refresh()
  expect([...inbox.messages.at(0)!.flags]).toEqual(['\\Flagged'])
})

it('rows of another UIDVALIDITY go, and all come anew', async () => {
  const both = await sided('changed')
  const { other } = both
  await other.mailboxCreate('box')
  await append(both, 'box', ['a', 'b'])
  const stopped = new Error('stopped')
  await expect(
    both.pass(policy, {
      injection: {
        ...direct,
        into: () => {
          throw stopped
        },
      },
    }),
  ).rejects.toBe(stopped)
  const { uidValidity: before } = await other.mailboxOpen('box', { readOnly: true })
  // Dovecot's UIDVALIDITY is of the second.
  do {
    await other.mailboxDelete('box')
    await other.mailboxCreate('box')
  } while ((await other.mailboxOpen('box', { readOnly: true })).uidValidity === before)
  await append(both, 'box', ['c'])
  await both.pass(policy)
  expect((await here(both, 'box')).filter((row) => typeof row === 'string')).toEqual([])
  expect((await treeHere(both)).box).toEqual((await treeThere(both)).box)
})

it('a message that was taken out by a pass that died before it forgot that comes all the same', async () => {
  const both = await sided('halfway')
  await append(both, 'INBOX', ['a', 'b'])
  const stopped = new Error('stopped')
  const into = () => {
    throw stopped
  }
  await expect(both.pass(policy, { injection: { ...direct, into } })).rejects.toBe(stopped)
  await using inbox = await both.account.open('INBOX')
  await inbox.refresh()
  await inbox.expunge([1 as Uid], 'backend')
  await both.pass(policy)
  // Its own UID is spent.
  expect((await here(both)).filter((row) => typeof row === 'number')).toHaveLength(2)
})

it('a mailbox that is empty all at once takes nothing out before it was so for long', async () => {
  const both = await sided('emptied')
  await append(both, 'INBOX', ['a', 'b', 'c'])
  const stopped = new Error('stopped')
  const into = () => {
    throw stopped
  }
  await expect(both.pass(policy, { injection: { ...direct, into } })).rejects.toBe(stopped)
  await both.other.mailboxOpen('INBOX')
  await both.other.messageDelete('1:*', { uid: true })
  await both.pass(policy)
  expect(await here(both)).toEqual(['1 is to come', '2 is to come', '3 is to come'])
})

it('where messages take another way, none is announced', async () => {
  const both = await sided('through')
  await append(both, 'INBOX', ['a'])
  let usable: Promise<unknown> | undefined
  await both.pass(policy, {
    injection: { ...direct, storesAll: false },
    onUsable: () => {
      usable = here(both)
    },
  })
  expect(await usable).toEqual([])
  expect(await here(both)).toEqual([1])
})

it('killed at any call and begun again, everything is here once, under its UID', async () => {
  await dovecot.fill('kills', sampleMessages(300))
  const root = await testStore()
  const account = root.store.account(userId)
  const both = await sided('kills')
  const kills = await passThroughKills(
    root.root,
    { imapPort: dovecot.imapPort, user: 'kills' },
    { ...policy, fetchSetSize: 20 },
    1.5,
  )
  expect(kills).toBeGreaterThan(3)
  expect(await here({ account })).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
  expect(await treeHere({ account })).toEqual(await treeThere(both))
  await root[Symbol.asyncDispose]()
}, 120_000)
