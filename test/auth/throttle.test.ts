/** Guessing is slowed down, by address and by user, over all services; the user goes on. P20 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { type HashPool, hashThreads } from '#src/auth/hash-pool.ts'
import { accountKey, type ThrottleBus, throttleTopic } from '#src/auth/shared-throttle.ts'
import { createStrangers } from '#src/auth/strangers.ts'
import { createThrottle } from '#src/auth/throttle.ts'
import type { LoginRequest } from '#src/auth/types.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { AuthError, type AuthErrorKind } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { bus, hub, recordingLog, socketPath } from '../events/support/buses.ts'

const password = 'right one'
const joe = 'joe@a.example' as UserId
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'throttle-'))
  const verifiers = makeVerifiers(Buffer.from(password))
  await openAccounts(directory).add({ userId: joe, state: 'enabled', verifiers, services: {}, properties: [] })
})
afterAll(() => rm(directory, { recursive: true }))

/** Answers at once, and says what a hash would. */
const quickHash = (delay: () => Promise<void> = async () => {}): HashPool => ({
  verify: async (given) => {
    await delay()
    return Buffer.from(given).toString() === password
  },
  make: () => Promise.reject(new Error('not here')),
  scram: async () => undefined,
})

const service = (more: { clock?: Clock; bus?: ThrottleBus; hashPool?: HashPool; perMinute?: number } = {}) => {
  const { perMinute = 10, ...parts } = more
  const config = configOf({ account_db: directory, domain: 'a.example', failed_logins_per_minute: perMinute })
  const clock = { ...systemClock, sleep: () => Promise.resolve(), ...more.clock }
  const auth = createAuthenticator({ config, log: recordingLog(), hashPool: quickHash(), ...parts, clock })
  onTestFinished(() => auth.close())
  return auth
}
const login = (
  user: string,
  remoteAddress: string,
  given = password,
  more: Partial<LoginRequest> = {},
): LoginRequest => ({
  service: 'imap',
  user,
  password: Buffer.from(given),
  localAddress: '127.0.0.1',
  remoteAddress,
  signal: new AbortController().signal,
  ...more,
})
const kindOf = (attempt: Promise<unknown>): Promise<AuthErrorKind | 'in'> =>
  attempt.then(
    () => 'in' as const,
    (error: unknown) => {
      if (error instanceof AuthError) return error.kind
      throw error
    },
  )
const stopped = { ...systemClock, monotonic: () => 0, sleep: () => Promise.resolve() }

describe('guessing one user from many addresses', () => {
  it('ends after three times the limit of an address, whether the user exists or not', async () => {
    for (const user of ['joe', 'nobody']) {
      const auth = service({ clock: stopped })
      const guess = (index: number) => kindOf(auth.login(login(user, `198.51.100.${index}`, 'wrong')))
      for (let index = 0; index < 30; index++) expect(await guess(index)).toBe('bad-credentials')
      expect(await guess(30)).toBe('unavailable')
      expect(await kindOf(auth.login(login('other', '198.51.100.31', 'wrong')))).toBe('bad-credentials')
    }
  })

  it('does not keep the user out where they logged in before', async () => {
    const auth = service({ clock: stopped })
    expect(await kindOf(auth.login(login('joe', '192.0.2.1')))).toBe('in')
    for (let index = 0; index < 40; index++) await kindOf(auth.login(login('joe', `198.51.100.${index}`, 'wrong')))
    expect(await kindOf(auth.login(login('joe', '198.51.100.99')))).toBe('unavailable')
    for (let index = 0; index < 40; index++)
      expect(await kindOf(auth.login(login('joe@A.EXAMPLE', '192.0.2.1')))).toBe('in')
  })
})

describe('an address with many users', () => {
  it('that guesses at some of them does not keep those out who logged in from there', async () => {
    const auth = service({ clock: stopped })
    await auth.login(login('joe', '192.0.2.1'))
    for (let index = 0; index < 10; index++) await kindOf(auth.login(login(`user${index}`, '192.0.2.1', 'wrong')))
    expect(await kindOf(auth.login(login('user99', '192.0.2.1', 'wrong')))).toBe('unavailable')
    expect(await kindOf(auth.login(login('joe', '192.0.2.1')))).toBe('in')
    // Nor may it guess at those without end.
    for (let index = 0; index < 10; index++)
      expect(await kindOf(auth.login(login('joe', '192.0.2.1', 'wrong')))).toBe('bad-credentials')
    expect(await kindOf(auth.login(login('joe', '192.0.2.1', 'wrong')))).toBe('unavailable')
  })
})

describe('SASL', () => {
  it('refuses as soon as it knows whom it is about', async () => {
    const auth = service({ clock: stopped, perMinute: 1 })
    const { user, password: given, ...place } = login('joe', '192.0.2.1', 'wrong')
    await kindOf(auth.login({ ...place, user, password: given }))
    const asked: string[] = []
    const scram = auth.authenticate({
      ...place,
      mechanism: 'SCRAM-SHA-256',
      initial: Buffer.from('n,,n=joe,r=abc'),
      channel: undefined,
      ask: async (challenge) => {
        asked.push(challenge.toString())
        return Buffer.alloc(0)
      },
    })
    expect(await kindOf(scram)).toBe('unavailable')
    expect(asked).toEqual([])
  })
})

describe('all processes of all services', () => {
  it('count together', async () => {
    const address = await socketPath()
    await hub(address)
    const [imapd, pop3d] = [bus(address, 'imapd'), bus(address, 'pop3d')]
    const [imap, pop] = [service({ bus: imapd, perMinute: 2 }), service({ bus: pop3d, perMinute: 2 })]
    // Behind pop3d's own subscription: what is here has been counted there.
    const heard: string[] = []
    pop3d.subscribe([throttleTopic], ({ fields }) => heard.push(JSON.stringify(fields)))
    const arrives = (text: string, times: number) =>
      vi.waitFor(() => expect(heard.join().split(text).length - 1).toBe(times))
    await vi.waitFor(() => expect(imapd.connected && pop3d.connected).toBe(true))
    expect(await kindOf(imap.login(login('joe', '192.0.2.5')))).toBe('in')
    for (const index of [1, 2]) await kindOf(imap.login(login(`user${index}`, '192.0.2.1', 'wrong')))
    await arrives('failed 192.0.2.1 ', 2)
    expect(await kindOf(pop.login(login('joe', '192.0.2.1', password, { service: 'pop' })))).toBe('unavailable')
    // Six wrong ones of one user from everywhere, and the user goes on at both.
    for (let index = 0; index < 6; index++) await kindOf(imap.login(login('joe', `198.51.100.${index}`, 'wrong')))
    await arrives(` ${accountKey('joe@a.example')}`, 7)
    expect(await kindOf(pop.login(login('joe', '203.0.113.1')))).toBe('unavailable')
    expect(await kindOf(pop.login(login('joe', '192.0.2.5', password, { service: 'pop' })))).toBe('in')
    expect(heard.join()).not.toMatch(/joe|user1|wrong/)
  })

  it('take nothing from an event that says something else', () => {
    const throttle = createThrottle(stopped, () => 1)
    let tell: (fields: Record<string, string>) => void = () => {}
    const shared: ThrottleBus = {
      publish: () => {},
      subscribe: (_, onEvent) => {
        tell = (fields) => onEvent({ fields })
        return () => {}
      },
    }
    service({ bus: shared })
    for (const text of ['', 'failed', 'failed  x', `failed ${'x'.repeat(100)} -`, '__proto__ a b'])
      tell({ n0: text, by: 'x' })
    expect(throttle.wait('192.0.2.1', undefined)).toBe(0)
  })
})

describe('a flood of wrong passwords', () => {
  it('lets a user whose address is known through before those who wait', async () => {
    let release: (() => void)[] = []
    const hashing = () => new Promise<void>((resolve) => release.push(resolve))
    let isFlooded = false
    const auth = service({ hashPool: quickHash(async () => (isFlooded ? hashing() : undefined)), perMinute: 1_000 })
    expect(await kindOf(auth.login(login('joe', '192.0.2.1')))).toBe('in')
    isFlooded = true
    const flood = Array.from({ length: hashThreads + 150 }, (_, index) =>
      kindOf(auth.login(login(`user${index}`, `198.51.${index}.1`, 'wrong'))),
    )
    await vi.waitFor(() => expect(release.length).toBe(hashThreads))
    // One more finds no room, and is told so.
    expect(await kindOf(auth.login(login('late', '203.0.113.1', 'wrong')))).toBe('unavailable')
    // Another password of joe's than the one that is remembered: it has to be hashed.
    const attempt = kindOf(auth.login(login('joe', '192.0.2.1', 'mistyped')))
    await vi.waitFor(() => expect(release.length).toBe(hashThreads + 1))
    release.pop()!()
    expect(await attempt).toBe('bad-credentials')
    isFlooded = false
    for (const go of release) go()
    release = []
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['bad-credentials']))
  })

  it('has its places rest behind wrong passwords, and right ones rest nobody', async () => {
    const rests: { readonly ms: number; readonly end: () => void }[] = []
    const clock: Clock = {
      ...systemClock,
      sleep: (ms) => new Promise((end) => rests.push({ ms, end })),
    }
    const { inTurn } = createStrangers(clock, 1)
    const hash = (isRight: boolean) => async () => {
      if (!isRight) throw new AuthError('bad-credentials', 'wrong')
      return 'in'
    }
    expect(await Promise.all([inTurn(hash(true)), inTurn(hash(true))])).toEqual(['in', 'in'])
    expect(rests).toEqual([])
    await expect(inTurn(hash(false))).rejects.toThrow('wrong')
    let isIn = false
    const next = inTurn(hash(true)).then(() => {
      isIn = true
    })
    expect(rests.map(({ ms }) => ms)).toEqual([300])
    await new Promise(setImmediate)
    expect(isIn).toBe(false)
    rests[0]!.end()
    await next
  })
})
