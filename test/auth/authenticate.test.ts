/** SASL logins at embedded accounts: what is the same for who exists and who does not, and who may act for whom. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Scram } from '#gateway/backend/sasl.ts'
import { type AccountRecord, openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { createHashPool } from '#src/auth/hash-pool.ts'
import { openMadeUpKeys } from '#src/auth/made-up-keys.ts'
import type { AskService } from '#src/auth/ms-syncd.ts'
import type { Ask } from '#src/auth/sasl/mechanism.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import { AuthError, type AuthErrorKind } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'

const password = 'correct horse'
const hashPool = createHashPool({ threads: 1 })
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'authenticate-'))
  const accounts = openAccounts(directory)
  const verifiers = makeVerifiers(Buffer.from(password))
  const add = (userId: string, more: Partial<AccountRecord> = {}) =>
    accounts.add({ userId: userId as UserId, state: 'enabled', verifiers, services: {}, properties: [], ...more })
  await add('joe@a.example')
  await add('root@a.example')
  await add('boss@a.example')
  await add('chief@a.example')
  await add('ann@sub.a.example')
  await add('bob@b.example')
  await add('nopop@a.example', { services: { pop: 'deny' } })
  await add('off@a.example', { state: 'disabled' })
  await add('moving@a.example', { state: 'migrating' })
  await add('bare@a.example', { verifiers: undefined })
})
afterAll(() => rm(directory, { recursive: true }))

const written: string[] = []
const log: Log = { log: (...record) => written.push(JSON.stringify(record)), child: () => log }
const authenticator = (overrides: ConfigOverrides = {}, ask?: AskService) =>
  createAuthenticator({
    config: configOf({ account_db: directory, domain: 'a.example', login_disabled: false, ...overrides }),
    log,
    clock: systemClock,
    hashPool,
    ...(ask && { ask }),
  })

interface Attempt {
  readonly mechanism: string
  readonly initial: Buffer
  readonly ask?: Ask
  readonly service?: 'imap' | 'pop'
}
const place = { localAddress: '127.0.0.1', remoteAddress: '192.0.2.7', signal: new AbortController().signal }
const request = ({
  mechanism,
  initial,
  ask = () => Promise.reject(new Error('asked')),
  service = 'imap',
}: Attempt) => ({
  ...place,
  service,
  mechanism,
  initial,
  ask,
  channel: undefined,
})
const plain = (text: string): Attempt => ({ mechanism: 'PLAIN', initial: Buffer.from(text) })
const scram = (user: string, secret = password, authzid?: string): Attempt & { readonly challenges: string[] } => {
  const client = new Scram('sha256', { user, secret: Buffer.from(secret), authzid })
  const challenges: string[] = []
  const ask: Ask = async (challenge) => {
    challenges.push(challenge.toString())
    return (await client.respond(challenge)) ?? Buffer.alloc(0)
  }
  return { mechanism: 'SCRAM-SHA-256', initial: client.initial, ask, challenges }
}

const outcome = async (attempt: Attempt, overrides: ConfigOverrides = {}): Promise<string> => {
  try {
    return (await authenticator(overrides).authenticate(request(attempt))).userId
  } catch (error) {
    if (error instanceof AuthError) return error.kind satisfies AuthErrorKind
    throw error
  }
}

describe('SCRAM', () => {
  it('AUTH-01 CAN-03 lets in the canonical user, and proves the server', async () => {
    const attempt = scram('joe@A.EXAMPLE')
    expect(await outcome(attempt)).toBe('joe@a.example')
    expect(attempt.challenges.at(-1)).toMatch(/^v=/)
  })

  it.each([
    ['joe', 'wrong', 'bad-credentials'],
    ['nobody', password, 'bad-credentials'],
    ['bare', password, 'bad-credentials'],
    ['off', 'wrong', 'bad-credentials'],
    ['off', password, 'denied'],
    ['moving', password, 'denied'],
    ['two words', password, 'bad-credentials'],
  ])('%s with %s: %s', async (user, secret, kind) => {
    const attempt = scram(user, secret)
    expect(await outcome(attempt)).toBe(kind)
    expect(attempt.challenges.join()).not.toContain('v=')
  })

  it('H16 shows a user who does not exist a salt like any other, the same each time and everywhere', async () => {
    const shown = async (user: string) => {
      const attempt = scram(user, 'wrong')
      await outcome(attempt)
      const [, salt, iterations] = /,s=([^,]+),i=(\d+)$/.exec(attempt.challenges[0]!)!
      return { salt: salt!, iterations }
    }
    const joe = await shown('joe')
    const nobody = await shown('nobody')
    // Each `outcome` has an authenticator of its own, as each process has.
    expect(await shown('nobody@A.example')).toEqual(nobody)
    expect(await shown('joe')).toEqual(joe)
    expect(nobody.iterations).toBe(joe.iterations)
    expect(Buffer.from(nobody.salt, 'base64').length).toBe(Buffer.from(joe.salt, 'base64').length)
    expect((await shown('nobody2')).salt).not.toBe(nobody.salt)
    expect((await shown('bare')).salt).not.toBe(nobody.salt)
  })

  it('makes one secret for them, however many processes come first', async () => {
    const fresh = await mkdtemp(join(directory, 'fresh-'))
    const salts = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { salt } = await openMadeUpKeys(fresh).of('nobody@a.example' as UserId, 'sha256')
        return salt.toString('hex')
      }),
    )
    expect(new Set(salts).size).toBe(1)
  })

  it('AUTH-14 logs who tried, and nothing of the proof', async () => {
    written.length = 0
    await outcome(scram('joe', 'wrong'))
    await outcome(scram('joe'))
    const records = written.map((line) => JSON.parse(line))
    expect(records.map(([severity, message]) => `${severity} ${message}`)).toEqual([
      'notice login failed',
      'notice login',
    ])
    expect(records[0][2]).toMatchObject({ user: 'joe', kind: 'bad-credentials', reason: 'SCRAM: wrong proof' })
    expect(records[1][2]).toMatchObject({ user: 'joe@a.example', mechanism: 'SCRAM-SHA-256' })
  })

  it('is not offered where login_disabled, mech_list or min_ssf say so', async () => {
    expect(await outcome(scram('joe'), { login_disabled: true })).toBe('joe@a.example')
    expect(await outcome(scram('joe'), { mech_list: ['PLAIN'] })).toBe('no-mechanism')
    expect(await outcome(scram('joe'), { min_ssf: 1 })).toBe('privacy-required')
    expect(await outcome(plain(`\0joe\0${password}`), { login_disabled: true })).toBe('privacy-required')
    expect(await outcome(plain(`\0joe\0${password}`), { mech_list: ['SRP'] })).toBe('no-mechanism')
  })

  it('leaves what ends the exchange as it is', async () => {
    const gone = new Error('the client is gone')
    const attempt = { ...scram('joe'), ask: () => Promise.reject(gone) }
    await expect(authenticator().authenticate(request(attempt))).rejects.toBe(gone)
  })
})

describe('IMAP-10: an authzid', () => {
  const admin = { admin_user: 'root' }

  it.each([
    ['joe@A.example', 'joe', 'joe@a.example'],
    ['joe', 'root', 'joe@a.example'],
    ['off', 'root', 'off@a.example'],
    ['nopop', 'root', 'nopop@a.example'],
    ['moving', 'root', 'denied'],
    ['nobody', 'root', 'denied'],
    ['root', 'joe', 'denied'],
    ['nobody', 'joe', 'denied'],
  ])('%s by %s: %s', async (authzid, user, expected) => {
    expect(await outcome({ ...plain(`${authzid}\0${user}\0${password}`), service: 'pop' }, admin)).toBe(expected)
    expect(await outcome({ ...scram(user, password, authzid), service: 'pop' }, admin)).toBe(expected)
  })

  it.each([
    ['joe', 'boss', 'joe@a.example'],
    ['off@A.example', 'boss', 'off@a.example'],
    ['boss', 'boss', 'boss@a.example'],
    // Of a domain below, and of another.
    ['ann@sub.a.example', 'boss', 'denied'],
    ['bob@b.example', 'boss', 'denied'],
    ['nobody', 'boss', 'denied'],
    ['joe', 'bob@b.example', 'denied'],
    ['bob@b.example', 'joe', 'denied'],
    // Who may more than the administrator of his domain: everything, or another domain.
    ['root', 'boss', 'denied'],
    ['chief', 'boss', 'denied'],
    ['boss', 'chief', 'boss@a.example'],
    ['bob@b.example', 'chief', 'bob@b.example'],
    ['chief', 'root', 'chief@a.example'],
  ])('MST-02: %s by %s, where domains have administrators: %s', async (authzid, user, expected) => {
    const rules = {
      ...admin,
      domain_rule: [
        { domain: 'A.example', quotaLimit: undefined, quotaMessages: undefined, admins: ['boss', 'chief@a.example'] },
        { domain: 'b.example', quotaLimit: undefined, quotaMessages: undefined, admins: ['chief@a.example', '\0'] },
      ],
    }
    expect(await outcome(plain(`${authzid}\0${user}\0${password}`), rules)).toBe(expected)
  })

  it('is nobody’s without admin_user, and is looked at behind the password only', async () => {
    expect(await outcome(plain(`joe\0root\0${password}`))).toBe('denied')
    expect(await outcome(plain('joe\0root\0wrong'), admin)).toBe('bad-credentials')
  })

  it('SYN-01: the password of admin_user is not taken for that of the user', async () => {
    const asked: unknown[] = []
    const ask: AskService = async (_, question) => {
      asked.push(question)
      return { ok: true, userId: 'joe@a.example', passwordNeeded: true }
    }
    const admitted = authenticator({ ...admin, sync_mode: true }, ask).authenticate(
      request(plain(`joe\0root\0${password}`)),
    )
    expect((await admitted).userId).toBe('joe@a.example')
    expect(asked).toEqual([{ type: 'admitted', user: 'joe@a.example', userId: 'joe@a.example' }])
  })
})
