import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { configOf } from '#src/config/config.ts'
import { openConsents } from '#src/oauth/consents.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'consents-'))
})
afterEach(() => rm(directory, { recursive: true }))

const joe = { provider: 'google', user: 'joe@gmail.com' }
const state = () => join(directory, 'oauth')
const open = (key?: string) =>
  openConsents(
    configOf({ oauth_state: state(), ...(key === undefined ? {} : { oauth_key_file: join(directory, key) }) }),
  )
const onDisk = async () =>
  Promise.all(
    (await readdir(state())).map(async (name) => [name, await readFile(join(state(), name), 'utf8')] as const),
  )

describe('consents', () => {
  it('are kept for their owner alone, and found again', async () => {
    const consents = await open()
    expect(await consents.find(joe)).toBeUndefined()
    await consents.keep(joe, 'refresh-1')
    await consents.keep(joe, 'refresh-2')
    expect(await (await open()).find(joe)).toMatchObject({
      ...joe,
      state: 'ready',
      refreshToken: 'refresh-2',
      isSealed: false,
    })
    expect(await consents.find({ ...joe, user: 'JOE@gmail.com' })).toBeUndefined()
    const [[name, text]] = (await onDisk()) as [readonly [string, string]]
    expect((await stat(state())).mode & 0o777).toBe(0o700)
    expect((await stat(join(state(), name))).mode & 0o777).toBe(0o600)
    expect(name).not.toContain('joe')
    expect(text).toContain('refresh-2')
    expect(text).not.toContain('refresh-1')
  })

  it('end with the refresh token that was refused, and with no other', async () => {
    const consents = await open()
    await consents.keep(joe, 'refresh-1')
    await consents.ended(joe, 'refresh-0')
    expect((await consents.find(joe))?.state).toBe('ready')
    await consents.ended(joe, 'refresh-1')
    expect(await consents.find(joe)).toMatchObject({ state: 'needs-consent', refreshToken: 'refresh-1' })
    await consents.keep(joe, 'refresh-2')
    expect((await consents.find(joe))?.state).toBe('ready')
    await consents.forget(joe)
    await expect(consents.forget(joe)).rejects.toMatchObject({ kind: 'not-found' })
  })

  it('are sealed where there is a key: nothing of the token is on disk, and no other key or owner opens it', async () => {
    await writeFile(join(directory, 'key'), Buffer.alloc(32, 7))
    await writeFile(join(directory, 'other'), Buffer.alloc(32, 8))
    await (await open('key')).keep(joe, 'refresh-canary')
    const [[name, text]] = (await onDisk()) as [readonly [string, string]]
    expect(text).not.toContain('canary')
    expect(text).not.toContain(Buffer.from('refresh-canary').toString('base64').slice(4, 12))
    expect(await (await open('key')).find(joe)).toMatchObject({ refreshToken: 'refresh-canary', isSealed: true })
    await expect((await open('other')).find(joe)).rejects.toMatchObject({ kind: 'configuration' })
    await expect((await open()).find(joe)).rejects.toThrow(/is sealed; set oauth_key_file/)
    await writeFile(join(state(), name), text.replace('joe@gmail.com', 'eve@gmail.com'))
    await expect((await open('key')).find(joe)).rejects.toMatchObject({ kind: 'configuration' })
  })

  it('that were in clear are sealed when they change', async () => {
    await writeFile(join(directory, 'key'), Buffer.alloc(40, 7))
    await (await open()).keep(joe, 'refresh-1')
    const consents = await open('key')
    expect((await consents.find(joe))?.isSealed).toBe(false)
    await consents.keep(joe, 'refresh-2')
    expect((await consents.find(joe))?.isSealed).toBe(true)
  })

  it.each(['', '{', '[]', '{"version":2}', '{"version":1,"provider":"a","user":"b","since":"x","state":"ready"}'])(
    'that are damaged say so, and do not show what is in them: %j',
    async (octets) => {
      const consents = await open()
      await consents.keep(joe, 'refresh-1')
      const [[name]] = (await onDisk()) as [readonly [string, string]]
      await writeFile(join(state(), name), octets)
      await expect(consents.find(joe)).rejects.toMatchObject({ kind: 'damaged' })
    },
  )

  it('want a key that can not be guessed', async () => {
    await writeFile(join(directory, 'key'), 'short')
    await expect(open('key')).rejects.toThrow(/has 5 octets; it needs 32 or more/)
    await expect(open('none')).rejects.toThrow(/can not be read/)
  })
})
