import { describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { makeUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { imapMessage, scriptedImap } from '#test/support/imap-script.ts'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { contents } from '../sync/support.ts'
import { anna, gatewayScene, type Scene } from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})
const recorded = (...names: readonly string[]): UserDatabase =>
  makeUserDatabase(
    undefined,
    names.map((name) => ({ frontendId: name, master: { line: 1, password: 'pw' }, extra: [] })),
  )
const always = { poll_without_client: true } as const
const stored = async (scene: Scene) => (await contents(scene.test.store)).length
const quits = (received: readonly string[]) => received.filter((line) => line.endsWith('QUIT')).length

describe('polling without a client', () => {
  it('begins with ms_syncd and goes on at the interval, for users whose record has the password', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    await using scene = await gatewayScene(
      backend.port,
      always,
      makeUserDatabase(undefined, [
        { frontendId: anna, master: { line: 1, password: 'pw' }, extra: [] },
        { frontendId: 'bob@example.org', master: { line: 2 }, extra: [] },
        { frontendId: '@example.com', master: { line: 3, password: 'pw' }, extra: [] },
      ]),
    )
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()][0]?.sessions === 1)
    expect(await stored(scene)).toBe(1)
    backend.messages.push(message(2))
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()][0]?.sessions === 2)
    expect(await stored(scene)).toBe(2)
    expect(scene.bus.asked).toEqual([])
    expect(scene.gateway.counts.users).toBe(1)
  })

  it('is not done unless poll_without_client says so, and a reload begins and ends it', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    await using scene = await gatewayScene(backend.port, {}, recorded(anna))
    const reload = (overrides: ConfigOverrides) =>
      scene.gateway.reload({
        config: configOf({
          gateway_mode: true,
          ms_syncd_host: '127.0.0.1',
          ms_syncd_port: backend.port,
          suppress_client_tls: true,
          ...overrides,
        }),
        users: recorded(anna),
        access: scene.gateway.access,
        accounts: undefined,
      })
    await scene.gateway.pollStanding()
    scene.clock.turn(1_000)
    await scene.quiet()
    await reload(always)
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()][0]?.sessions === 1)
    await reload({})
    scene.clock.turn(10_000)
    await scene.quiet()
    expect(backend.sessions).toBe(1)
  })

  it('with ms_sync_interval -1 there is none', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    await using scene = await gatewayScene(backend.port, { ...always, ms_sync_interval: -1 }, recorded(anna))
    await scene.gateway.pollStanding()
    scene.clock.turn(100_000)
    await scene.quiet()
    expect(backend.sessions).toBe(0)
  })

  it('SYN-01: in synchronisation mode only for those who have an account', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    const accounts = new Map<string, 'enabled' | 'disabled'>([['gone@example.org', 'disabled']])
    const find = async (userId: UserId) => {
      const state = accounts.get(userId)
      return state === undefined ? undefined : { userId, state, verifiers: undefined, services: {}, properties: [] }
    }
    const overrides = { ...always, gateway_mode: false, sync_mode: true }
    await using scene = await gatewayScene(backend.port, overrides, recorded(anna, 'gone@example.org'), {
      find,
      add: () => Promise.reject(new Error('synchronisation mode makes no accounts')),
      put: () => Promise.reject(new Error('synchronisation mode changes no accounts')),
      matches: () => Promise.reject(new Error('nobody shows a password')),
    })
    await scene.gateway.pollStanding()
    scene.clock.turn(1_000)
    await scene.quiet()
    accounts.set(anna, 'enabled')
    scene.clock.turn(1_000)
    await scene.until(() => [...scene.gateway.statuses()].some(({ sessions }) => sessions === 1))
    expect(await stored(scene)).toBe(1)
  })

  it('a login that comes while the poll runs takes its answer', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    await using scene = await gatewayScene(backend.port, always, recorded(anna))
    const { promise, resolve } = Promise.withResolvers<void>()
    backend.on('PASS', async (_, usual) => {
      await promise
      return usual()
    })
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    await backend.waitFor(/PASS/)
    const login = scene.login()
    resolve()
    await login
    expect(await stored(scene)).toBe(1)
    expect(backend.sessions).toBe(1)
  })
})

describe('a host that is to be left alone', () => {
  const names = Array.from({ length: 20 }, (_, index) => `user${index}@example.org`)

  it('away: after three sessions that did not come to a login the others are not tried, and one by one later', async () => {
    await using scene = await gatewayScene(1, always, recorded(...names))
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    const failures = () => scene.lines.filter(({ fields }) => fields.kind === 'connect').length
    const idle = () => scene.gateway.scheduler.counts.running + scene.gateway.scheduler.counts.waiting === 0
    await scene.until(() => failures() >= 3 && idle())
    expect(failures()).toBeLessThanOrEqual(4)
    const states = [...scene.gateway.statuses()].map(({ state }) => state)
    expect(states.every((state) => state === 'away')).toBe(true)
    const before = failures()
    scene.clock.turn(20)
    await scene.until(() => failures() > before && idle())
    expect(failures()).toBe(before + 1)
  })

  it('comes back at once for all when it answers', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    backend.each(({ socket }) => void socket.destroy())
    await using scene = await gatewayScene(backend.port, always, recorded(...names))
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()].every(({ state }) => state === 'away'))
    backend.reset()
    scene.clock.turn(1_000)
    await scene.until(() => [...scene.gateway.statuses()].every(({ sessions }) => sessions === 1))
  })

  it('a login is tried although polls wait', async () => {
    await using scene = await gatewayScene(1, always, recorded(...names))
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()].every(({ state }) => state === 'away'))
    const before = scene.lines.length
    await expect(scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(scene.lines.length).toBeGreaterThan(before)
  })

  it('throttled: when three accounts are told so, all wait as long as it said, and fewer at once come back', async () => {
    await using backend = await scriptedPop3({ messages: [] })
    backend.on('PASS', () => '-ERR too many connections, wait 10 minutes\r\n')
    await using scene = await gatewayScene(backend.port, always, recorded(...names))
    await scene.gateway.pollStanding()
    scene.clock.turn(301)
    await scene.until(() => [...scene.gateway.statuses()].every(({ state }) => state === 'throttled'))
    expect(backend.sessions).toBeLessThan(6)
    const [host] = scene.gateway.hosts
    expect(host!.hold).toEqual({ why: 'throttled', until: expect.any(Number) })
    expect(host!.hold!.until - scene.clock.now()).toBeGreaterThan(590_000)
    const before = backend.sessions
    scene.clock.turn(500)
    await scene.quiet()
    expect(backend.sessions).toBe(before)
    backend.on('PASS', (_, usual) => usual())
    scene.clock.turn(1_000)
    await scene.until(() => [...scene.gateway.statuses()].every(({ sessions }) => sessions === 1))
    expect(host!.hold).toBeUndefined()
  })

  it('an IMAP host that says behind its OK that it answers slower gets fewer sessions and later ones (I4)', async () => {
    const mail = [1, 2].map((n) => imapMessage(n, `Subject: ${n}\r\n\r\n${n}\r\n`))
    await using backend = await scriptedImap({ mailboxes: { INBOX: mail } })
    backend.on('UID FETCH', async ({ argument, send }, usual) => {
      if (!argument.includes('BODY.PEEK[]')) return usual()
      await send(String(usual()).replace(/\S+ OK done\r\n$/, ''))
      return 'OK done [THROTTLED]'
    })
    await using scene = await gatewayScene(
      backend.port,
      { ...always, ms_syncd_protocol: 'imap', ms_sync_interval: 10 },
      recorded(...names),
    )
    await scene.gateway.pollStanding()
    const [host] = scene.gateway.hosts
    const before = host!.limit(false)
    scene.clock.turn(11)
    await scene.until(() => [...scene.gateway.statuses()].every(({ state }) => state === 'throttled'))
    expect(host!.hold).toEqual({ why: 'throttled', until: expect.any(Number) })
    expect(host!.limit(false)).toBeLessThan(before)
    for (const status of scene.gateway.statuses()) {
      if (status.sessions === 0) continue
      expect(status).toMatchObject({ fetched: 2, reason: 'the backend asks for fewer sessions or less traffic' })
      expect(status.next! - scene.clock.now()).toBeGreaterThanOrEqual(60_000)
    }
    // It is as fast as before: the others have their turn.
    backend.reset()
    scene.clock.turn(200)
    await scene.until(() => [...scene.gateway.statuses()].every(({ sessions }) => sessions > 0))
  })

  it('quiet hours: no poll in them', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    const hour = (offset: number) => {
      const date = new Date(Date.parse('2026-11-22T12:00:00Z') + offset * 3_600_000)
      return date.getHours() * 60 + date.getMinutes()
    }
    const quiet = { host: '127.0.0.1', from: hour(-1), to: hour(2) }
    await using scene = await gatewayScene(backend.port, { ...always, backend_quiet_hours: [quiet] }, recorded(anna))
    await scene.gateway.pollStanding()
    scene.clock.turn(3_600)
    await scene.quiet()
    expect([...scene.gateway.statuses()]).toMatchObject([{ state: 'quiet', next: Date.parse('2026-11-22T14:00:00Z') }])
    await scene.login()
    scene.bus.sessions = []
    expect(backend.sessions).toBe(1)
    scene.clock.turn(3_600)
    await scene.until(() => quits(backend.received) === 2)
  })
})
