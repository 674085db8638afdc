import { existsSync, mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { MemoryDisk } from './disk.ts'
import { deliverAll, freshInbox, storeIn, uids, user } from './support.ts'

it('the files of messages that nobody can bring back go later, also when one of them is gone already', async () => {
  const grace = Promise.withResolvers<void>()
  const { inbox, account } = await freshInbox({
    undeleteDays: () => 0,
    clock: { ...systemClock, sleep: (ms) => (ms === 60_000 ? grace.promise : systemClock.sleep(ms)) },
  })
  await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }, { text: 'c' }])
  const [first, , last] = [...inbox.messages].map(({ file }) => file)
  await inbox.expunge(uids(1, 2), 'client')
  expect(readdirSync(`${account.path}/INBOX/msg`).length).toBe(3)
  unlinkSync(`${account.path}/INBOX/msg/${first}`)
  grace.resolve()
  await vi.waitFor(() => expect(readdirSync(`${account.path}/INBOX/msg`)).toEqual([last]))
})

it('what a crash left of the removal of an account is cleared away with the next one, or by who lists accounts', async () => {
  const { root, account, store } = await freshInbox()
  const left = `${root}/.gone-1`
  for (const clear of [
    () => account.destroy(),
    async () => {
      const found: UserId[] = []
      for await (const userId of store.accounts()) found.push(userId)
      expect(found).toEqual([])
    },
  ]) {
    mkdirSync(`${left}/INBOX/msg`, { recursive: true })
    writeFileSync(`${left}/INBOX/msg/x`, 'x')
    await clear()
    await vi.waitFor(() => expect(existsSync(left)).toBe(false))
  }
})

it("an account's own tmp/ is swept once a day", async () => {
  const disk = new MemoryDisk()
  const open = async () => {
    const store = storeIn('/s', { fs: disk.fs() })
    const account = store.account(user)
    await account.ensure()
    await account.get('x')
    return account.path
  }
  const tmp = `${await open()}/tmp`
  await disk.fs().write(`${tmp}/left`, Buffer.from('by a crash'))
  const day = 86_400_000
  disk.now += day - 1000
  await open()
  disk.now += 2000
  await disk.fs().write(`${tmp}/new`, Buffer.from('being written'))
  await open()
  await vi.waitFor(() =>
    expect(
      disk
        .files()
        .filter((path) => path.startsWith(tmp))
        .map((path) => path.slice(tmp.length)),
    ).toEqual(['/new', '/swept']),
  )
})
