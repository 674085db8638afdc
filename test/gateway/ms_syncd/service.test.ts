/** A main backend with a master user, in gateway mode: who may log in, and who polls. docs/decisions/0191-who-a-session-is.md */
import { describe, expect, it } from 'vitest'
import { makeUserDatabase } from '#src/config/backends.ts'
import { type ScriptedMessage, type ScriptedPop3, scriptedPop3 } from '#test/support/pop3-script.ts'
import { contents } from '../sync/support.ts'
import { anna, gatewayScene, type Scene } from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})
const users = makeUserDatabase(undefined, [
  {
    frontendId: anna,
    master: {
      line: 1,
      backendId: 'anna',
      masterUser: 'root',
      masterPassword: 'over-all',
      masterSeparator: '*',
      startTls: 'never',
    },
    extra: [],
  },
])

/** Takes anna's own password and the master's, each with its own name only. */
const play = async (
  use: (backend: ScriptedPop3, scene: Scene, logins: readonly string[]) => Promise<void>,
  options: Parameters<typeof gatewayScene>[1] = {},
) => {
  await using backend = await scriptedPop3({ messages: [message(1)], capabilities: ['UIDL', 'USER'] })
  const names = new Map<number, string>()
  const logins: string[] = []
  backend.on('USER', ({ session, argument }) => {
    names.set(session, argument)
    return '+OK\r\n'
  })
  backend.on('PASS', ({ session, argument }, usual) => {
    const name = names.get(session)!
    logins.push(`${name} ${argument}`)
    backend.options.password = name === 'anna' ? 'pw' : 'over-all'
    return usual()
  })
  await using scene = await gatewayScene(backend.port, options, users)
  await use(backend, scene, logins)
}

describe('with a master user', () => {
  it('a login is proven by the password that was typed, never by the master', () =>
    play(async (_, scene, logins) => {
      for (const guess of ['wrong', 'over-all'])
        await expect(scene.login(guess)).rejects.toMatchObject({ kind: 'bad-credentials' })
      await scene.login('pw')
      expect(logins).toEqual(['anna wrong', 'anna over-all', 'anna pw'])
    }))

  it('polls need no password of the user, and go on when that has changed at the backend', () =>
    play(async (backend, scene, logins) => {
      await scene.login('pw')
      backend.messages.push(message(2))
      scene.clock.turn(301)
      await scene.until(() => logins.length === 2)
      expect(logins[1]).toBe('anna*root over-all')
      await scene.until(async () => (await contents(scene.test.store)).length === 2)
    }))

  it('without a client mail comes by the master, and a login does not wait for such a session', () =>
    play(
      async (backend, scene, logins) => {
        let hang = true
        backend.on('UIDL', (_, usual) => (hang ? undefined : usual()))
        await scene.gateway.pollStanding()
        scene.clock.turn(301)
        await backend.waitFor(/UIDL/)
        expect(logins).toEqual(['anna*root over-all'])
        hang = false
        await scene.login('pw')
        expect(logins).toEqual(['anna*root over-all', 'anna pw'])
        expect(await contents(scene.test.store)).toHaveLength(1)
      },
      { poll_without_client: true },
    ))

  it('whoever guesses passwords does not end the polling', () =>
    play(
      async (backend, scene, logins) => {
        let hang = true
        backend.on('UIDL', (_, usual) => (hang ? undefined : usual()))
        await scene.gateway.pollStanding()
        scene.clock.turn(301)
        await backend.waitFor(/UIDL/)
        await expect(scene.login('guess')).rejects.toMatchObject({ kind: 'bad-credentials' })
        hang = false
        scene.clock.turn(2)
        await scene.until(() => logins.length === 3)
        expect(logins).toEqual(['anna*root over-all', 'anna guess', 'anna*root over-all'])
      },
      { poll_without_client: true },
    ))
})
