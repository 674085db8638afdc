/** msadmind removes what can't be brought back any more, of accounts that nobody uses. SHR-15 */
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { msadmind } from '#src/msadmind/main.ts'
import { mailboxPath } from '#src/store/names.ts'
import { openStore } from '#src/store/store.ts'
import { fill } from '../cli/support.ts'
import { type LogRecord, logTo, MemoryBus } from '../imapd/support.ts'

const joe = 'joe@a.example' as UserId

it('SHR-15: goes through all accounts, removes what is too old, and leaves the rest', async () => {
  const root = await mkdtemp(join(tmpdir(), 'msadmind-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const userdir = join(root, 'user')
  const daysAgo = (days: number) => ({ ...systemClock, now: () => Date.now() - days * 86_400_000 })
  const expunge = async (uid: number, days: number) => {
    await using store = openStore({ root: userdir, clock: daysAgo(days), log: silentLog })
    await using inbox = await store.account(joe).open('INBOX')
    await inbox.expunge([uid as Uid], 'client')
  }
  {
    await using store = openStore({ root: userdir, clock: systemClock, log: silentLog })
    const account = store.account(joe)
    await fill(account, [100, 200, 300])
  }
  await expunge(1, 8)
  await expunge(2, 6)
  // What an interrupted removal of a user left.
  await mkdir(join(userdir, '.gone-x', 'msg'), { recursive: true })
  await writeFile(join(userdir, '.gone-x', 'msg', 'm'), 'x')
  // One that can't be read keeps nobody else from being done.
  await mkdir(join(userdir, 'aaa@a.example'))
  await writeFile(join(userdir, 'aaa@a.example', 'log'), 'no directory')
  const files = () => readdirSync(join(userdir, joe, mailboxPath('INBOX'), 'msg')).length
  expect(files()).toBe(3)

  const records: LogRecord[] = []
  const start = (undelete_days: number) =>
    msadmind.start({
      config: configOf({ userdir, account_db: join(root, 'accounts'), undelete_days }),
      log: logTo(records),
      clock: systemClock,
      events: new MemoryBus(),
      firstWorker: true,
      sharedPorts: false,
    })
  const ended = () => vi.waitFor(() => expect(records.map(({ message }) => message)).toContain('tidied all accounts'))
  const daemon = await start(7)
  await ended()
  expect(files()).toBe(2)
  expect(readdirSync(userdir).sort()).not.toContain('.gone-x')
  expect(records.find(({ message }) => message === 'tidied all accounts')?.fields).toMatchObject({
    accounts: 1,
    failed: 1,
  })
  expect(records.find(({ message }) => message === 'an account could not be tidied')?.fields).toMatchObject({
    user: 'aaa@a.example',
  })
  await daemon.stop(1000)

  // Mailboxes are told their age by the disk: with 0 days they go at once.
  {
    await using store = openStore({ root: userdir, clock: systemClock, log: silentLog })
    await store.account(joe).create('Old')
    await fill(store.account(joe), [50], 'Old')
    await store.account(joe).remove('Old')
    expect(await store.account(joe).removed()).toHaveLength(1)
  }
  records.length = 0
  const again = await start(0)
  await ended()
  await again.stop(1000)
  expect(readdirSync(join(userdir, joe, '.removed'))).toEqual([])
  expect(files()).toBe(1)
  await using store = openStore({ root: userdir, clock: systemClock, log: silentLog })
  expect(await store.account(joe).usage()).toEqual({ messages: 1, octets: 300 })
})
