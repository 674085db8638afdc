import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AccountRecord, Accounts } from '#src/auth/accounts.ts'
import { rememberingAccounts } from '#src/auth/directory/user-cache.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { hashPool } from './support.ts'

const anna = 'anna@a.example' as UserId
const dayMs = 24 * 60 * 60_000
let root: string
let directory: string
let time: number
const clock: Clock = { ...systemClock, now: () => time }

/** A directory with users that the test changes, and that it can take away. */
class Source implements Accounts {
  away = false
  asked = 0
  readonly users = new Map<string, { record: AccountRecord; password: string }>()
  set(userId: UserId, password: string, more: Partial<AccountRecord> = {}) {
    const record = { userId, state: 'enabled', verifiers: undefined, services: {}, properties: [], ...more } as const
    this.users.set(userId, { record, password })
  }
  #ask() {
    this.asked++
    if (this.away) throw new StoreError('unavailable', 'away')
  }
  async find(userId: UserId) {
    this.#ask()
    return this.users.get(userId)?.record
  }
  async findByAddress(address: string) {
    this.#ask()
    return this.users.get(address)?.record
  }
  async matches(userId: UserId, account: AccountRecord | undefined, password: Buffer) {
    this.#ask()
    return account !== undefined && this.users.get(userId)?.password === password.toString()
  }
  clearPassword(account: AccountRecord) {
    return Buffer.from(this.users.get(account.userId)?.password ?? '')
  }
  async add(account: AccountRecord, password?: Buffer) {
    this.set(account.userId, `${password}`)
  }
  async put(account: AccountRecord, password?: Buffer) {
    this.set(account.userId, `${password}`, account)
  }
  async rename(from: UserId, to: UserId) {
    this.users.set(to, this.users.get(from)!)
    this.users.delete(from)
  }
  async remove(userId: UserId) {
    this.users.delete(userId)
  }
  async *list() {
    for (const { record } of this.users.values()) yield record
  }
  async close() {}
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'user-cache-'))
})
afterAll(() => rm(root, { recursive: true }))
let source: Source
beforeEach(async () => {
  directory = await mkdtemp(join(root, 'each-'))
  time = Date.parse('2026-01-01')
  source = new Source()
  source.set(anna, 'secret', { services: { pop: 'deny' }, properties: [['mail', anna]] })
})

/** As another process has it. */
const remembering = (askedFirst = false) =>
  rememberingAccounts({ accounts: source, directory, days: 7, askedFirst, hashPool, clock, log: silentLog })
const login = async (accounts: Accounts, password: string, userId = anna): Promise<boolean | string> => {
  try {
    return await accounts.matches(userId, await accounts.find(userId), Buffer.from(password))
  } catch (error) {
    return error instanceof StoreError ? error.kind : `${error}`
  }
}
/** Logs in and waits until that is remembered. */
const known = async (password = 'secret') => {
  const accounts = remembering()
  expect(await login(accounts, password)).toBe(true)
  await accounts.close()
}

it('AUTH-04 has no password of a user who is only remembered', async () => {
  const accounts = remembering()
  const account = await accounts.find(anna)
  expect(accounts.clearPassword(account!)).toEqual(Buffer.from('secret'))
  expect(await accounts.matches(anna, account, Buffer.from('secret'))).toBe(true)
  await accounts.close()
  source.away = true
  const again = remembering()
  const own = await again.find(anna)
  expect(() => again.clearPassword(own!)).toThrow('has no password')
})

describe('AUTH-16: users who are remembered', () => {
  it('log in while the directory is away, by any process, as they were', async () => {
    await known()
    source.away = true
    const accounts = remembering()
    expect(await login(accounts, 'secret')).toBe(true)
    expect(await login(accounts, 'wrong')).toBe(false)
    expect(await login(accounts, '')).toBe(false)
    expect(await accounts.find(anna)).toMatchObject({ services: { pop: 'deny' }, properties: [['mail', anna]] })
  })

  it('are those whom the directory let in, and nobody else', async () => {
    const accounts = remembering()
    expect(await login(accounts, 'wrong')).toBe(false)
    await accounts.close()
    source.away = true
    expect(await login(accounts, 'wrong')).toBe('unavailable')
    expect(await login(accounts, 'secret', 'jim@a.example' as UserId)).toBe('unavailable')
  })

  it('are forgotten after userdb_cache_days', async () => {
    await known()
    source.away = true
    time += 7 * dayMs
    expect(await login(remembering(), 'secret')).toBe(true)
    time += 1
    expect(await login(remembering(), 'secret')).toBe('unavailable')
  })

  it('leave no file behind when they never come again', async () => {
    await known()
    source.set('jim@a.example' as UserId, 'secret')
    const accounts = remembering()
    time += 7 * dayMs + 1
    expect(await login(accounts, 'secret', 'jim@a.example' as UserId)).toBe(true)
    await accounts.close()
    expect(await readdir(directory)).toEqual(['jim@a.example.json'])
  })

  it('are forgotten when the directory does not know them', async () => {
    await known()
    source.users.clear()
    expect(await login(remembering(), 'secret')).toBe(false)
    source.away = true
    expect(await login(remembering(), 'secret')).toBe('unavailable')
  })

  it('have their new password after they used it once', async () => {
    await known()
    source.set(anna, 'changed')
    await known('changed')
    source.away = true
    expect(await login(remembering(), 'secret')).toBe(false)
    expect(await login(remembering(), 'changed')).toBe(true)
  })

  it('have no password any more when the directory refused the one that is remembered', async () => {
    await known()
    source.set(anna, 'changed')
    expect(await login(remembering(), 'secret')).toBe(false)
    source.away = true
    expect(await login(remembering(), 'secret')).toBe('unavailable')
  })

  it('stay remembered when somebody guesses', async () => {
    await known()
    expect(await login(remembering(), 'guess')).toBe(false)
    source.away = true
    expect(await login(remembering(), 'secret')).toBe(true)
  })

  it('are forgotten when they are changed or removed here', async () => {
    for (const change of [
      (accounts: Accounts) => accounts.put({ ...source.users.get(anna)!.record }, Buffer.from('secret')),
      (accounts: Accounts) => accounts.remove(anna),
    ]) {
      source.away = false
      await known()
      const accounts = remembering()
      await change(accounts)
      source.away = true
      expect(await login(accounts, 'secret')).toBe('unavailable')
    }
  })

  it('log in when the directory goes away between the two questions', async () => {
    await known()
    const accounts = remembering()
    const account = await accounts.find(anna)
    source.away = true
    expect(await accounts.matches(anna, account, Buffer.from('secret'))).toBe(true)
    expect(await accounts.matches(anna, account, Buffer.from('wrong'))).toBe(false)
  })

  it('cost no hashing at every login', async () => {
    const accounts = remembering()
    const make = vi.spyOn(hashPool, 'make')
    for (let n = 0; n < 5; n++) expect(await login(accounts, 'secret')).toBe(true)
    await accounts.close()
    expect(make).toHaveBeenCalledTimes(1)
    make.mockRestore()
  })

  it('have no password on disk, and files that only the services read', async () => {
    await known()
    const [name = ''] = await readdir(directory)
    const text = await readFile(join(directory, name), 'utf8')
    expect(text).not.toContain('secret')
    expect(text).toContain('$scrypt$')
  })

  it('with a damaged file are asked about as if they were not remembered', async () => {
    await known()
    const [name = ''] = await readdir(directory)
    const { writeFile } = await import('node:fs/promises')
    await writeFile(join(directory, name), '{')
    expect(await login(remembering(), 'secret')).toBe(true)
    source.away = true
    await writeFile(join(directory, name), '{')
    expect(await login(remembering(), 'secret')).toBe('unavailable')
  })
})

describe('AUTH-16: userdb_lookup before ldapdb', () => {
  it('asks the directory every five minutes', async () => {
    await known()
    const accounts = remembering(true)
    const before = source.asked
    expect(await login(accounts, 'secret')).toBe(true)
    expect(source.asked).toBe(before)
    time += 5 * 60_000 + 1
    expect(await login(accounts, 'secret')).toBe(true)
    expect(source.asked).toBe(before + 2)
  })

  it('asks it about a password that is not the remembered one', async () => {
    await known()
    source.set(anna, 'changed')
    expect(await login(remembering(true), 'changed')).toBe(true)
    expect(await login(remembering(true), 'wrong')).toBe(false)
  })
})
