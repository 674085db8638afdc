import { describe, expect, it } from 'vitest'
import { readContents, writtenContents } from '#gateway/sync/memory.ts'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, UserId } from '#src/base/ids.ts'
import type { Store } from '#src/store/types.ts'
import {
  type ScriptedMessage,
  type ScriptedOptions,
  type ScriptedPop3,
  scriptedPop3,
} from '#test/support/pop3-script.ts'
import {
  backendAt,
  clientExpunges,
  contents,
  Syncer,
  type TestStore,
  testStore,
  userId,
  withMailbox,
} from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

const scene = async (
  run: (backend: ScriptedPop3, gateway: Syncer, test: TestStore) => Promise<void>,
  options: ScriptedOptions = {},
) => {
  await using backend = await scriptedPop3({
    messages: range(1, 6).map(message),
    capabilities: ['PIPELINING', 'UIDL'],
    ...options,
  })
  await using test = await testStore()
  await run(backend, new Syncer(test.store, backendAt(backend.port)), test)
}
/** Its mailboxes have no room for what `method` writes, as long as `full` says so. */
const without = (store: Store, method: 'deliver' | 'forget', full: () => boolean): Store => {
  const open = async (name: string) => {
    const mailbox = await store.account(userId).open(name)
    return new Proxy(mailbox, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property)
        if (property === method && full())
          return () => {
            throw new StoreError('unavailable', 'No space left on device')
          }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  return Object.assign(Object.create(store), {
    account: (user: UserId) => Object.assign(Object.create(store.account(user)), { open }),
  })
}
const subjects = async (test: TestStore) =>
  (await contents(test.store)).map((octets) => /Subject: (.*)\r/.exec(String(octets))?.[1])

describe('a listing that can not be believed (B7)', () => {
  it('suddenly empty: nothing is deleted here, and all is well when the mail is back', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      expect(await gateway.sync()).toMatchObject({ held: 0 })
      const mail = backend.messages
      backend.messages = []
      for (let round = 0; round < 5; round++) expect(await gateway.sync()).toMatchObject({ held: 6, expungedHere: 0 })
      backend.messages = mail
      expect(await gateway.sync()).toMatchObject({ held: 0, fetched: 0 })
      expect(await subjects(test)).toEqual(['1', '2', '3', '4', '5', '6'])
    }))

  it('fails, is cut, or contradicts STAT: nothing is deleted here', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      await gateway.sync()
      backend.on('UIDL', () => '-ERR [SYS/TEMP] index is being rebuilt\r\n')
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'temporary' })
      backend.on('UIDL', ({ socket }) => void socket.end('+OK\r\n1 id1\r\n'))
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
      backend.on('UIDL', () => '+OK\r\n1 id1\r\n2 id2\r\n.\r\n')
      expect(await gateway.sync()).toMatchObject({ expungedHere: 0, held: 4 })
      expect(await subjects(test)).toHaveLength(6)
    }))

  it('mail vanishes after it was retrieved: a backend of that kind empties nothing here (P8)', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      backend.messages = [7, 8].map(message)
      await gateway.sync()
      backend.messages = [message(9)]
      await gateway.sync()
      expect(await subjects(test)).toHaveLength(9)
    }))

  it('one that kept mail for long begins to remove what it gives: that stays, one by one, and is told (P8)', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      for (let round = 0; round < 2; round++) expect(await gateway.sync()).toMatchObject({ held: 0 })
      let given: string[] = []
      backend.on('RETR', ({ argument, messages }, usual) => {
        given.push(messages[Number(argument) - 1]!.uidl)
        return usual()
      })
      backend.on('QUIT', (_, usual) => {
        const answer = usual()
        backend.messages = backend.messages.filter(({ uidl }) => !given.includes(uidl))
        given = []
        return answer
      })
      for (let n = 7; n < 27; n += 2) {
        backend.messages.push(message(n), message(n + 1))
        gateway.clock = { ...systemClock, now: () => Date.now() + n * 86_400_000 }
        expect(await gateway.sync()).toMatchObject({ fetched: 2, expungedHere: 0, held: n - 7 })
      }
      expect(await subjects(test)).toHaveLength(26)
      const asked = backend.received.filter((line) => line.startsWith(`${backend.sessions} RETR`))
      expect(asked).toHaveLength(2)
      // It keeps again what it gives: then somebody else deleted the others.
      backend.reset()
      backend.messages.push(message(27))
      expect(await gateway.sync()).toMatchObject({ fetched: 1, held: 20 })
      expect(await gateway.sync()).toMatchObject({ held: 20, expungedHere: 0 })
      expect(await subjects(test)).toHaveLength(27)
    }))

  it('a server that removes at QUIT what it gave, after a session that was cut: nothing leaves here (P8)', () =>
    scene(async (backend, gateway, test) => {
      const retrieved = new Map<number, string[]>()
      backend.on('RETR', ({ argument, session, messages, socket }, usual) => {
        if (session === 1 && argument === '4') return void socket.end()
        retrieved.set(session, [...(retrieved.get(session) ?? []), messages[Number(argument) - 1]!.uidl])
        return usual()
      })
      backend.on('QUIT', ({ session }, usual) => {
        const answer = usual()
        backend.messages = backend.messages.filter(({ uidl }) => !retrieved.get(session)?.includes(uidl))
        return answer
      })
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
      expect(await gateway.sync()).toMatchObject({ fetched: 3, listed: 6 })
      backend.messages.push(message(7))
      expect(await gateway.sync()).toMatchObject({ fetched: 1, expungedHere: 0, held: 3 })
      expect(await gateway.sync()).toMatchObject({ expungedHere: 0 })
      expect(await subjects(test)).toHaveLength(7)
    }))

  it('empty, with everything deleted here under ignore_frontend_deletes: it does not come back', () =>
    scene(async (backend, gateway, test) => {
      const policy = { ignoreFrontendDeletes: true }
      await gateway.sync(policy)
      await gateway.sync(policy)
      await clientExpunges(test.store, () => true)
      const mail = backend.messages
      backend.messages = []
      await gateway.sync(policy)
      backend.messages = mail
      expect(await gateway.sync(policy)).toMatchObject({ fetched: 0 })
      expect(await subjects(test)).toEqual([])
    }))

  it('EXPIRE announces it: the same, whatever was seen (RFC 2449 §6.7)', () =>
    scene(
      async (backend, gateway, test) => {
        await gateway.sync()
        backend.messages = backend.messages.slice(3)
        expect(await gateway.sync()).toMatchObject({ expungedHere: 0, held: 3 })
        expect(await subjects(test)).toHaveLength(6)
      },
      { capabilities: ['EXPIRE 0', 'UIDL'] },
    ))

  it('what vanishes from a reliable backend leaves here', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      backend.messages = backend.messages.filter(({ uidl }) => uidl !== 'id2')
      expect(await gateway.sync()).toMatchObject({ expungedHere: 1 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
    }))
})

describe('bad messages (B10, P12, D19)', () => {
  type Broken = Parameters<ScriptedPop3['on']>[1]
  /** Message 2 is broken, however it is asked for. */
  const breaks = (backend: ScriptedPop3, broken: Broken) => {
    for (const word of ['RETR', 'TOP'])
      backend.on(word, (exchange, usual) =>
        exchange.argument.split(' ')[0] === '2' ? broken(exchange, usual) : usual(),
      )
  }
  const stub = '[not available yet]'

  it('refused: the rest is fetched, and a stub stands for it until it comes', () =>
    scene(async (backend, gateway, test) => {
      breaks(backend, () => '-ERR can not read it\r\n')
      for (const fetched of [5, 0, 0]) expect(await gateway.sync()).toMatchObject({ fetched, failed: 1 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', stub])
      expect(String((await contents(test.store)).at(-1))).toContain('the server said: can not read it.')
      backend.reset()
      gateway.clock = { ...systemClock, now: () => Date.now() + 3_600_000 }
      expect(await gateway.sync()).toMatchObject({ fetched: 1, failed: 0, expungedHere: 0 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', '2'])
      expect(await withMailbox(test.store, async (mailbox) => [...mailbox.departed()])).toEqual([])
    }))

  it('refused by RETR, whole by TOP: it is there', () =>
    scene(async (backend, gateway, test) => {
      backend.on('RETR', ({ argument }, usual) => (argument === '2' ? '-ERR can not read it\r\n' : usual()))
      expect(await gateway.sync()).toMatchObject({ fetched: 6, failed: 0 })
      expect((await contents(test.store)).at(-1)).toEqual(message(2).octets)
      expect(await gateway.sync()).toMatchObject({ fetched: 0, failed: 0, listed: 6 })
    }))

  it('refused by RETR, cut by TOP: the stub shows the header (P3)', () =>
    scene(async (backend, gateway, test) => {
      backend.messages[1]!.octets = Buffer.from(
        `From: b\xe9\r\nSubject: 2\r\n\r\n${'line\r\n'.repeat(20_000)}`,
        'latin1',
      )
      backend.on('RETR', ({ argument }, usual) => (argument === '2' ? '-ERR can not read it\r\n' : usual()))
      backend.on('TOP', (_, usual) =>
        Buffer.concat([(usual() as Buffer).subarray(0, 65_536), Buffer.from('\r\n.\r\n')]),
      )
      expect(await gateway.sync()).toMatchObject({ fetched: 5, failed: 1 })
      expect((await subjects(test)).at(-1)).toBe(`${stub} 2`)
      const shown = (await contents(test.store)).at(-1)!.toString('latin1')
      expect(shown).toContain('\r\n\r\nFrom: b\xe9\r\nSubject: 2\r\n\r\n--')
      expect(shown).not.toContain('line')
    }))

  it('a client deletes the stub: the message stays there, and comes when it can', () =>
    scene(async (backend, gateway, test) => {
      breaks(backend, () => '-ERR can not read it\r\n')
      await gateway.sync()
      await clientExpunges(test.store, ({ origin }) => origin?.startsWith('stub:') === true)
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, failed: 1 })
      expect(backend.messages).toHaveLength(6)
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
      backend.reset()
      gateway.clock = { ...systemClock, now: () => Date.now() + 3_600_000 }
      expect(await gateway.sync()).toMatchObject({ fetched: 1, failed: 0 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', '2'])
      expect(await withMailbox(test.store, async (mailbox) => [...mailbox.departed()])).toEqual([])
    }))

  it('the message goes at the backend: so does its stub, but not on doubt', () =>
    scene(async (backend, gateway, test) => {
      breaks(backend, () => '-ERR can not read it\r\n')
      await gateway.sync()
      const mail = backend.messages
      backend.messages = []
      await gateway.sync()
      expect(await subjects(test)).toContain(stub)
      backend.messages = mail.filter(({ uidl }) => uidl !== 'id2')
      backend.reset()
      await gateway.sync()
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
    }))

  it('a server that refuses everything at once is not believed', () =>
    scene(async (backend, gateway, test) => {
      backend.messages = range(1, 30).map(message)
      backend.on('RETR', () => '-ERR not today\r\n')
      backend.on('TOP', () => '-ERR not today\r\n')
      gateway.access.profiles.of('127.0.0.1', backend.port).learned.afterRetrieve = 'keeps'
      for (let round = 0; round < 3; round++) expect(await gateway.sync()).toMatchObject({ fetched: 0, failed: 30 })
      expect(await subjects(test)).toEqual([])
    }))

  it('empty: never stored as an empty message', () =>
    scene(async (backend, gateway, test) => {
      breaks(backend, () => '+OK\r\n.\r\n')
      expect(await gateway.sync()).toMatchObject({ fetched: 5, failed: 1 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', stub])
    }))

  it('one that ends the session, before or inside: goes last, then waits; the rest is fetched', async () => {
    for (const inside of [true, false])
      await scene(async (backend, gateway, test) => {
        breaks(backend, ({ socket }) => {
          socket.end(inside ? '+OK\r\nSubject: 2\r\n' : '')
          return undefined
        })
        await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
        expect(await subjects(test)).toEqual(['1'])
        await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
        expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
        const before = backend.received.length
        // Its header may be harmless, and is asked for once.
        await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
        for (let round = 0; round < 3; round++) expect(await gateway.sync()).toMatchObject({ fetched: 0, failed: 1 })
        const asked = backend.received.slice(before).filter((line) => /RETR|TOP/.test(line))
        expect(asked.map((line) => line.replace(/^\d+ /, ''))).toEqual(['TOP 2 0'])
        expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', stub])
      })
  })

  it.each([undefined, 1, 5])(
    'a terminating dot behind a line without end: never two messages as one (P2; pieces of %s)',
    (pieces) =>
      scene(
        async (backend, gateway, test) => {
          gateway.access.profiles.of('127.0.0.1', backend.port).learned.afterRetrieve = 'keeps'
          // As Exchange 2000 did: the last line has no CRLF, and none is put before the dot.
          backend.on('RETR', ({ argument }, usual) =>
            argument === '2' ? '+OK\r\nSubject: 2\r\n\r\ntext.\r\n' : usual(),
          )
          await expect(gateway.sync()).rejects.toMatchObject({ kind: 'protocol' })
          expect(await subjects(test)).toEqual(['1'])
          await expect(gateway.sync()).rejects.toMatchObject({ kind: 'timeout' })
          expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
          expect(await gateway.sync()).toMatchObject({ fetched: 0, failed: 1 })
          expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', `${stub} 2`])
        },
        pieces === undefined ? {} : { pieces },
      ),
  )

  it('a message that speaks of POP3 arrives whole', () =>
    scene(async (backend, gateway, test) => {
      const octets = Buffer.from('Subject: 2\r\n\r\nThe server says.\r\n+OK\r\n.\r\n-ERR\r\n')
      backend.messages[1] = { uidl: 'id2', octets }
      await gateway.sync().catch(() => {})
      await gateway.sync()
      expect((await contents(test.store)).filter((each) => each.equals(octets))).toHaveLength(1)
      expect(await subjects(test)).toHaveLength(6)
    }))

  it('a store that is full for a moment is no reason to let a message wait', () =>
    scene(async (_, gateway, test) => {
      let full = true
      const failing = without(test.store, 'deliver', () => full)
      for (let round = 0; round < 3; round++)
        await expect(gateway.sync({}, { store: failing })).rejects.toMatchObject({ kind: 'unavailable' })
      full = false
      expect(await gateway.sync({}, { store: failing })).toMatchObject({ fetched: 6, failed: 0 })
    }))

  it('a session cut at every octet: every message exactly once in the end (B3, P10)', async () => {
    await using backend = await scriptedPop3({ messages: range(1, 3).map(message), capabilities: ['PIPELINING'] })
    for (let cut = 60; ; cut += 7) {
      await using test = await testStore()
      backend.options.cutAfter = cut
      const first = await new Syncer(test.store, backendAt(backend.port)).sync().catch(() => undefined)
      delete backend.options.cutAfter
      await new Syncer(test.store, backendAt(backend.port)).sync()
      expect((await subjects(test)).sort()).toEqual(['1', '2', '3'])
      if (first !== undefined) break
    }
  })
})

describe('deleting at the backend', () => {
  it('QUIT is not confirmed: the deletion is asked for again (P10)', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      await clientExpunges(test.store, ({ uidl }) => uidl === 'id3')
      backend.on('QUIT', ({ socket }) => void socket.destroy())
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'closed' })
      expect(backend.messages).toHaveLength(6)
      backend.on('QUIT', (_, usual) => usual())
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
      expect(backend.messages.map(({ uidl }) => uidl)).toEqual(['id1', 'id2', 'id4', 'id5', 'id6'])
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 0, listed: 5 })
    }))

  it('refused: nothing comes back, and it is asked for again', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      await clientExpunges(test.store, ({ uidl }) => uidl === 'id3')
      backend.on('DELE', () => '-ERR read-only\r\n')
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 0 })
      backend.on('DELE', (_, usual) => usual())
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    }))
})

describe('ignore_frontend_deletes', () => {
  it('is switched off before another session ran: what was deleted under it stays there', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync({ ignoreFrontendDeletes: true })
      await clientExpunges(test.store, ({ uidl }) => uidl === 'id3')
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 0 })
      await clientExpunges(test.store, ({ uidl }) => uidl === 'id4')
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
      expect(backend.messages.map(({ uidl }) => uidl)).toEqual(['id1', 'id2', 'id3', 'id5', 'id6'])
    }))
})

describe('a deletion hits one message, and no other', () => {
  const copy = (body: string, uidl = ''): ScriptedMessage => ({
    uidl,
    octets: Buffer.from(`From: cron\r\nSubject: report\r\n\r\n${body}\r\n`),
  })
  const bodiesThere = (backend: ScriptedPop3) =>
    backend.messages.map(({ octets }) => String(octets).split('\r\n\r\n')[1]!.trim())
  const bodiesHere = async (test: TestStore) =>
    (await contents(test.store)).map((octets) => String(octets).split('\r\n\r\n')[1]!.trim())
  const deletes = (test: TestStore, position: number) =>
    withMailbox(test.store, (mailbox) => mailbox.expunge([mailbox.messages.at(position)!.uid], 'client'))
  const noUidl = (backend: ScriptedPop3) => backend.on('UIDL', () => '-ERR unknown command\r\n')

  it('of two copies: the other one stays, in every later session', () =>
    scene(
      async (backend, gateway, test) => {
        noUidl(backend)
        await gateway.sync()
        await deletes(test, 1)
        expect(await gateway.sync()).toMatchObject({ deletedThere: 1 })
        for (let round = 0; round < 3; round++)
          expect(await gateway.sync()).toMatchObject({ deletedThere: 0, expungedHere: 0, fetched: 0 })
        expect(bodiesThere(backend)).toEqual(['x', 'same', 'y'])
        expect(await bodiesHere(test)).toEqual(['x', 'same', 'y'])
        expect(await withMailbox(test.store, async (mailbox) => [...mailbox.departed()])).toEqual([])
      },
      { messages: ['x', 'same', 'same', 'y'].map((body) => copy(body)), capabilities: ['TOP'] },
    ))

  it.each([0, 1, 2])('of three with the same header and unique-id: number %i, whatever the order', (position) =>
    scene(
      async (backend, gateway, test) => {
        const left = ['one', 'two', 'three'].toSpliced(position, 1)
        await gateway.sync()
        await deletes(test, position)
        backend.messages.reverse()
        expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0, expungedHere: 0 })
        for (let round = 0; round < 3; round++)
          expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 0, expungedHere: 0 })
        expect(bodiesThere(backend)).toEqual(left.toReversed())
        expect(await bodiesHere(test)).toEqual(left)
      },
      { messages: ['one', 'two', 'three'].map((body) => copy(body, 'same')), capabilities: ['UIDL', 'TOP'] },
    ),
  )

  it('another one in its place, with the same header: is fetched, not deleted', () =>
    scene(
      async (backend, gateway, test) => {
        noUidl(backend)
        await gateway.sync()
        await deletes(test, 0)
        backend.messages = [copy('b'), copy('c')]
        expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 1 })
        expect(bodiesThere(backend)).toEqual(['b', 'c'])
        expect(await bodiesHere(test)).toEqual(['b', 'c'])
      },
      { messages: [copy('a'), copy('b')], capabilities: ['TOP'] },
    ))

  it('one of several vanishes at the backend: that one leaves here', () =>
    scene(
      async (backend, gateway, test) => {
        noUidl(backend)
        await gateway.sync()
        backend.messages.shift()
        expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 0 })
        expect(await bodiesHere(test)).toEqual(['two', 'three'])
      },
      { messages: ['one', 'two', 'three'].map((body) => copy(body)), capabilities: ['TOP'] },
    ))

  it('unique-ids that are message numbers: a later message under the same one is not deleted', () =>
    scene(async (backend, gateway, test) => {
      backend.on('UIDL', ({ messages }) => `+OK\r\n${messages.map((_, n) => `${n + 1} ${n + 1}\r\n`).join('')}.\r\n`)
      await gateway.sync()
      await deletes(test, 1)
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1 })
      for (let round = 0; round < 5; round++) expect(await gateway.sync()).toMatchObject({ deletedThere: 0 })
      expect(backend.messages.map(({ uidl }) => uidl)).toEqual(['id1', 'id3', 'id4', 'id5', 'id6'])
    }))

  it('a unique-id that is given to another message later: it is fetched as a new one', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      await deletes(test, 1)
      await gateway.sync()
      backend.messages.push({ uidl: 'id2', octets: Buffer.from('Subject: another\r\n\r\n2\r\n') })
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 1 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', 'another'])
      expect(backend.messages).toHaveLength(6)
    }))

  it.each([
    ['listed again', true],
    ['not listed', false],
  ])('its unique-id is %s, and the store is full at that moment: another message under it later stays', (_, again) =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      await deletes(test, 1)
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1 })
      const arrives = () =>
        backend.messages.push({ uidl: 'id2', octets: Buffer.from('Subject: another\r\n\r\nlonger\r\n') })
      if (again) arrives()
      const failing = without(test.store, 'forget', () => true)
      await expect(gateway.sync({}, { store: failing })).rejects.toMatchObject({ kind: 'unavailable' })
      if (!again) arrives()
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 1 })
      expect(await gateway.sync()).toMatchObject({ deletedThere: 0, fetched: 0 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6', 'another'])
    }),
  )
})

describe('unique-ids that are none (P5, P6, P7, B9)', () => {
  const exactlyOnce = async (gateway: Syncer, test: TestStore, wanted: readonly string[]) => {
    await gateway.sync()
    expect(await subjects(test)).toEqual(wanted)
    expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
    expect(await subjects(test)).toEqual(wanted)
  }

  const withoutUidl = { capabilities: ['PIPELINING', 'TOP'] }

  it('no UIDL: told apart by their headers, by TOP', () =>
    scene(async (backend, gateway, test) => {
      backend.on('UIDL', () => '-ERR unknown command\r\n')
      await exactlyOnce(gateway, test, ['1', '2', '3', '4', '5', '6'])
      backend.messages = backend.messages.slice(1)
      expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 0 })
      backend.on('TOP', () => '-ERR unknown command\r\n')
      expect(await gateway.sync()).toMatchObject({ expungedHere: 0, fetched: 0 })
    }, withoutUidl))

  it.each(['-ERR cannot open index\r\n', '-ERR unknown command\r\n'])(
    'UIDL answered %j by a server that has it ends the session; no message is taken for a new one',
    (answer) =>
      scene(async (backend, gateway, test) => {
        await gateway.sync()
        const usual = backend.options.capabilities
        backend.on('UIDL', () => answer)
        for (const capabilities of [usual, ['TOP'], undefined]) {
          backend.options.capabilities = capabilities
          await expect(gateway.sync()).rejects.toMatchObject({ kind: 'temporary' })
        }
        backend.on('UIDL', (_, usually) => usually())
        expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0, listed: 6 })
        expect(await subjects(test)).toHaveLength(6)
      }),
  )

  it('blank, the same twice, very long, not printable', () =>
    scene(async (backend, gateway, test) => {
      const uidls = ['', 'same', 'same', 'L'.repeat(10_000), '\xe9\xe9', 'id6']
      for (const [index, uidl] of uidls.entries()) backend.messages[index]!.uidl = uidl
      await exactlyOnce(gateway, test, ['1', '2', '3', '4', '5', '6'])
      // The first of the two is deleted: the one that is left is still the other.
      backend.messages.splice(1, 1)
      expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 0 })
      expect(await subjects(test)).toEqual(['1', '3', '4', '5', '6'])
    }))

  it('a second message with the unique-id of one that is here: only the new one is fetched', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      backend.messages = [...backend.messages, { ...message(7), uidl: 'id2' }]
      expect(await gateway.sync()).toMatchObject({ fetched: 1, expungedHere: 0 })
      expect(await subjects(test)).toEqual(['1', '2', '3', '4', '5', '6', '7'])
      expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
    }))

  it('real copies: as many here as there', () =>
    scene(async (backend, gateway, test) => {
      backend.messages = [1, 1, 1].map(message)
      await exactlyOnce(gateway, test, ['1', '1', '1'])
      backend.messages = backend.messages.slice(1)
      await gateway.sync()
      expect(await subjects(test)).toEqual(['1', '1'])
    }))

  it('all of them are others, since the provider moved: nothing is fetched again, and everything keeps its UID', () =>
    scene(async (backend, gateway, test) => {
      // Two of them have the same header.
      backend.messages.push({ uidl: 'id7', octets: Buffer.from('Subject: 6\r\n\r\nanother body\r\n') })
      await gateway.sync()
      await gateway.sync()
      const uids = () =>
        withMailbox(test.store, async ({ messages }) => [...messages].map(({ uid, uidl }) => [uid, uidl]))
      const before = await uids()
      backend.messages = [...backend.messages.map((each) => ({ ...each, uidl: `new-${each.uidl}` })), message(8)]
      expect(await gateway.sync()).toMatchObject({ fetched: 1, expungedHere: 0, held: 0 })
      expect((await uids()).slice(0, -1)).toEqual(before)
      const asked = backend.received.length
      expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
      expect(backend.received.slice(asked).filter((line) => /TOP|RETR/.test(line))).toEqual([])
      await clientExpunges(test.store, ({ uid }) => uid === 7)
      expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
      expect(backend.messages.map(({ uidl }) => uidl)).not.toContain('new-id7')
      expect(backend.messages).toHaveLength(7)
    }))

  it('another order in every session changes nothing', () =>
    scene(async (backend, gateway, test) => {
      await gateway.sync()
      for (let round = 0; round < 3; round++) {
        backend.messages.reverse()
        backend.messages.push(backend.messages.shift()!)
        expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
      }
      expect(await subjects(test)).toHaveLength(6)
    }))

  it('mail that arrives between STAT and UIDL, or after, is no contradiction (P13)', () =>
    scene(async (backend, gateway) => {
      await gateway.sync()
      backend.on('STAT', () => '+OK 5 100\r\n')
      backend.messages = backend.messages.slice(1)
      backend.messages.push(message(8))
      expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 1 })
    }))
})

describe('the digests of departed messages', () => {
  it('are those of one mailbox', () => {
    const id = (name: string) => name as MailboxId
    const written = JSON.parse(JSON.stringify(writtenContents(new Map([['7', 'abc']]), id('one'))))
    expect(readContents(written, id('one'))).toEqual(new Map([['7', 'abc']]))
    expect(readContents(written, id('two'))).toEqual(new Map())
  })
})

describe('a mailbox that a client renames', () => {
  it('keeps its backend: nothing is fetched twice, and deletions still reach it', async () => {
    await using backend = await scriptedPop3({ messages: [1, 2, 3].map(message), capabilities: ['UIDL'] })
    await using test = await testStore()
    const account = test.store.account(userId)
    const gateway = new Syncer(test.store, backendAt(backend.port, { mailbox: 'Work' }))
    await gateway.sync()
    await account.rename('Work', 'Old/Work')
    await withMailbox(test.store, (mailbox) => mailbox.expunge([mailbox.messages.at(0)!.uid], 'client'), 'Old/Work')
    expect(await gateway.sync()).toMatchObject({ fetched: 0, deletedThere: 1 })
    // Another mailbox that takes the name changes nothing.
    await account.create('Work')
    backend.messages.push(message(4))
    expect(await gateway.sync()).toMatchObject({ fetched: 1 })
    expect((await contents(test.store, 'Old/Work')).length).toBe(3)
    // When it is gone, the one with the name in the configuration is filled.
    await account.remove('Old/Work')
    expect(await gateway.sync()).toMatchObject({ fetched: 3 })
    expect((await contents(test.store, 'Work')).length).toBe(3)
    // Another name in the configuration is another mailbox.
    const moved = new Syncer(test.store, backendAt(backend.port, { mailbox: 'Private' }))
    expect(await moved.sync()).toMatchObject({ fetched: 3 })
  })
})

describe('what a login proves (D4, B14)', () => {
  it('no account is made by a refused login, nor by an OK without a maildrop', () =>
    scene(async (backend, gateway, test) => {
      backend.on('PASS', () => '-ERR [AUTH] no\r\n')
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'auth' })
      backend.on('PASS', () => '+OK\r\n')
      backend.on('STAT', () => '-ERR no mailbox\r\n')
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'permanent' })
      const accounts: string[] = []
      for await (const account of test.store.accounts()) accounts.push(account)
      expect(accounts).toEqual([])
    }))

  const newHost = (gateway: Syncer, backend: ScriptedPop3) =>
    delete gateway.access.profiles.of('127.0.0.1', backend.port).learned.nonsenseRefusedAt
  const accounts = async (test: TestStore) => {
    const all: string[] = []
    for await (const account of test.store.accounts()) all.push(account)
    return all
  }
  const passwords = (backend: ScriptedPop3) => backend.received.filter((line) => / PASS /.test(line))

  it('a backend that accepts any password provisions nobody', () =>
    scene(async (backend, gateway, test) => {
      newHost(gateway, backend)
      backend.on('PASS', ({ argument }, usual) => {
        backend.options.password = argument
        return usual()
      })
      for (let round = 0; round < 2; round++) {
        await expect(gateway.sync()).rejects.toMatchObject({ kind: 'permanent', message: /accepts any password/ })
        expect(await accounts(test)).toEqual([])
      }
      expect(passwords(backend).filter((line) => line.endsWith(' pw'))).toEqual([])
    }))

  it('an honest one is asked once a day, and only before an account is made', () =>
    scene(async (backend, gateway, test) => {
      newHost(gateway, backend)
      await gateway.sync()
      await gateway.sync()
      expect(passwords(backend).map((line) => line.endsWith(' pw'))).toEqual([false, true, true])
      await test.store.account(userId).destroy()
      await gateway.sync()
      expect(passwords(backend)).toHaveLength(4)
      await test.store.account(userId).destroy()
      gateway.clock = { ...systemClock, now: () => Date.now() + 86_400_000 }
      await gateway.sync()
      expect(passwords(backend)).toHaveLength(6)
    }))

  it('one that is busy has said nothing', () =>
    scene(async (backend, gateway, test) => {
      newHost(gateway, backend)
      backend.on('PASS', () => '-ERR [SYS/TEMP] busy\r\n')
      await expect(gateway.sync()).rejects.toMatchObject({ kind: 'temporary' })
      expect(passwords(backend)).toHaveLength(1)
      expect(await accounts(test)).toEqual([])
    }))
})
