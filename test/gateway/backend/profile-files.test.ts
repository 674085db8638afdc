import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { ProfileFiles } from '#gateway/backend/profile-files.ts'
import type { Clock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'

const day = 86_400_000
const start = Date.parse('2026-11-22T12:00:00Z')
const at = (ms: number): Clock => ({
  now: () => start + ms,
  monotonic: () => ms,
  // Nothing is written before it is closed.
  sleep: (_, signal) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
})
const folder = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'profiles-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return join(directory, 'hosts')
}
const node = async (directory: string, ms = 0) => {
  const profiles = new BackendProfiles()
  const files = await ProfileFiles.open(directory, profiles, at(ms), silentLog)
  const host = (name = 'pop.example.net') => {
    const profile = profiles.of(name, 110)
    return {
      learned: profile.learned,
      touch: () => files.touch(`${name}:110`, profile),
    }
  }
  return { host, close: () => files[Symbol.asyncDispose]() }
}

describe('what was learned of hosts', () => {
  it('outlives the process, the protection that a login had among it', async () => {
    const directory = await folder()
    const first = await node(directory)
    Object.assign(first.host().learned, {
      protection: 'tls',
      loginDelaySeconds: 720,
      heldUntil: 9,
      heldFor: 'throttled',
    })
    first.host().touch()
    await first.close()
    const second = await node(directory, 1_000)
    expect(second.host().learned).toEqual({
      protection: 'tls',
      loginDelaySeconds: 720,
      heldUntil: 9,
      heldFor: 'throttled',
    })
    expect(second.host('other.example.net').learned).toEqual({})
    const [file] = await readdir(directory)
    expect((await stat(join(directory, file!))).mode & 0o777).toBe(0o600)
  })

  it('of two nodes, each keeps what the other changed, and the better protection', async () => {
    const directory = await folder()
    const [a, b] = [await node(directory), await node(directory)]
    Object.assign(a.host().learned, { protection: 'tls', capaHangs: true })
    a.host().touch()
    await a.close()
    Object.assign(b.host().learned, { protection: 'unverified', reorders: true })
    b.host().touch()
    await b.close()
    const third = await node(directory)
    expect(third.host().learned).toEqual({ protection: 'tls', capaHangs: true, reorders: true })
    expect(b.host().learned.protection).toBe('tls')
  })

  it('is forgotten with time, protection last; files that nobody used go', async () => {
    const directory = await folder()
    const first = await node(directory)
    Object.assign(first.host().learned, { protection: 'tls', capaHangs: true })
    first.host().touch()
    await first.close()
    expect((await node(directory, 29 * day)).host().learned).toEqual({ protection: 'tls', capaHangs: true })
    expect((await node(directory, 31 * day)).host().learned).toEqual({ protection: 'tls' })
    expect((await node(directory, 366 * day)).host().learned).toEqual({})
    expect(await readdir(directory)).toEqual([])
  })

  it('the protection of a host that is in use is never forgotten, though nothing new is learned of it', async () => {
    const directory = await folder()
    for (let days = 0; days <= 600; days += 200) {
      const each = await node(directory, days * day)
      if (days === 0) each.host().learned.protection = 'tls'
      expect(each.host().learned.protection).toBe('tls')
      each.host().touch()
      await each.close()
    }
    expect(await readdir(directory)).toEqual(['pop.example.net%3A110.json'])
  })

  it.each([
    ['no JSON', 'x'],
    ['not an object', '[]'],
    ['too large', `{"x":"${'y'.repeat(20_000)}"}`],
    [
      'values that nobody learned',
      JSON.stringify({
        usedAt: start / 1_000,
        learned: { capaHangs: { value: 'yes', at: start / 1_000 }, password: { value: 'x', at: start / 1_000 } },
      }),
    ],
  ])('a file with %s is as none, and is written again', async (_, text) => {
    const directory = await folder()
    const first = await node(directory)
    first.host().learned.capaHangs = true
    first.host().touch()
    await first.close()
    const [file] = await readdir(directory)
    await writeFile(join(directory, file!), text)
    const second = await node(directory)
    expect(second.host().learned).toEqual({})
    second.host().learned.reorders = true
    second.host().touch()
    await second.close()
    expect(await readFile(join(directory, file!), 'utf8')).toContain('reorders')
  })

  it('a host name that is no file name stays in the directory', async () => {
    const directory = await folder()
    const first = await node(directory)
    const host = first.host('../../x')
    host.learned.capaHangs = true
    host.touch()
    await first.close()
    expect(await readdir(directory)).toEqual(['..%2F..%2Fx%3A110.json'])
    expect((await node(directory)).host('../../x').learned).toEqual({ capaHangs: true })
  })
})
