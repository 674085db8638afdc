import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { Client, password, serve, user } from './support/served.ts'

const start = Date.parse('2026-11-22T12:00:00Z')
const turned = () => {
  const clock = { ...systemClock, now: () => clock.ms, ms: start }
  return clock
}

/** Answer to PASS on a new connection. */
const login = async (served: Parameters<typeof Client.connect>[0]) => {
  const client = await Client.connect(served)
  await client.line()
  await client.say(`USER ${user}`)
  return { client, answer: await client.say(`PASS ${password}`) }
}

describe('LOGIN-DELAY (RFC 2449 §6.6)', () => {
  it('is announced in both states and refuses a login that comes too soon after the last good one', async () => {
    const clock = turned()
    const served = await serve({ config: { pop_login_delay: 60 }, clock })
    const { client, answer } = await login(served)
    expect(answer).toMatch(/^\+OK/)
    expect(await client.sayMany('CAPA')).toContain('LOGIN-DELAY 60')
    await client.say('QUIT')
    clock.ms += 59_001
    const early = await login(served)
    expect(early.answer).toBe('-ERR [LOGIN-DELAY] logins have to be 60 seconds apart, try again in 1 seconds')
    expect(await early.client.say('STAT')).toBe('-ERR log in first')
    expect(await early.client.sayMany('CAPA')).toContain('LOGIN-DELAY 60')
    // Refused logins don't push the moment on.
    clock.ms += 999
    expect((await login(served)).answer).toMatch(/^\+OK/)
    expect((await login(served)).answer).toMatch(/^-ERR \[LOGIN-DELAY\]/)
    expect(served.log.records.filter(({ message }) => message === 'login refused')).toHaveLength(2)
  })

  it('holds on another machine, whose clock may be somewhat off', async () => {
    const [here, there] = [turned(), turned()]
    const config = { pop_login_delay: 60 }
    const one = await serve({ config, clock: here })
    const two = await serve({ config, clock: there, directory: one.directory })
    expect((await login(one)).answer).toMatch(/^\+OK/)
    there.ms -= 5_000
    expect((await login(two)).answer).toMatch(/^-ERR \[LOGIN-DELAY\]/)
    there.ms += 65_000
    expect((await login(two)).answer).toMatch(/^\+OK/)
    expect((await login(one)).answer).toMatch(/^\+OK/)
  })

  it('locks nobody out because a clock was wrong', async () => {
    const clock = turned()
    const served = await serve({ config: { pop_login_delay: 60 }, clock })
    clock.ms += 86_400_000
    expect((await login(served)).answer).toMatch(/^\+OK/)
    clock.ms = start
    expect((await login(served)).answer).toMatch(/^\+OK/)
  })

  it('is not there at first, and writes nothing', async () => {
    const served = await serve()
    for (let i = 0; i < 2; i++) expect((await login(served)).answer).toMatch(/^\+OK/)
    const client = await Client.connect(served)
    await client.line()
    expect((await client.sayMany('CAPA')).join()).not.toContain('LOGIN-DELAY')
    expect(await served.store.account(user as UserId).get('pop.login')).toBeUndefined()
  })
})
