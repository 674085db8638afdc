import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { MigrationAccounts } from '#gateway/ms_syncd/account-maker.ts'
import { type Accounts, openAccounts } from '#src/auth/accounts.ts'
import { StoreError } from '#src/base/errors.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { announce } from '#test/store/actions.ts'
import { type ScriptedMessage, type ScriptedPop3, scriptedPop3 } from '#test/support/pop3-script.ts'
import { clientExpunges, contents } from '../sync/support.ts'
import { anna, gatewayScene, type Scene } from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})

interface Stage {
  readonly backend: ScriptedPop3
  readonly scene: Scene
  readonly accounts: Accounts
}

const stage = async (
  overrides: ConfigOverrides = {},
  wrapped: (accounts: Accounts) => MigrationAccounts = (accounts) => accounts,
): Promise<Stage> => {
  const directory = await mkdtemp(join(tmpdir(), 'accounts-'))
  const accounts = openAccounts(directory)
  const backend = await scriptedPop3({ messages: [1, 2, 3].map(message), capabilities: ['PIPELINING', 'UIDL'] })
  const options = { gateway_mode: false, auto_migrate: true, ...overrides }
  const scene = await gatewayScene(backend.port, options, makeUserDatabase(undefined, []), wrapped(accounts))
  onTestFinished(async () => {
    await scene[Symbol.asyncDispose]()
    await backend[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  return { backend, scene, accounts }
}

const refused = '-ERR can not read message\r\n'
const stored = async ({ scene }: Stage) => (await contents(scene.test.store)).length
const account = ({ accounts }: Stage) => accounts.find(anna)
const received = ({ backend }: Stage, command: string) =>
  backend.received.filter((line) => line.includes(command)).length

/** The connection breaks at the last message, until what this answers is called. */
const breakAtLast = ({ backend }: Stage): (() => void) => {
  let isBroken = true
  backend.on('RETR', ({ argument, socket }, usual) => {
    if (!isBroken || argument !== '3') return usual()
    socket.destroy()
    return ''
  })
  return () => {
    isBroken = false
  }
}

it('MIG-03 MIG-05: the first login pulls the mail and makes an account with its password', async () => {
  const at = await stage()
  await at.scene.login()
  expect(await stored(at)).toBe(3)
  const made = await account(at)
  expect(made).toMatchObject({ userId: anna, state: 'enabled' })
  expect(await at.accounts.matches(anna, made, Buffer.from('pw'))).toBe(true)
  expect(await at.accounts.matches(anna, made, Buffer.from('other'))).toBe(false)
  expect(made!.properties).toEqual([
    ['mail', anna],
    ['mailLocalAddress', anna],
  ])
})

it('MIG-07: what is deleted here stays at the backend, and what is gone there stays here; then it is not asked any more', async () => {
  const at = await stage({ backend_fast_login: true })
  const { backend, scene } = at
  let given = 0
  // The first pass does not bring everything, so that there is another one.
  backend.on('RETR', (_, usual) => (++given === 3 ? refused : usual()))
  backend.on('TOP', () => refused)
  await scene.login()
  await scene.until(() => received(at, 'QUIT') === 1 && scene.gateway.scheduler.counts.running === 0)
  expect(await account(at)).toBeUndefined()
  await clientExpunges(scene.test.store, ({ uid }) => uid === 1)
  scene.bus.emit({ topic: `mbox:${anna}`, name: 'changed', fields: { user: anna, mailbox: 'INBOX', expunged: 1 } })
  scene.clock.turn(70)
  await scene.until(async () => (await account(at)) !== undefined)
  expect(received(at, 'DELE')).toBe(0)
  expect(await stored(at)).toBe(2)
  const sessions = backend.sessions
  scene.clock.turn(3_600)
  await scene.quiet()
  expect(backend.sessions).toBe(sessions)
})

it('MIG-06: a pull that breaks off lets nobody in and makes no account; the next login goes on with it', async () => {
  const at = await stage()
  const mend = breakAtLast(at)
  await expect(at.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
  expect(await account(at)).toBeUndefined()
  mend()
  const before = received(at, 'RETR')
  at.scene.clock.turn(120)
  await at.scene.until(async () => (await account(at)) !== undefined)
  await at.scene.login()
  expect(await stored(at)).toBe(3)
  // Of a pipeline that broke, what had not been stored comes again.
  expect(received(at, 'RETR') - before).toBeLessThanOrEqual(3)
})

it('what was announced and did not come is shown by a notice when the account is made', async () => {
  const at = await stage()
  const { store } = at.scene.test
  await store.account(anna).ensure()
  {
    // Of a mailbox that the old server does not open any more.
    await using inbox = await store.account(anna).open('INBOX')
    await announce(
      inbox,
      [1, 2].map((uid) => ({ origin: `imap://anna@old/7/${uid}`, internalDate: uid, sizeOctets: 9 })),
    )
  }
  await at.scene.login()
  expect(await account(at)).toBeDefined()
  // Nobody would ask for them any more.
  const texts = await contents(store)
  expect(texts.filter((text) => text.includes('[not available yet]'))).toHaveLength(2)
  await using inbox = await store.account(anna).open('INBOX')
  const notices = [...inbox.messages].filter(({ origin }) => origin?.startsWith('stub:'))
  expect(notices.map(({ uid, internalDate }) => [uid > 2, internalDate])).toEqual([
    [true, 1],
    [true, 2],
  ])
  expect(inbox.byOrigin('imap://anna@old/7/1')).toBeUndefined()
})

it('a wrong password makes nothing', async () => {
  const at = await stage()
  await expect(at.scene.login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
  expect(await account(at)).toBeUndefined()
  expect(await at.scene.test.store.account(anna).exists()).toBe(false)
})

it('first logins at the same time join one migration', async () => {
  const at = await stage()
  await Promise.all([at.scene.login(), at.scene.login(), at.scene.login()])
  expect(at.backend.sessions).toBe(1)
  expect(await stored(at)).toBe(3)
  expect(await account(at)).toBeDefined()
})

it('backend_fast_login: in at once, and the account follows when all is here, with no client any more', async () => {
  const at = await stage({ backend_fast_login: true })
  const { promise, resolve } = Promise.withResolvers<void>()
  at.backend.on('UIDL', async (_, usual) => {
    await promise
    return usual()
  })
  await at.scene.login()
  expect(await account(at)).toBeUndefined()
  at.scene.bus.sessions = []
  at.scene.clock.turn(3_600)
  resolve()
  await at.scene.until(async () => (await account(at)) !== undefined)
  expect(await stored(at)).toBe(3)
})

it('a message that the backend never gives is a notice, named in the log, and keeps nobody out', async () => {
  const at = await stage()
  at.backend.on('RETR', ({ argument }, usual) => (argument === '2' ? refused : usual()))
  at.backend.on('TOP', ({ argument }, usual) => (argument.startsWith('2 ') ? refused : usual()))
  await at.scene.login()
  expect(await account(at)).toBeUndefined()
  for (let passes = 2; passes <= 3; passes++) {
    at.scene.clock.turn(120)
    // Its end says when the next one may be: the clock is not turned before.
    await at.scene.until(() => received(at, 'QUIT') === passes && at.scene.gateway.counts.running === 0)
  }
  const line = () => at.scene.lines.find(({ message: text }) => text.startsWith('migrated'))
  await at.scene.until(() => line() !== undefined)
  expect(await account(at)).toMatchObject({ state: 'enabled' })
  expect(line()).toMatchObject({ severity: 'warning', fields: { listed: 3, notGiven: 1 } })
})

it('an account database that is away is asked again, and the mail is not fetched twice', async () => {
  let isAway = true
  const at = await stage({}, (accounts) => ({
    ...accounts,
    add: (...given) =>
      isAway ? Promise.reject(new StoreError('unavailable', 'the directory is away')) : accounts.add(...given),
  }))
  await at.scene.login()
  expect(await stored(at)).toBe(3)
  expect(await account(at)).toBeUndefined()
  isAway = false
  at.scene.clock.turn(31)
  await at.scene.until(async () => (await account(at)) !== undefined)
  expect(received(at, 'RETR')).toBe(3)
})

it('an account that was made meanwhile decides, and nobody else is asked', async () => {
  const at = await stage()
  await at.scene.login()
  const { sessions } = at.backend
  at.scene.clock.turn(3_600)
  await at.scene.login()
  await expect(at.scene.login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
  expect(at.backend.sessions).toBe(sessions)
})

it('MIG-08: msadm is told when all is here, and why not; a user who logs in meanwhile gets an account', async () => {
  const at = await stage()
  const migrate = (password: string) =>
    at.scene.gateway.migrate({ given: anna, userId: anna, account: undefined }, Buffer.from(password))
  await expect(migrate('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
  const mend = breakAtLast(at)
  await expect(migrate('pw')).rejects.toMatchObject({
    kind: 'unavailable',
    cause: { message: expect.stringContaining('pop://127.0.0.1') },
  })
  mend()
  const pulled = migrate('pw')
  await at.scene.login()
  expect(await pulled).toEqual({ listed: 3, here: 3, notGiven: 0 })
  expect(await account(at)).toMatchObject({ state: 'enabled' })
})

it('a login right behind one whose pull broke off pulls again', async () => {
  const at = await stage()
  const mend = breakAtLast(at)
  await expect(at.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
  mend()
  await at.scene.login()
  expect(await account(at)).toBeDefined()
})
