import { describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import type { StoreOptions } from '#src/store/store.ts'
import { MemoryDisk } from './disk.ts'
import { storeIn, user } from './support.ts'

const roots = ['/a', '/b', '/c']
const marker = '.wherry-partition'

async function diskWith(...directories: readonly string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  for (const path of directories) await disk.fs().makeDirectory(path)
  return disk
}

const openOn = (disk: MemoryDisk, options: Partial<StoreOptions> = {}) =>
  storeIn('/a', { fs: disk.fs(), partitions: ['/b', '/c'], ...options })

const users = (count: number) => Array.from({ length: count }, (_, index) => `user${index}@example.com` as UserId)

describe('a new account', () => {
  it('goes where most space is free', async () => {
    const disk = await diskWith(...roots)
    const free: Record<string, number> = { '/a': 10, '/b': 30, '/c': 20 }
    disk.freeOctets = (path) => free[path]!
    await using store = openOn(disk)
    await store.account(user).ensure()
    expect(store.account(user).path).toBe(`/b/${user}`)
    free['/c'] = 40
    const other = store.account('otto@example.com' as UserId)
    expect(await other.locate()).toEqual({ root: '/c', path: '/c/otto@example.com', exists: false })
    await other.ensure()
    expect(await other.locate()).toEqual({ root: '/c', path: '/c/otto@example.com', exists: true })
  })

  it('goes into userdir, or evenly over all, or where its own entry says (USR-05)', async () => {
    const disk = await diskWith(...roots)
    await using first = openOn(disk, { partitionRule: 'first' })
    await first.account(user).ensure()
    expect(first.account(user).path).toBe(`/a/${user}`)
    await using spread = openOn(disk, { partitionRule: 'spread' })
    const counts = new Map<string, number>()
    for (const userId of users(300)) {
      const { root } = await spread.account(userId).locate()
      counts.set(root, (counts.get(root) ?? 0) + 1)
    }
    // A third each, give or take five standard deviations of 8.2.
    for (const root of roots) expect(Math.abs((counts.get(root) ?? 0) - 100)).toBeLessThan(41)
    await using own = openOn(disk, { ownRoot: async (userId) => (userId.startsWith('own') ? '/c' : '/nowhere') })
    await own.account('own@example.com' as UserId).ensure()
    expect(own.account('own@example.com' as UserId).path).toBe('/c/own@example.com')
    // One that is there stays where it is, whatever the entry says.
    expect(await own.account(user).exists()).toBe(true)
    await expect(own.account('new@example.com' as UserId).ensure()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('mboxRootUserDir of new@example.com is /nowhere, which is neither userdir nor'),
    })
  })

  it('is listed once, with those of all other roots', async () => {
    const disk = await diskWith(...roots)
    await using store = openOn(disk, { partitionRule: 'spread' })
    for (const userId of users(20)) await store.account(userId).ensure()
    const listed: UserId[] = []
    for await (const userId of store.accounts()) listed.push(userId)
    expect(listed.sort()).toEqual(users(20).sort())
  })

  it('leaves nothing behind but itself and the marks of the partitions', async () => {
    const disk = await diskWith(...roots)
    await using store = openOn(disk, { partitionRule: 'first' })
    await store.account(user).ensure()
    const others = disk.files().filter((file) => !file.startsWith(`/a/${user}/`))
    expect(others.map((file) => file.replace(/[0-9a-f]{32}$/, '<id>'))).toEqual([
      ...['/a/.partitions/<id>', '/a/.partitions/<id>'],
      ...roots.map((root) => `${root}/${marker}`),
    ])
  })
})

describe('a partition that is away', () => {
  /** As an unmounted one looks: the directory is there and empty. */
  async function unmount(disk: MemoryDisk, root: string): Promise<() => Promise<void>> {
    await disk.fs().rename(root, '/mounted')
    await disk.fs().makeDirectory(root)
    return async () => {
      await disk.fs().removeDirectory(root)
      await disk.fs().rename('/mounted', root)
    }
  }

  it('makes its accounts unavailable and is not filled; those of the others work', async () => {
    const disk = await diskWith(...roots)
    await using store = openOn(disk, { ownRoot: async (userId) => (userId === user ? '/b' : '/a') })
    const here = store.account('here@example.com' as UserId)
    for (const account of [store.account(user), here]) await account.ensure()
    const mount = await unmount(disk, '/b')
    await using fresh = openOn(disk)
    for (const one of [store, fresh])
      for (const asked of [
        () => one.account(user).ensure(),
        () => one.account(user).exists(),
        () => one.account(user).list(),
      ])
        await expect(asked()).rejects.toMatchObject({
          kind: 'unavailable',
          message: expect.stringContaining('the partition /b is not mounted'),
        })
    expect((await fresh.account(here.userId).list()).map(({ name }) => name)).toEqual(['INBOX'])
    // Somebody new may be an old one who is out of sight.
    await expect(fresh.account('new@example.com' as UserId).ensure()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(disk.files().filter((file) => file.startsWith('/b/'))).toEqual([])
    await mount()
    expect((await fresh.account(user).list()).map(({ name }) => name)).toEqual(['INBOX'])
    expect((await store.account(user).list()).map(({ name }) => name)).toEqual(['INBOX'])
  })

  it('may be userdir itself', async () => {
    const disk = await diskWith(...roots)
    await openOn(disk, { partitionRule: 'first' }).account(user).ensure()
    await unmount(disk, '/a')
    await using store = openOn(disk)
    await expect(store.account(user).ensure()).rejects.toThrow(
      '/a has no .wherry-partition, but its partition /b has one',
    )
    expect(disk.files().filter((file) => file.startsWith('/a/'))).toEqual([])
  })

  it('may never have been there, or belong to another store, or be there twice', async () => {
    const missing = await diskWith('/a', '/b')
    await expect(openOn(missing).account(user).ensure()).rejects.toThrow('the partition /c is not there; mount it')
    const disk = await diskWith(...roots, '/x')
    await openOn(disk).account(user).ensure()
    await using foreign = storeIn('/x', { fs: disk.fs(), partitions: ['/y'], ownRoot: async () => '/x' })
    await disk.fs().makeDirectory('/y')
    await foreign.account(user).ensure()
    await using mixed = storeIn('/a', { fs: disk.fs(), partitions: ['/b', '/y'] })
    await expect(mixed.account('new@example.com' as UserId).ensure()).rejects.toThrow(
      '/y is a partition of another store than /a',
    )
    disk.tamper(`/c/${marker}`, disk.octets(`/b/${marker}`))
    await expect(
      openOn(disk)
        .account('new@example.com' as UserId)
        .ensure(),
    ).rejects.toThrow('/c and /b are the same partition')
  })
})
