import { describe, expect, it } from 'vitest'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import {
  type ScriptedMessage,
  type ScriptedOptions,
  type ScriptedPop3,
  scriptedPop3,
} from '#test/support/pop3-script.ts'
import { quick } from '../backend/maildrop.ts'
import { clientExpunges, contents } from '../sync/support.ts'
import { anna, gatewayScene, type Scene } from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})

const play = async (
  run: (backend: ScriptedPop3, scene: Scene) => Promise<void>,
  { overrides = {}, ...options }: ScriptedOptions & { overrides?: ConfigOverrides } = {},
) => {
  await using backend = await scriptedPop3({
    messages: [1, 2, 3].map(message),
    capabilities: ['PIPELINING', 'UIDL'],
    ...options,
  })
  await using scene = await gatewayScene(backend.port, overrides)
  await run(backend, scene)
}
const logins = (backend: ScriptedPop3) => backend.received.filter((line) => line.includes('PASS')).length
const stored = async (scene: Scene, mailbox?: string) => (await contents(scene.test.store, mailbox)).length
/** So many sessions said QUIT, and what is remembered of them is. */
const finished =
  (backend: ScriptedPop3, { gateway }: Scene, count: number) =>
  () =>
    backend.received.filter((line) => line.endsWith('QUIT')).length === count && gateway.scheduler.counts.running === 0

describe('login', () => {
  it('GW-12, GW-17: held until the mail is here', () =>
    play(async (_, scene) => {
      await scene.login()
      expect(await stored(scene)).toBe(3)
    }))

  it('GW-17: backend_fast_login answers as soon as the backend accepted, and fetches behind it', () =>
    play(
      async (backend, scene) => {
        const { promise, resolve } = Promise.withResolvers<void>()
        backend.on('UIDL', async (_, usual) => {
          await promise
          return usual()
        })
        await scene.login()
        expect(backend.received.some((line) => line.includes('RETR'))).toBe(false)
        resolve()
        await scene.until(async () => (await stored(scene)) === 3)
      },
      { overrides: { backend_fast_login: true } },
    ))

  it.each([
    ['-ERR [AUTH] no\r\n', 'bad-credentials'],
    ['-ERR [IN-USE] locked\r\n', 'in-use'],
    ['-ERR [LOGIN-DELAY] wait\r\n', 'login-delay'],
    ['-ERR [SYS/TEMP] later\r\n', 'unavailable'],
    ['-ERR [SYS/PERM] broken\r\n', 'unavailable'],
    ['gibberish\r\n', 'unavailable'],
  ])('PASS answered %j: %s; no account is made, nothing is tried again', (answer, kind) =>
    play(async (backend, scene) => {
      backend.on('PASS', () => answer)
      await expect(scene.login()).rejects.toMatchObject({ name: 'AuthError', kind })
      scene.clock.turn(100_000)
      await scene.quiet()
      expect(logins(backend)).toBe(1)
      expect(await scene.test.store.account(anna).exists()).toBe(false)
    }),
  )

  it('a backend that is down, or hangs, is unavailable', async () => {
    await using scene = await gatewayScene(1)
    await expect(scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    await play(async (backend, { login }) => {
      backend.on('USER', () => undefined)
      await expect(login()).rejects.toMatchObject({ kind: 'unavailable' })
    })
  })

  it('a sync that breaks behind a good login does not refuse the user', () =>
    play(async (backend, scene) => {
      backend.on('RETR', ({ argument, socket }, usual) => (argument === '2' ? void socket.destroy() : usual()))
      await scene.login()
      expect(await stored(scene)).toBe(1)
    }))

  it('several connections at once are one session with the backend; a wrong password among them is refused', () =>
    play(async (backend, scene) => {
      await Promise.all([scene.login(), scene.login(), scene.login()])
      expect(logins(backend)).toBe(1)
      await scene.login()
      expect(logins(backend)).toBe(1)
      await expect(scene.login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
      expect(logins(backend)).toBe(2)
    }))

  it('somebody who tries passwords does not stop the polling of the one who has it (B15)', () =>
    play(async (backend, scene) => {
      await scene.login()
      for (const guess of ['a', 'b'])
        await expect(scene.login(guess)).rejects.toMatchObject({ kind: 'bad-credentials' })
      backend.messages.push(message(4))
      scene.clock.turn(301)
      await scene.until(async () => (await stored(scene)) === 4)
    }))

  it('D11: within LOGIN-DELAY the password that was accepted is accepted, another is not', () =>
    play(
      async (backend, scene) => {
        await scene.login()
        scene.clock.turn(120)
        await scene.login()
        await expect(scene.login('wrong')).rejects.toMatchObject({ kind: 'login-delay' })
        expect(logins(backend)).toBe(1)
        // The session is over; its successor within the delay is served too.
        scene.bus.sessions = []
        scene.bus.emit({ topic: anna, name: 'logout', fields: {} })
        scene.clock.turn(120)
        await scene.login()
        expect(logins(backend)).toBe(1)
      },
      { capabilities: ['LOGIN-DELAY 720', 'UIDL'] },
    ))

  it('D11: IN-USE for the password that was accepted before is no refusal', () =>
    play(async (backend, scene) => {
      await scene.login()
      backend.on('PASS', () => '-ERR [IN-USE] locked\r\n')
      scene.clock.turn(90)
      await scene.login()
      await expect(scene.login('wrong')).rejects.toMatchObject({ kind: 'in-use' })
    }))

  it('UDB-08: the password of a master record is the one for the front', async () => {
    await using backend = await scriptedPop3({ messages: [message(1)] })
    const users = makeUserDatabase(undefined, [
      { frontendId: anna, master: { line: 1, backendId: 'x', password: 'pw' }, extra: [] },
    ])
    await using scene = await gatewayScene(backend.port, {}, users)
    await expect(scene.login('other')).rejects.toMatchObject({ kind: 'bad-credentials' })
    expect(backend.sessions).toBe(0)
    await scene.login('pw')
    expect(backend.received).toContainEqual('1 USER x')
  })

  it('joe and joe@example.org are one maildrop: nothing is fetched twice', () =>
    play(async (_, scene) => {
      await scene.login('pw', 'anna' as typeof anna)
      scene.clock.turn(120)
      await scene.login('pw', anna)
      expect(await stored(scene)).toBe(3)
    }))
})

describe('polling', () => {
  it('GW-05: every ms_sync_interval seconds while a client is connected, and no longer', () =>
    play(
      async (backend, scene) => {
        await scene.login()
        for (let round = 2; round < 5; round++) {
          backend.messages.push(message(round + 2))
          scene.clock.turn(59)
          await scene.quiet()
          expect(logins(backend)).toBe(round - 1)
          scene.clock.turn(2)
          await scene.until(finished(backend, scene, round))
          expect(await stored(scene)).toBe(round + 2)
        }
        scene.bus.sessions = []
        scene.clock.turn(61)
        await scene.until(() => scene.bus.emit({ topic: anna, name: 'login', fields: {} }) === 0)
        scene.clock.turn(1_000)
        await scene.quiet()
        expect(logins(backend)).toBe(4)
      },
      { overrides: { ms_sync_interval: 60 } },
    ))

  it('GW-06, EVT-14: with -1 there is none; an ms_sync event synchronises at once', () =>
    play(
      async (backend, scene) => {
        await scene.login()
        scene.clock.turn(100_000)
        await scene.quiet()
        expect(logins(backend)).toBe(1)
        backend.messages.push(message(4))
        expect(scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })).toBe(1)
        scene.clock.turn(1)
        await scene.until(finished(backend, scene, 2))
        expect(await stored(scene)).toBe(4)
      },
      { overrides: { ms_sync_interval: -1 } },
    ))

  it('EVT-14: an ms_sync event for a user whose password is not known says so in the log', () =>
    play(async (backend, scene) => {
      const said = () => scene.lines.filter(({ message }) => message.startsWith('not synchronised as asked'))
      // A session from before this ms_syncd was started.
      scene.bus.sessions.push({ service: 'imap', sessionId: '1', user: anna })
      scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })
      scene.bus.emit({ topic: 'ms_sync:nobody@example.org', name: 'sync', fields: {} })
      await scene.until(() => said().length === 2)
      expect(said()).toMatchObject([
        { severity: 'warning', message: expect.stringContaining('log in again'), fields: { user: anna, sessions: 1 } },
        { severity: 'info', message: expect.stringContaining('no session'), fields: { user: 'nobody@example.org' } },
      ])
      await scene.quiet()
      expect(backend.sessions).toBe(0)
      await scene.login()
      scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })
      scene.clock.turn(1)
      await scene.until(finished(backend, scene, 2))
      expect(said()).toHaveLength(2)
    }))

  it("asks mseventd for this user's sessions only", () =>
    play(async (backend, scene) => {
      await scene.login()
      scene.clock.turn(301)
      await scene.until(finished(backend, scene, 2))
      expect(new Set(scene.bus.asked)).toEqual(new Set([anna]))
    }))

  it('GW-18: a longer LOGIN-DELAY wins over the interval, and over events', () =>
    play(
      async (backend, scene) => {
        await scene.login()
        scene.clock.turn(100)
        scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })
        scene.clock.turn(600)
        await scene.quiet()
        expect(logins(backend)).toBe(1)
        scene.clock.turn(25)
        await scene.until(finished(backend, scene, 2))
      },
      { capabilities: ['LOGIN-DELAY 720', 'UIDL'], overrides: { ms_sync_interval: 60 } },
    ))

  it('GW-07: what a client expunges is deleted at the backend soon, not at the next poll', () =>
    play(async (backend, scene) => {
      await scene.login()
      await clientExpunges(scene.test.store, ({ uidl }) => uidl === 'id2')
      scene.bus.emit({ topic: `mbox:${anna}`, name: 'mail', fields: { mailbox: 'INBOX', expunged: 1 } })
      scene.clock.turn(1)
      await scene.until(() => backend.messages.length === 2)
    }))

  it('a passing failure is tried again, ever more rarely; a refused password is not', () =>
    play(
      async (backend, scene) => {
        await scene.login()
        backend.on('PASS', () => '-ERR [SYS/TEMP] later\r\n')
        scene.clock.turn(61)
        await scene.until(() => logins(backend) === 2)
        await scene.until(() => scene.lines.some(({ message }) => message === 'the backend has a passing failure'))
        scene.clock.turn(40)
        await scene.until(() => logins(backend) === 3)
        backend.on('PASS', () => '-ERR [AUTH] changed\r\n')
        await scene.until(
          () => scene.lines.filter(({ message }) => message === 'the backend has a passing failure').length === 2,
        )
        scene.clock.turn(80)
        await scene.until(() =>
          scene.lines.some(({ message }) => message.startsWith('the backend refuses the password')),
        )
        scene.clock.turn(100_000)
        await scene.quiet()
        expect(logins(backend)).toBe(4)
        expect(await stored(scene)).toBe(3)
        backend.on('PASS', (_, usual) => usual())
        await scene.login()
        expect(logins(backend)).toBe(5)
      },
      { overrides: { ms_sync_interval: 60 } },
    ))

  it('UDB-12, UDB-10: an extra backend has its own password, mailbox and interval, and its failure is its own', async () => {
    await using master = await scriptedPop3({ messages: [message(1)] })
    await using extra = await scriptedPop3({ messages: [message(2)], password: 'other' })
    const users = makeUserDatabase(undefined, [
      {
        frontendId: anna,
        master: { line: 1 },
        extra: [
          { line: 2, port: extra.port, backendId: 'x', password: 'other', mailbox: 'Work', loginDelay: 60 },
          { line: 3, port: 1, mailbox: 'Dead' },
        ],
      },
    ])
    await using scene = await gatewayScene(master.port, {}, users)
    await scene.login()
    expect([await stored(scene), await stored(scene, 'Work')]).toEqual([1, 1])
    extra.messages.push(message(3))
    scene.clock.turn(61)
    await scene.until(async () => (await stored(scene, 'Work')) === 2)
    expect(logins(master)).toBe(1)
  })

  it('GW-26: the master backend alone decides about a login', async () => {
    await using master = await scriptedPop3({ messages: [message(1)], password: 'right' })
    await using extra = await scriptedPop3({ messages: [message(2)], password: 'other' })
    const users = makeUserDatabase(undefined, [
      {
        frontendId: anna,
        master: { line: 1 },
        extra: [{ line: 2, port: extra.port, backendId: 'x', mailbox: 'Work' }],
      },
    ])
    await using scene = await gatewayScene(master.port, {}, users)
    // The extra one would take this one.
    await expect(scene.login('other')).rejects.toMatchObject({ kind: 'bad-credentials' })
    expect([logins(master), logins(extra)]).toEqual([1, 0])
    // And refuses this one, which lets the user in.
    await scene.login('right')
    expect([logins(master), logins(extra)]).toEqual([2, 1])
    expect(await stored(scene)).toBe(1)
  })

  it('a refused password of an extra backend is not tried again, whatever asks for a sync (B15)', async () => {
    await using master = await scriptedPop3({ messages: [message(1)] })
    await using extra = await scriptedPop3({ messages: [message(2)], password: 'other' })
    const users = makeUserDatabase(undefined, [
      {
        frontendId: anna,
        master: { line: 1 },
        extra: [{ line: 2, port: extra.port, backendId: 'x', password: 'outdated', mailbox: 'Work' }],
      },
    ])
    await using scene = await gatewayScene(master.port, {}, users)
    await scene.login()
    expect(logins(extra)).toBe(1)
    scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })
    scene.clock.turn(1)
    await scene.until(finished(master, scene, 2))
    await scene.quiet()
    expect(logins(extra)).toBe(1)
  })

  it('a refused password of an extra backend is tried again when its record has another one', async () => {
    await using master = await scriptedPop3({ messages: [message(1)] })
    await using extra = await scriptedPop3({ messages: [message(2)], password: 'other' })
    const users = (password: string) =>
      makeUserDatabase(undefined, [
        {
          frontendId: anna,
          master: { line: 1 },
          extra: [{ line: 2, port: extra.port, backendId: 'x', password, mailbox: 'Work' }],
        },
      ])
    const config = configOf({
      gateway_mode: true,
      ms_syncd_host: '127.0.0.1',
      ms_syncd_port: master.port,
      suppress_client_tls: true,
    })
    const access = { profiles: new BackendProfiles(), limits: quick }
    await using scene = await gatewayScene(master.port, {}, users('outdated'))
    await scene.login()
    scene.clock.turn(120)
    await scene.login()
    expect([logins(master), logins(extra)]).toEqual([2, 1])
    expect(scene.lines.map((line) => line.message)).toContain(
      'the backend refuses the password; no further attempt before its record has another one',
    )
    await scene.gateway.reload({ config, users: users('other'), access })
    scene.clock.turn(120)
    await scene.login()
    expect(logins(extra)).toBe(2)
    expect(await stored(scene, 'Work')).toBe(1)
  })

  it('a restart of mseventd ends no polling: front ends announce their sessions again a little later', () =>
    play(async (backend, scene) => {
      await scene.login()
      scene.clock.turn(100)
      const { sessions } = scene.bus
      scene.bus.restart()
      await scene.quiet()
      scene.clock.turn(10)
      scene.bus.sessions = sessions
      scene.clock.turn(200)
      await scene.until(finished(backend, scene, 2))
      // A front end that does not come back ends it.
      scene.bus.restart()
      scene.clock.turn(31)
      scene.bus.emit({ topic: anna, name: 'logout', fields: {} })
      await scene.until(() => scene.bus.emit({ topic: anna, name: 'login', fields: {} }) === 0)
    }))

  it('an answer from an mseventd that has just been restarted ends no polling either', () =>
    play(async (backend, scene) => {
      await scene.login()
      scene.clock.turn(301)
      const presences = scene.bus.presences.bind(scene.bus)
      const { sessions } = scene.bus
      scene.bus.presences = async () => {
        scene.bus.restart()
        return []
      }
      await scene.until(() => scene.bus.sessions.length === 0)
      scene.bus.presences = presences
      scene.bus.sessions = sessions
      scene.clock.turn(301)
      await scene.until(finished(backend, scene, 2))
    }))

  it('a login while mseventd is asked whether anybody is left is not forgotten', () =>
    play(async (backend, scene) => {
      await scene.login()
      scene.clock.turn(40)
      const { promise, resolve } = Promise.withResolvers<void>()
      const presences = scene.bus.presences.bind(scene.bus)
      let asked = false
      scene.bus.presences = async () => {
        asked = true
        await promise
        return []
      }
      scene.bus.emit({ topic: anna, name: 'logout', fields: {} })
      await scene.until(() => asked)
      await scene.login()
      scene.bus.presences = presences
      resolve()
      await scene.quiet()
      scene.clock.turn(301)
      await scene.until(finished(backend, scene, 2))
    }))

  it('a poll that learns of another password takes the old one back', () =>
    play(async (backend, scene) => {
      await scene.login()
      backend.options.password = 'changed'
      scene.bus.emit({ topic: `ms_sync:${anna}`, name: 'sync', fields: {} })
      scene.clock.turn(1)
      await scene.until(() => scene.lines.some(({ fields }) => fields.kind === 'auth'))
      await expect(scene.login()).rejects.toMatchObject({ kind: 'bad-credentials' })
    }))

  it('when it can not be known whether a client is there, polling goes on', () =>
    play(async (backend, scene) => {
      await scene.login()
      scene.bus.away = true
      scene.clock.turn(301)
      await scene.until(finished(backend, scene, 2))
    }))
})

describe('what is left behind', () => {
  it('no log line has a password', () =>
    play(async (backend, scene) => {
      backend.options.password = 'sesame-7'
      await scene.login('sesame-7')
      await expect(scene.login('sesame-8')).rejects.toThrow()
      expect(JSON.stringify(scene.lines)).not.toMatch(/sesame/)
      expect(scene.lines.length).toBeGreaterThan(1)
    }))

  it('a gateway that stops ends its sessions, and keeps what has arrived', () =>
    play(
      async (backend, scene) => {
        backend.on('RETR', ({ argument }, usual) => (argument === '3' ? undefined : usual()))
        const login = scene.login().catch((error: unknown) => error)
        await backend.waitFor(/RETR 3/)
        await scene.gateway.stop()
        await login
        expect(await stored(scene)).toBe(2)
      },
      { capabilities: ['UIDL'] },
    ))
})
