/** msadm ren: account and mail get another name together, whatever comes in between. USR-10 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccounts } from '#src/auth/accounts.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import type { Context } from '#src/cli/msadm/command.ts'
import { ren } from '#src/cli/msadm/commands/ren.ts'
import { configOf } from '#src/config/config.ts'
import { AwaitedRightsDirectory } from '#src/sharing/awaited-rights.ts'
import { changeAcl } from '#src/sharing/personal-acl.ts'
import { parseRights } from '#src/sharing/rights.ts'
import { openStore } from '#src/store/store.ts'
import { startImapd } from '../imapd/support.ts'
import { Peer } from '../imapd/transcript.ts'
import { fill, newPlace, type Place } from './support.ts'

const [joe, jane] = ['joe@a.example', 'jane@b.example'] as UserId[] as [UserId, UserId]
const find = ({ directory }: Place, userId: UserId) => openAccounts(join(directory, 'accounts')).find(userId)

const awaited = ({ directory }: Place) => new AwaitedRightsDirectory(join(directory, 'user/.gateway/awaited-rights'))

/** Everything of joe is jane's now, and nothing is left of him. */
const expectRenamed = async (place: Place, uidValidity: number): Promise<void> => {
  expect(await find(place, joe)).toBeUndefined()
  expect(await find(place, jane)).toMatchObject({
    userId: jane,
    state: 'enabled',
    verifiers: { scrypt: expect.any(String) },
    services: { pop: 'deny' },
    properties: [
      ['mail', jane],
      ['mailLocalAddress', jane],
      ['mailLocalAddress', 'other@a.example'],
      ['cn', joe],
    ],
  })
  expect(existsSync(join(place.directory, 'user', joe))).toBe(false)
  const waiting = await Array.fromAsync(awaited(place).for('sam@a.example' as UserId))
  expect(waiting.map(({ owner }) => owner)).toEqual([jane])
  await place.mail(jane, async (account, store) => {
    expect(await account.usage()).toEqual({ messages: 3, octets: 600 })
    expect((await account.status('INBOX')).uidValidity).toBe(uidValidity)
    expect(await account.subscriptions()).toEqual(['Lists'])
    expect(await account.get('renaming')).toBeUndefined()
    expect(await store.sharers.of('pat@a.example')).toContain(jane)
  })
}

const made = async (place: Place): Promise<number> => {
  await place.call(['add', '-p', 'secret', 'joe', 'mailLocalAddress=other@a.example', `cn=${joe}`])
  await place.call(['service', 'pop', 'deny', 'joe'])
  await awaited(place).add({ user: 'sam@a.example' as UserId, owner: joe, rights: [] })
  return place.mail(joe, async (account, store) => {
    await fill(account, [100, 200])
    await account.create('Lists')
    await account.subscribe('Lists')
    await changeAcl(store, joe, 'Lists', 'pat@a.example', { mode: 'set', rights: parseRights('lr') })
    await fill(account, [300], 'Lists')
    return (await account.status('INBOX')).uidValidity
  })
}

class Crash extends Error {}

/** Counts the calls of these methods, and dies before or behind the one with the number `at`. */
const mortal = <T extends object>(
  target: T,
  methods: readonly string[],
  turn: () => 'before' | 'behind' | undefined,
): T =>
  new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!methods.includes(String(name))) return value.bind(target)
      return async (...given: unknown[]) => {
        const dies = turn()
        if (dies === 'before') throw new Crash()
        const result: unknown = await value.apply(target, given)
        if (dies === 'behind') throw new Crash()
        return result
      }
    },
  })

/** Runs ren so that it dies at its call `at` that changes something; false when it came to its end. */
const runUntil = async ({ directory }: Place, at: number, when: 'before' | 'behind'): Promise<boolean> => {
  let calls = 0
  const turn = () => (++calls === at ? when : undefined)
  await using real = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  const store = mortal(
    new Proxy(real, {
      get: (_, name) => {
        if (name === 'account')
          return (userId: UserId) => mortal(real.account(userId), ['ensure', 'put', 'create'], turn)
        const value: unknown = Reflect.get(real, name, real)
        return typeof value === 'function' ? value.bind(real) : value
      },
    }),
    ['rename'],
    turn,
  )
  const context = {
    config: configOf({ domain: 'a.example', userdir: join(directory, 'user') }),
    accounts: mortal(openAccounts(join(directory, 'accounts')), ['add', 'put', 'rename', 'remove'], turn),
    store: () => store,
    print: () => {},
    note: () => {},
  } as unknown as Context
  try {
    await ren.run(['-l', jane, joe], context)
    return false
  } catch (error) {
    if (!(error instanceof Crash)) throw error
    return true
  }
}

describe('msadm ren', () => {
  it('USR-10: account and mail go together, with everything that they have', async () => {
    const place = await newPlace()
    const uidValidity = await made(place)
    expect(await place.call(['ren', '-l', jane, 'joe'])).toEqual({
      status: 0,
      out: `renamed ${joe} to ${jane} (account and mail)\n`,
      err: '',
    })
    await expectRenamed(place, uidValidity)
  })

  it.each(['before', 'behind'] as const)(
    'dying %s any of its steps it loses nothing, and goes on when it is done again',
    async (when) => {
      for (let at = 1; ; at += 1) {
        const place = await newPlace()
        const uidValidity = await made(place)
        if (!(await runUntil(place, at, when))) {
          expect(at).toBeGreaterThan(5)
          break
        }
        // Whatever was done: the mail is in one place, the password somewhere, and nobody gets in to make another mailbox.
        const [old, renamed] = [await find(place, joe), await find(place, jane)]
        expect((old ?? renamed)?.verifiers).toBeDefined()
        const there = [joe, jane].filter((userId) => existsSync(join(place.directory, 'user', userId)))
        expect(there).toHaveLength(1)
        if (there[0] === jane) expect(old?.state ?? 'disabled').toBe('disabled')
        // What is begun is in the way of anything else.
        if (at > 2 && there[0] === joe)
          expect((await place.call(['ren', '-l', 'x', 'joe'])).err).toMatch(
            /finish first what was interrupted: msadm ren -l jane@b\.example joe/,
          )
        const again = await place.call(['ren', '-l', jane, 'joe'])
        // Behind its last step there is nothing left to do.
        if (again.status !== 0) expect(again.err).toContain(`there is no account ${joe}`)
        await expectRenamed(place, uidValidity)
      }
    },
  )

  it('gives the rights before anybody logs in, and leaves a new user of the old name alone', async () => {
    const place = await newPlace()
    const uidValidity = await made(place)
    const enabled = async () => (await find(place, jane))?.state === 'enabled'
    await place.mail(jane, async (_, store) => {
      // Two steps at a time, until the account is enabled and before what is behind it.
      while (!(await enabled())) expect(await runUntil(place, 2, 'behind')).toBe(true)
      expect(await store.sharers.of('pat@a.example')).toEqual([jane])
      expect(await store.account(jane).get('renaming')).toBeDefined()
    })
    await place.call(['add', '-p', 'other', 'joe'])
    await place.mail(joe, (account) => fill(account, [50]))
    expect(await place.call(['ren', '-l', jane, 'joe'])).toMatchObject({ status: 0, err: '' })
    expect(await find(place, joe)).toMatchObject({ state: 'enabled' })
    await place.mail(joe, async (account) => expect(await account.usage()).toMatchObject({ messages: 1 }))
    await place.mail(jane, async (account) => {
      expect((await account.status('INBOX')).uidValidity).toBe(uidValidity)
      expect(await account.get('renaming')).toBeUndefined()
    })
  })

  it('renames what has no account, or no mail; says why it does not rename', async () => {
    const place = await newPlace()
    const { call, mail, configure } = place
    await mail(joe, (account) => fill(account, [10]))
    expect((await call(['ren', '-l', 'sue', 'joe'])).out).toBe(`renamed ${joe} to sue@a.example (mail)\n`)
    await call(['add', '-d', 'jim'])
    expect((await call(['ren', '-l', 'tom', 'jim'])).status).toBe(0)
    expect((await find(place, 'tom@a.example' as UserId))?.state).toBe('disabled')
    await call(['add', '-d', 'joe'])
    for (const [args, status, text] of [
      [['ren', 'joe'], 64, '-l new_userid is needed'],
      [['ren', '-l', 'x'], 64, 'a userid is missing'],
      [['ren', '-l', 'joe', 'joe@a.example'], 64, 'both names are joe@a.example'],
      [['ren', '-l', 'a/b', 'joe'], 64, "can't be a name"],
      [['ren', '-l', 'x', 'nobody'], 1, 'there is no account nobody@a.example'],
      [['ren', '-l', 'tom', 'joe'], 1, 'the account tom@a.example exists'],
      [['ren', '-l', 'sue', 'joe'], 1, 'there is mail of sue@a.example'],
    ] as const)
      expect(await call(args), args.join(' ')).toMatchObject({ status, err: expect.stringContaining(text) })
    await configure(`<sync_mode>true</sync_mode><run_dir>${place.directory}</run_dir>`)
    await writeFile(join(place.directory, 'ms_syncd.pid'), `${process.pid}\n`)
    expect((await call(['ren', '-l', 'pat', 'joe'])).err).toContain('ms_syncd')
  })

  it('with several roots, too', async () => {
    const place = await newPlace('<partitions>other</partitions>')
    const { mkdir } = await import('node:fs/promises')
    await mkdir(join(place.directory, 'other'))
    await place.call(['add', '-d', 'joe', `mboxRootUserDir=${join(place.directory, 'other')}`])
    expect((await place.call(['ren', '-l', 'sue', 'joe'])).status).toBe(0)
    expect((await place.call(['path', 'sue'])).out).toBe(`${join(place.directory, 'other', 'sue@a.example')}\n`)
    expect(existsSync(join(place.directory, 'other', 'sue@a.example'))).toBe(true)
  })

  it('under a running imapd: sessions end, the mail is there under the new name, nothing under the old one', async () => {
    await using imapd = await startImapd([joe])
    const config = join(imapd.root, 'ms.conf')
    await writeFile(
      config,
      '<ms_options><account_db>accounts</account_db><userdir>user</userdir><domain>a.example</domain></ms_options>',
    )
    const enter = async (user: string) => {
      const peer = await Peer.open(imapd)
      onTestFinished(() => peer.destroy())
      await peer.line()
      return { peer, reply: (await peer.command('login', `LOGIN ${user} secret`)).at(-1)! }
    }
    const { peer } = await enter(joe)
    for (let i = 0; i < 3; i += 1) await peer.command('a', 'APPEND INBOX {16+}\r\nSubject: x\r\n\r\n\r\n')
    await peer.command('b', 'SELECT INBOX')
    const { msadm } = await import('#src/cli/msadm/msadm.ts')
    const { Readable, Writable } = await import('node:stream')
    const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() })
    const run = msadm(['-c', config, 'ren', '-l', jane, joe], {
      input: Readable.from([]),
      out: nowhere(),
      err: nowhere(),
    })
    // Somebody is at it meanwhile: what is acknowledged is there afterwards.
    let acknowledged = 3
    for (;;) {
      const reply = await peer.command('c', 'APPEND INBOX {16+}\r\nSubject: x\r\n\r\n\r\n').catch(() => ['gone'])
      if (!reply.at(-1)!.startsWith('c OK')) break
      acknowledged += 1
    }
    expect(await run).toBe(0)
    expect((await enter(joe)).reply).toMatch(/^login NO \[AUTHENTICATIONFAILED\]/)
    expect(existsSync(join(imapd.root, 'user', joe))).toBe(false)
    const renamed = await enter(jane)
    expect(renamed.reply).toMatch(/^login OK/)
    const [status] = await renamed.peer.command('d', 'STATUS INBOX (MESSAGES)')
    const messages = Number(/MESSAGES (\d+)/.exec(status!)?.[1])
    expect(messages).toBeGreaterThanOrEqual(acknowledged)
    // The one that was refused when the log had gone away may have got in before.
    expect(messages).toBeLessThanOrEqual(acknowledged + 1)
  })
})
