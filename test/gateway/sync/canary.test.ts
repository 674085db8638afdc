/** What a new host gets before it is trusted with a maildrop. docs/decisions/0180-a-canary-before-the-mail.md */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import {
  type Pop3Exchange,
  type ScriptedMessage,
  type ScriptedOptions,
  type ScriptedPop3,
  scriptedPop3,
} from '#test/support/pop3-script.ts'
import { backendAt, clientExpunges, contents, Syncer, testStore } from './support.ts'

const count = 25
const all = Array.from({ length: count }, (_, index) => String(index + 1))
const message = (n: string): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\nmessage ${n}\r\n`),
})
const start = (options: ScriptedOptions = {}) =>
  scriptedPop3({ messages: all.map(message), capabilities: ['PIPELINING', 'UIDL', 'TOP'], ...options })
const subjects = async (store: Parameters<typeof contents>[0]) =>
  (await contents(store)).map((octets) => /Subject: (.*)\r/.exec(String(octets))![1]!)
const commands = (backend: ScriptedPop3, session: number) =>
  backend.received.filter((line) => line.startsWith(`${session} `)).map((line) => line.replace(/^\d+ (\S+).*/, '$1'))

/** Removes what it has given: when the session ends, at the next command, or with the last octet. */
const removes = (backend: ScriptedPop3, when: 'at QUIT' | 'at the next command' | 'at once') => {
  const given = new Map<number, ScriptedMessage[]>()
  const remove = (session: number) => {
    const gone = new Set(given.get(session))
    backend.messages = backend.messages.filter((each) => !gone.has(each))
  }
  backend.each(({ word, session }: Pop3Exchange) => {
    if (word === 'QUIT' || when === 'at the next command') remove(session)
  })
  backend.on('RETR', async ({ argument, session, messages, send }, usual) => {
    await send(usual())
    given.set(session, [...(given.get(session) ?? []), messages[Number(argument) - 1]!])
    if (when === 'at once') remove(session)
    return undefined
  })
}

describe('a new host', () => {
  it('that keeps what it has given costs one short session more, once for all its accounts', async () => {
    await using backend = await start()
    const access = { profiles: new BackendProfiles() }
    for (const sessions of [2, 3]) {
      await using test = await testStore()
      expect(await new Syncer(test.store, backendAt(backend.port), access).sync()).toMatchObject({ fetched: count })
      expect(await subjects(test.store)).toEqual(all)
      expect(backend.sessions).toBe(sessions)
    }
    expect(commands(backend, 1)).toEqual(['CAPA', 'USER', 'PASS', 'CAPA', 'STAT', 'UIDL', 'RETR', 'QUIT'])
    expect(access.profiles.of('127.0.0.1', backend.port).learned).toMatchObject({ afterRetrieve: 'keeps' })
  })

  it('is not asked twice for a few messages, nor where it wants a pause between logins', async () => {
    for (const options of [
      { messages: ['1', '2', '3'].map(message) },
      { capabilities: ['PIPELINING', 'UIDL', 'LOGIN-DELAY 60'] },
    ]) {
      await using backend = await start(options)
      await using test = await testStore()
      const gateway = new Syncer(test.store, backendAt(backend.port))
      expect(await gateway.sync()).toMatchObject({ fetched: backend.messages.length })
      expect(backend.sessions).toBe(1)
      // The next session sees that they are still there.
      await gateway.sync()
      const { learned } = gateway.access.profiles.of('127.0.0.1', backend.port)
      expect(learned.afterRetrieve).toBe('keeps')
    }
  })

  it.each(['at QUIT', 'at the next command', 'at once'] as const)(
    'that removes what it has given %s: one message is under way at a time, and nothing leaves here (P8)',
    async (when) => {
      await using backend = await start()
      removes(backend, when)
      await using test = await testStore()
      const gateway = new Syncer(test.store, backendAt(backend.port))
      let most = 0
      const answered = new Map<number, number>()
      backend.each(({ word, session }) => {
        if (word !== 'RETR') return
        const before = answered.get(session) ?? 0
        answered.set(session, before + 1)
        const asked = backend.received.filter((line) => line.startsWith(`${session} RETR`)).length
        most = Math.max(most, asked - before)
      })
      expect(await gateway.sync()).toMatchObject({ fetched: count, expungedHere: 0 })
      expect(gateway.access.profiles.of('127.0.0.1', backend.port).learned.afterRetrieve).toBe('removes')
      expect(most).toBe(1)
      expect(backend.messages).toEqual([])
      for (let round = 0; round < 3; round++)
        expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
      expect(await subjects(test.store)).toEqual(all)
    },
  )

  it('that gives other unique-ids in every session: each message is here once (B9)', async () => {
    await using backend = await start()
    let session = 0
    backend.on('UIDL', (_, usual) => {
      session++
      return String(usual()).replace(/^(\d+) id(.*)\r$/gm, `$1 s${session}x$2\r`)
    })
    await using test = await testStore()
    const gateway = new Syncer(test.store, backendAt(backend.port))
    for (const fetched of [count, 0, 0]) expect(await gateway.sync()).toMatchObject({ fetched, expungedHere: 0 })
    expect(gateway.access.profiles.of('127.0.0.1', backend.port).learned.unstableUidls).toBe(true)
    expect((await subjects(test.store)).sort()).toEqual(all.toSorted())
    // Deletions still reach the right one.
    await clientExpunges(test.store, ({ uid }) => uid === 3)
    const gone = all[2]!
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0, expungedHere: 0 })
    expect(backend.messages.map(({ uidl }) => uidl)).toEqual(all.filter((n) => n !== gone).map((n) => `id${n}`))
  })

  it('that lists in another order every time is noticed, and costs nothing (P7)', async () => {
    await using backend = await start()
    backend.on('UIDL', (_, usual) => {
      backend.messages = [...backend.messages.slice(7), ...backend.messages.slice(0, 7)]
      return usual()
    })
    await using test = await testStore()
    const gateway = new Syncer(test.store, backendAt(backend.port))
    for (const fetched of [count, 0, 0]) expect(await gateway.sync()).toMatchObject({ fetched, expungedHere: 0 })
    expect(gateway.access.profiles.of('127.0.0.1', backend.port).learned.reorders).toBe(true)
    expect((await subjects(test.store)).sort()).toEqual(all.toSorted())
  })
})

describe('unique-ids that are others in every session', () => {
  const renewing = (backend: ScriptedPop3) => {
    backend.on('UIDL', ({ session }, usual) => {
      backend.messages = backend.messages.map((each, index) => ({ ...each, uidl: `s${session}-${index}` }))
      return usual()
    })
  }

  it.each([3, count])('%s messages come once, and later mail too', async (many) => {
    await using backend = await start({ messages: all.slice(0, many).map(message) })
    renewing(backend)
    await using test = await testStore()
    const gateway = new Syncer(test.store, backendAt(backend.port))
    for (let round = 0; round < 4; round++) await gateway.sync()
    expect((await subjects(test.store)).sort()).toEqual(all.slice(0, many).toSorted())
    backend.messages = [...backend.messages, message('later')]
    for (let round = 0; round < 2; round++) expect(await gateway.sync()).toMatchObject({ fetched: 1 - round })
    // The host is forgotten with time; what an account is known by is not.
    const anew = new Syncer(test.store, backendAt(backend.port))
    for (let round = 0; round < 2; round++) expect(await anew.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
    await clientExpunges(test.store, ({ uid }) => uid === 2)
    expect(await anew.sync()).toMatchObject({ deletedThere: 1 })
    expect(await anew.sync()).toMatchObject({ listed: backend.messages.length, fetched: 0, deletedThere: 0 })
  })

  it('of one account make no mail of another one new', async () => {
    const access = { profiles: new BackendProfiles() }
    await using backend = await start()
    await using test = await testStore()
    const gateway = new Syncer(test.store, backendAt(backend.port), access)
    await gateway.sync()
    access.profiles.of('127.0.0.1', backend.port).learned.unstableUidls = true
    for (let round = 0; round < 3; round++) expect(await gateway.sync()).toMatchObject({ fetched: 0, held: 0 })
    expect(await subjects(test.store)).toEqual(all)
  })
})

it('killed at every command while a server removes what it gave: nothing is lost or doubled', async () => {
  await using backend = await start()
  removes(backend, 'at the next command')
  const root = await mkdtemp(join(tmpdir(), 'gateway-canary-'))
  try {
    let runs = 0
    for (let whole = false; !whole; ) {
      runs++
      const sync = spawn(process.execPath, [join(import.meta.dirname, 'killed-sync.ts'), String(backend.port), root], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const at = backend.received.length + 6 + 2 * runs
      const look = async ({ socket }: Pop3Exchange) => {
        if (backend.received.length < at || sync.exitCode !== null || sync.signalCode !== null) return
        sync.kill('SIGKILL')
        if (!socket.destroyed) await once(socket, 'close')
      }
      backend.each(look)
      const [code, signal] = await once(sync, 'exit')
      whole = signal === null
      if (whole) expect(code).toBe(0)
    }
    expect(runs).toBeGreaterThan(3)
    await using test = await testStore(root)
    expect((await subjects(test.store)).sort()).toEqual(all.toSorted())
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}, 300_000)
