import { fork } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AccountRecord, openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'

let top: string
let directory: string
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'accounts-'))
  directory = join(top, 'accounts')
})
afterEach(() => rm(top, { recursive: true }))

const verifiers = makeVerifiers(Buffer.from('hunter2'))
const account = (userId: string, more: Partial<AccountRecord> = {}): AccountRecord => ({
  userId: userId as UserId,
  state: 'enabled',
  verifiers,
  services: { pop: 'deny' },
  properties: [
    ['mail', 'a@b'],
    ['mail', 'c@d'],
    ['__proto__', 'x'],
  ],
  ...more,
})
const userIds = async () => (await Array.fromAsync(openAccounts(directory).list())).map(({ userId }) => userId).sort()

describe('embedded accounts', () => {
  it('gives back what it was given, to another process too', async () => {
    await openAccounts(directory).add(account('joe@a.example'))
    expect(await openAccounts(directory).find('joe@a.example' as UserId)).toEqual(account('joe@a.example'))
    expect(await openAccounts(directory).find('jim@a.example' as UserId)).toBeUndefined()
  })

  it('has files that only the owner reads, without the password, in a directory of the same kind', async () => {
    await openAccounts(directory).add(account('joe@a.example'))
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    const path = join(directory, 'joe@a.example.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).not.toContain('hunter2')
  })

  it('adds once, also when two add at the same time', async () => {
    const results = await Promise.allSettled(
      [1, 2, 3, 4].map(() => openAccounts(directory).add(account('joe@a.example'))),
    )
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ name: 'StoreError', kind: 'already-exists' })
    expect(await readdir(directory)).toEqual(['joe@a.example.json'])
  })

  it('replaces and removes', async () => {
    const accounts = openAccounts(directory)
    await accounts.put(account('joe@a.example'))
    await accounts.put(account('joe@a.example', { state: 'disabled', verifiers: undefined }))
    expect(await accounts.find('joe@a.example' as UserId)).toMatchObject({ state: 'disabled', verifiers: undefined })
    await accounts.remove('joe@a.example' as UserId)
    await expect(accounts.remove('joe@a.example' as UserId)).rejects.toMatchObject({ kind: 'not-found' })
    expect(await userIds()).toEqual([])
  })

  it('H14 keeps ids apart that a file system could mix up', async () => {
    const ids = [
      'joe@a.b',
      'Joe@a.b',
      '../joe@a.b',
      '.joe@a.b',
      'a/b@a.b',
      '%2e@a.b',
      '__proto__@a.b',
      'ü@a.b',
      `${'ü'.repeat(32)}@${'x'.repeat(63)}.${'y'.repeat(63)}.example`,
    ]
    for (const id of ids) await openAccounts(directory).add(account(id))
    expect(await userIds()).toEqual([...ids].sort())
    expect(await readdir(top)).toEqual(['accounts'])
    const names = await readdir(directory)
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(ids.length)
    for (const id of ids) expect((await openAccounts(directory).find(id as UserId))?.userId).toBe(id)
  })

  it('lists nothing without a directory', async () => {
    expect(await userIds()).toEqual([])
  })

  it.each([
    ['', 'is not JSON'],
    ['{"userId":', 'is not JSON'],
    ['[]', 'is not an object'],
    ['{"version":2}', 'has a version that is not 1'],
    ['{"version":1,"userId":"joe"}', 'has no userId'],
    ['{"version":1,"userId":"joe@a.example","state":"open"}', 'has no valid state'],
    [
      '{"version":1,"userId":"joe@a.example","state":"enabled","verifiers":{"scrypt":"secret-x"}}',
      'has no valid verifiers',
    ],
    ['{"version":1,"userId":"joe@a.example","state":"enabled","services":{"imap":"maybe"}}', 'has no valid services'],
    [
      '{"version":1,"userId":"joe@a.example","state":"enabled","services":{},"properties":[["a"]]}',
      'has no valid properties',
    ],
  ])('says what is wrong with a file %s', async (text, message) => {
    await mkdir(directory)
    const path = join(directory, 'joe@a.example.json')
    await writeFile(path, text)
    const error = await openAccounts(directory)
      .find('joe@a.example' as UserId)
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(StoreError)
    expect(error).toMatchObject({
      kind: 'damaged',
      message: `the account file ${path}: ${message}; restore it from a backup or remove it`,
    })
    expect(String((error as Error).message)).not.toContain('secret-x')
  })

  it('clears away what a killed process left, after an hour', async () => {
    await openAccounts(directory).add(account('joe@a.example'))
    await writeFile(join(directory, '.old'), 'x')
    await writeFile(join(directory, '.new'), 'x')
    const past = Date.now() / 1000 - 3601
    await utimes(join(directory, '.old'), past, past)
    expect(await userIds()).toEqual(['joe@a.example'])
    expect((await readdir(directory)).sort()).toEqual(['.new', 'joe@a.example.json'])
  })

  it('has an account as before or as after when a writer is killed at any moment', async () => {
    await openAccounts(directory).put(account('joe@a.example', { properties: [['n', '0']] }))
    let last = 0
    for (let kill = 0; kill < 8; kill++) {
      const writer = fork(join(import.meta.dirname, 'account-writer.ts'), [directory, String(last)])
      const confirmed = await new Promise<number>((resolve) => {
        let seen = last
        writer.on('message', (n) => {
          seen = Number(n)
          // At another point of the following write each time.
          if (seen >= last + 5 + kill) writer.kill('SIGKILL')
        })
        writer.on('exit', () => resolve(seen))
      })
      const read = await openAccounts(directory).find('joe@a.example' as UserId)
      const n = Number(read?.properties[0]?.[1])
      expect(n).toBeGreaterThanOrEqual(confirmed)
      last = n
    }
  })
})
