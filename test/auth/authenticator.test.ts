import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type AccountRecord, openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { createHashPool } from '#src/auth/hash-pool.ts'
import type { AskService } from '#src/auth/ms-syncd.ts'
import type { LoginRequest } from '#src/auth/types.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { AuthError, type AuthErrorKind } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'

const password = 'correct horse \u00e9'
const hashPool = createHashPool({ threads: 1 })
let directory: string
const written: string[] = []
const log: Log = { log: (...record) => written.push(JSON.stringify(record)), child: () => log }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'auth-'))
  const accounts = openAccounts(directory)
  const verifiers = makeVerifiers(Buffer.from(password))
  const add = (userId: string, more: Partial<AccountRecord> = {}) =>
    accounts.add({ userId: userId as UserId, state: 'enabled', verifiers, services: {}, properties: [], ...more })
  await add('joe@a.example')
  await add('nopop@a.example', { services: { pop: 'deny', imap: 'allow' } })
  await add('off@a.example', { state: 'disabled' })
  await add('moving@a.example', { state: 'migrating' })
  await add('bare@a.example', { verifiers: undefined })
  await writeFile(join(directory, 'broken@a.example.json'), '{')
})
afterAll(() => rm(directory, { recursive: true }))
afterEach(() => {
  written.length = 0
})

const authenticator = (overrides: ConfigOverrides = {}, more: { ask?: AskService; clock?: Clock } = {}) =>
  createAuthenticator({
    config: configOf({ account_db: directory, domain: 'a.example', ...overrides }),
    log,
    clock: systemClock,
    hashPool,
    ...more,
  })
const request = (
  user: string,
  more: Partial<Omit<LoginRequest, 'password'>> & { password?: string | Buffer } = {},
): LoginRequest => ({
  service: 'imap',
  user,
  localAddress: '127.0.0.1',
  remoteAddress: '192.0.2.7',
  signal: new AbortController().signal,
  ...more,
  password: Buffer.from(more.password ?? password),
})
const kindOf = async (login: Promise<unknown>): Promise<AuthErrorKind | 'in'> => {
  try {
    await login
    return 'in'
  } catch (error) {
    if (error instanceof AuthError) return error.kind
    throw error
  }
}

describe('logins to embedded accounts', () => {
  it('CAN-03 lets in the canonical user', async () => {
    expect(await authenticator().login(request('joe'))).toEqual({ userId: 'joe@a.example' })
    expect(await authenticator().login(request('joe@A.EXAMPLE'))).toEqual({ userId: 'joe@a.example' })
  })

  it.each([
    ['joe', 'wrong', 'bad-credentials'],
    ['joe', `${password} `, 'bad-credentials'],
    ['joe', '', 'bad-credentials'],
    ['joe', `${password}\0`, 'bad-credentials'],
    ['joe', 'x'.repeat(1024 * 1024), 'bad-credentials'],
    ['nobody', password, 'bad-credentials'],
    ['joe\r\n', password, 'bad-credentials'],
    ['__proto__', password, 'bad-credentials'],
    ['x'.repeat(65_536), password, 'bad-credentials'],
    ['bare', password, 'bad-credentials'],
    ['off', 'wrong', 'bad-credentials'],
    ['off', password, 'denied'],
    ['moving', password, 'denied'],
    ['broken', password, 'unavailable'],
  ] as const)('AUTH H14 %.20j with %.20j: %s', async (user, password, kind) => {
    expect(await kindOf(authenticator().login(request(user, { password })))).toBe(kind)
  })

  it('H16 says the same of an unknown user and of a wrong password', async () => {
    const messages = await Promise.all(
      ['nobody', 'joe', 'bad name'].map((user) =>
        authenticator()
          .login(request(user, { password: 'wrong' }))
          .catch((error: Error) => error.message),
      ),
    )
    expect(new Set(messages).size).toBe(1)
  })

  it('H16 works as hard for an unknown user', async () => {
    const asked: string[] = []
    const counting = {
      ...hashPool,
      verify: async (_: Uint8Array, verifier: string) => asked.push(verifier.split('$')[2]!) < 0,
    }
    const auth = createAuthenticator({
      config: configOf({ account_db: directory, domain: 'a.example' }),
      log,
      clock: systemClock,
      hashPool: counting,
    })
    await kindOf(auth.login(request('joe')))
    await kindOf(auth.login(request('nobody')))
    await kindOf(auth.login(request('bare')))
    expect(asked).toEqual(['ln=14,r=8,p=1', 'ln=14,r=8,p=1', 'ln=14,r=8,p=1'])
  })

  it('H16 answers a refusal after the same time, however long the look-up takes', async () => {
    const { promise: time, resolve: pass } = Promise.withResolvers<void>()
    const asleep: number[] = []
    let looked = 0
    const sleep = (ms: number) => {
      // The rest behind a wrong password.
      if (ms > 100) return Promise.resolve()
      asleep.push(ms)
      return time
    }
    const clock = { ...systemClock, sleep }
    const { promise: checked, resolve: wasChecked } = Promise.withResolvers<void>()
    const auth = createAuthenticator({
      config: configOf({ account_db: directory, domain: 'a.example' }),
      log,
      clock,
      hashPool: {
        ...hashPool,
        verify: async () => {
          // The time began to run before anybody was looked up.
          expect(asleep.length).toBe(2)
          if (++looked === 2) wasChecked()
          return false
        },
      },
    })
    let answered = 0
    const answers = ['joe', 'nobody'].map((user) => kindOf(auth.login(request(user))).finally(() => answered++))
    await checked
    await new Promise(setImmediate)
    expect(answered).toBe(0)
    pass()
    expect(await Promise.all(answers)).toEqual(['bad-credentials', 'bad-credentials'])
    expect(asleep).toEqual([100, 100])
  })

  it('checks a password that was right lately without hashing it again, until it changes or ten minutes pass', async () => {
    let now = 0
    let hashed = 0
    const auth = createAuthenticator({
      config: configOf({ account_db: directory, domain: 'a.example' }),
      log,
      clock: { ...systemClock, monotonic: () => now },
      hashPool: {
        ...hashPool,
        verify: (secret, verifier) => {
          hashed++
          return hashPool.verify(secret, verifier)
        },
      },
    })
    const accounts = openAccounts(directory)
    const user = 'busy@a.example' as UserId
    const account = { userId: user, state: 'enabled', services: {}, properties: [] } as const
    await accounts.put({ ...account, verifiers: makeVerifiers(Buffer.from(password)) })
    const login = async (secret: string) => [await kindOf(auth.login(request(user, { password: secret }))), hashed]
    expect(await login(password)).toEqual(['in', 1])
    expect(await login(password)).toEqual(['in', 1])
    expect(await login('wrong')).toEqual(['bad-credentials', 2])
    now = 599_999
    expect(await login(password)).toEqual(['in', 2])
    now = 600_000
    expect(await login(password)).toEqual(['in', 3])
    await accounts.put({ ...account, state: 'disabled', verifiers: makeVerifiers(Buffer.from('another')) })
    expect(await login(password)).toEqual(['bad-credentials', 4])
    expect(await login('another')).toEqual(['denied', 5])
    expect(await login('another')).toEqual(['denied', 5])
    await accounts.remove(user)
    expect(await login('another')).toEqual(['bad-credentials', 6])
  })

  it('USR-08 IMAP-09 follows the rule of the user, then that of the server, then the default', async () => {
    const rule = (user: string, service: 'imap' | 'pop', overrides: ConfigOverrides) =>
      kindOf(authenticator(overrides).login(request(user, { service })))
    expect(await rule('nopop', 'pop', {})).toBe('denied')
    expect(await rule('nopop', 'imap', { accessible_services: { imap: 'deny' } })).toBe('in')
    expect(await rule('joe', 'imap', { accessible_services: { imap: 'deny' } })).toBe('denied')
    expect(await rule('joe', 'pop', { accessible_services: { imap: 'deny' } })).toBe('in')
    expect(await rule('joe', 'pop', { default_new_service_access: 'deny' })).toBe('denied')
  })

  it('AUTH-14 logs good and bad results at notice, and never a password', async () => {
    const auth = authenticator()
    await kindOf(auth.login(request('joe', { sessionId: 'host.17.1', secure: true })))
    await kindOf(auth.login(request('joe', { password: 'secret-guess' })))
    await kindOf(auth.login(request('broken', { password: 'secret-guess' })))
    expect(written.map((line) => JSON.parse(line).slice(0, 2))).toEqual([
      ['notice', 'login'],
      ['notice', 'login failed'],
      ['notice', 'login failed'],
    ])
    for (const secret of [password, 'secret-guess', Buffer.from('secret-guess').toString('base64')])
      expect(written.join()).not.toContain(secret)
    expect(JSON.parse(written[0]!)[2]).toEqual({
      session: 'host.17.1',
      client: '192.0.2.7',
      service: 'imap',
      user: 'joe@a.example',
      tls: true,
    })
    expect(JSON.parse(written[2]!)[2].reason).toContain('is not JSON')
  })
})

describe('the throttle', () => {
  it('P20 takes 10 wrong passwords a minute from one address, over all users, and bothers no other', async () => {
    let now = 0
    const clock = { ...systemClock, monotonic: () => now }
    const auth = authenticator({}, { clock })
    const guess = (index: number) => kindOf(auth.login(request(`user${index}`, { password: '' })))
    for (let index = 0; index < 10; index++) expect(await guess(index)).toBe('bad-credentials')
    expect(await guess(11)).toBe('unavailable')
    await expect(auth.login(request('joe'))).rejects.toThrow('too many failed logins; try again in 6 seconds')
    expect(await kindOf(auth.login(request('joe', { remoteAddress: '192.0.2.8' })))).toBe('in')
    now = 5_999
    expect(await guess(12)).toBe('unavailable')
    now = 6_000
    expect(await guess(13)).toBe('bad-credentials')
    expect(await guess(14)).toBe('unavailable')
    now += 60_000
    expect(await kindOf(auth.login(request('joe')))).toBe('in')
  })

  it('takes a /64 of IPv6 as one address', async () => {
    const auth = authenticator({ failed_logins_per_minute: 1 }, { clock: { ...systemClock, monotonic: () => 0 } })
    const from = (remoteAddress: string) => kindOf(auth.login(request('joe', { password: '', remoteAddress })))
    expect(await from('2001:db8:0:1::1')).toBe('bad-credentials')
    expect(await from('2001:DB8::1:ffff:0:0:2')).toBe('unavailable')
    expect(await from('2001:db8:0:2::1')).toBe('bad-credentials')
    expect(await from('::ffff:192.0.2.1')).toBe('bad-credentials')
    expect(await from('192.0.2.1')).toBe('unavailable')
  })

  it('can be switched off, and follows a reload', async () => {
    const auth = authenticator({ failed_logins_per_minute: 0 })
    for (let index = 0; index < 30; index++)
      expect(await kindOf(auth.login(request('joe', { password: '' })))).toBe('bad-credentials')
    auth.reload(configOf({ account_db: directory, failed_logins_per_minute: 1, domain: 'a.example' }))
    expect(await kindOf(auth.login(request('joe')))).toBe('unavailable')
  })
})

describe('logins in gateway mode', () => {
  const gateway = (ask: AskService, overrides: ConfigOverrides = {}) =>
    authenticator({ gateway_mode: true, ...overrides }, { ask })

  it('GW-12 GW-25 asks ms_syncd, in secret, with the octets as they came', async () => {
    const asked: unknown[] = []
    const signal = new AbortController().signal
    const octets = Buffer.from([0xe4, 0x20, 0xff])
    const auth = gateway(
      async (...question) => {
        asked.push(question)
        return { ok: true, userId: 'Joe@a.example' }
      },
      { backend_fast_login: true },
    )
    expect(await auth.login(request('Joe@A.example', { service: 'pop', password: octets, signal }))).toEqual({
      userId: 'Joe@a.example',
    })
    expect(asked).toEqual([
      [
        'ms_sync',
        {
          type: 'authenticate',
          user: 'Joe@A.example',
          userId: 'Joe@a.example',
          password: octets.toString('base64'),
          service: 'pop',
          remoteAddress: '192.0.2.7',
        },
        { secret: true, timeoutMs: 180_000, signal },
      ],
    ])
    expect(written.join()).not.toContain(octets.toString('base64'))
  })

  it.each(['denied', 'unavailable', 'login-delay', 'in-use'] as const)('passes on %s with its text', async (kind) => {
    const login = gateway(async () => ({ ok: false, kind, text: 'as the backend says' })).login(request('joe'))
    await expect(login).rejects.toMatchObject({ kind, message: 'as the backend says' })
  })

  it('says of a wrong password what it says of an unknown user', async () => {
    const login = gateway(async () => ({ ok: false, kind: 'bad-credentials', text: 'no such user joe' })).login(
      request('joe'),
    )
    await expect(login).rejects.toMatchObject({ kind: 'bad-credentials', message: 'wrong user name or password' })
    expect(written.join()).toContain('no such user joe')
  })

  it.each([null, 'yes', {}, { ok: 1 }, { ok: false }, { ok: false, kind: 'toString', text: 'x' }])(
    'takes the answer %j for no answer',
    async (answer) => {
      expect(await kindOf(gateway(async () => answer).login(request('joe')))).toBe('unavailable')
    },
  )

  it('is unavailable while ms_syncd is away, which is no wrong password', async () => {
    const auth = gateway(() => Promise.reject(new Error('mseventd is away')), { failed_logins_per_minute: 1 })
    for (let index = 0; index < 3; index++) expect(await kindOf(auth.login(request('joe')))).toBe('unavailable')
    expect(written.at(-1)).toContain('mseventd is away')
  })

  it.each(['', 'a\0b', 'a\r\nDELE 1', 'x'.repeat(5000)])('asks nobody about the password %.20j', async (password) => {
    const ask = () => Promise.reject(new Error('was asked'))
    expect(await kindOf(gateway(ask).login(request('joe', { password })))).toBe('bad-credentials')
  })

  it('IMAP-09 obeys accessible_services', async () => {
    const auth = gateway(async () => ({ ok: true, userId: 'joe@a.example' }), { accessible_services: { imap: 'deny' } })
    expect(await kindOf(auth.login(request('joe')))).toBe('denied')
    expect(await kindOf(auth.login(request('joe', { service: 'pop' })))).toBe('in')
  })

  it('needs a way to ask', () => {
    expect(() => authenticator({ gateway_mode: true })).toThrow(TypeError)
  })
})

describe('logins in synchronisation mode', () => {
  it('SYN-01 tells ms_syncd whom an account let in, and the password only when it is asked for', async () => {
    for (const passwordNeeded of [false, true]) {
      const asked: (readonly [unknown, { readonly secret?: true }])[] = []
      const auth = authenticator(
        { sync_mode: true },
        {
          ask: async (_, question, options) => {
            asked.push([question, options])
            return { ok: true, userId: 'joe@a.example', passwordNeeded: passwordNeeded && asked.length === 1 }
          },
        },
      )
      expect(await kindOf(auth.login(request('joe', { password: 'wrong' })))).toBe('bad-credentials')
      expect(asked).toEqual([])
      expect(await kindOf(auth.login(request('joe')))).toBe('in')
      const told = { type: 'admitted', user: 'joe', userId: 'joe@a.example' }
      const encoded = Buffer.from(password).toString('base64')
      expect(asked.map(([question, { secret }]) => [question, secret])).toEqual(
        passwordNeeded
          ? [
              [told, undefined],
              [{ ...told, password: encoded }, true],
            ]
          : [[told, undefined]],
      )
    }
  })

  it('SYN-01 lets in whom an account lets in when ms_syncd is away', async () => {
    const auth = authenticator({ sync_mode: true }, { ask: () => Promise.reject(new Error('mseventd is away')) })
    expect(await kindOf(auth.login(request('joe')))).toBe('in')
    expect(written.join()).toContain('logged in without a look at the backends')
  })
})

describe('logins in migration mode', () => {
  const migrating = (asked: unknown[], more: ConfigOverrides = {}) =>
    authenticator(
      { auto_migrate: true, ...more },
      {
        ask: async (_, question) => {
          asked.push(question)
          return { ok: true, userId: 'new@a.example' }
        },
      },
    )

  it('MIG-02 MIG-03 MIG-10 asks about those who have no account, and about nobody else', async () => {
    const asked: unknown[] = []
    const auth = migrating(asked)
    expect(await kindOf(auth.login(request('joe')))).toBe('in')
    expect(await kindOf(auth.login(request('joe', { password: 'wrong' })))).toBe('bad-credentials')
    expect(await kindOf(auth.login(request('off')))).toBe('denied')
    expect(await kindOf(auth.login(request('broken')))).toBe('unavailable')
    expect(asked).toEqual([])
    expect(await kindOf(auth.login(request('new')))).toBe('in')
    expect(asked).toMatchObject([{ type: 'authenticate', user: 'new', userId: 'new@a.example' }])
  })

  it('guessing at a user whom only the old server knows is slowed before it gets there, from however many addresses', async () => {
    let asked = 0
    const auth = authenticator(
      { auto_migrate: true, failed_logins_per_minute: 2 },
      {
        ask: async () => {
          asked += 1
          return { ok: false, kind: 'bad-credentials', text: 'the mail server refused user or password' }
        },
      },
    )
    const guess = (n: number) =>
      kindOf(auth.login(request('new', { password: `guess ${n}`, remoteAddress: `198.51.${n}.1` })))
    const kinds: string[] = []
    for (let n = 0; n < 20; n += 1) kinds.push(await guess(n))
    // Of one user three times as many as of one address; the rest of the minute gives some back.
    expect(asked).toBeGreaterThanOrEqual(6)
    expect(asked).toBeLessThan(10)
    expect(kinds.at(-1)).toBe('unavailable')
    const before = asked
    expect(await kindOf(auth.login(request('new', { remoteAddress: '203.0.113.5' })))).toBe('unavailable')
    expect(asked).toBe(before)
  })

  it('MIG-10 lets ms_syncd say where the mail is of an account that waits', async () => {
    const asked: unknown[] = []
    await migrating(asked).login(request('moving'))
    expect(asked).toMatchObject([{ type: 'authenticate', user: 'moving', userId: 'moving@a.example' }])
  })

  it('asks about nobody who may not use the service', async () => {
    const asked: unknown[] = []
    const auth = migrating(asked, { accessible_services: { imap: 'deny' } })
    expect(await kindOf(auth.login(request('new')))).toBe('denied')
    expect(asked).toEqual([])
  })

  it('offers what shows the password, and more only when mech_list says so', () => {
    const channel = { ssf: 256, binds: true, binding: () => undefined, clientNames: [] }
    expect(migrating([]).offer(channel).mechanisms).toEqual(['PLAIN', 'LOGIN'])
    expect(migrating([], { mech_list: ['scram-sha-256', 'plain'] }).offer(channel).mechanisms).toEqual([
      'SCRAM-SHA-256-PLUS',
      'SCRAM-SHA-256',
      'PLAIN',
    ])
  })
})

describe('the hash pool', () => {
  it('leaves file operations alone while passwords are hashed', async () => {
    const pool = createHashPool({ threads: 1 })
    const { scrypt } = makeVerifiers(Buffer.from(password))
    let done = false
    const hashing = Promise.all(Array.from({ length: 16 }, () => pool.verify(Buffer.from(password), scrypt))).then(
      (results) => {
        done = true
        return results
      },
    )
    let stats = 0
    while (!done && stats < 20) {
      await stat(directory)
      stats++
    }
    // On Node's own pool the first of them would wait behind 16 hashes.
    expect([done, stats]).toEqual([false, 20])
    expect(await hashing).toEqual(Array.from({ length: 16 }, () => true))
  })

  it('refuses work beyond its queue', async () => {
    const pool = createHashPool({ threads: 1, maxWaiting: 2 })
    const { scrypt } = makeVerifiers(Buffer.from(password))
    const kinds = await Promise.all(Array.from({ length: 5 }, () => kindOf(pool.verify(Buffer.from(password), scrypt))))
    expect(kinds).toEqual(['in', 'in', 'in', 'unavailable', 'unavailable'])
  })

  it('does not wipe the password of the caller', async () => {
    const octets = Buffer.from(password)
    await createHashPool({ threads: 1 }).make(octets)
    expect(octets.toString()).toBe(password)
  })
})
