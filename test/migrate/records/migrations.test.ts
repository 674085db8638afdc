/** What is remembered of migrations beyond the life of one ms_syncd, with a gateway of the test's own and a maildrop that does what it is told. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Migrations } from '#migrate/records/migrations.ts'
import type { MigrationRecord } from '#migrate/records/record.ts'
import { type Accounts, openAccounts } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'
import { makeUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { anna, gatewayScene, type Scene } from '#test/gateway/ms_syncd/support.ts'
import { contents } from '#test/gateway/sync/support.ts'
import { type ScriptedPop3, scriptedPop3 } from '#test/support/pop3-script.ts'

interface Stage {
  readonly directory: string
  readonly backend: ScriptedPop3
  readonly accounts: Accounts
}

interface Syncd extends AsyncDisposable {
  readonly scene: Scene
  readonly migrations: Migrations
  record(): Promise<MigrationRecord | undefined>
  reaches(state: MigrationRecord['state']): Promise<MigrationRecord>
}

const stage = async (): Promise<Stage> => {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'))
  await writeFile(join(directory, 'key'), Buffer.alloc(32, 7))
  const messages = [1, 2, 3].map((n) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) }))
  const backend = await scriptedPop3({ messages, capabilities: ['PIPELINING', 'UIDL', 'USER'] })
  onTestFinished(async () => {
    await backend[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  return { directory, backend, accounts: openAccounts(join(directory, 'accounts')) }
}

/** One life of ms_syncd. */
const syncd = async (
  { directory, backend, accounts }: Stage,
  { options = {}, users = makeUserDatabase(undefined, []) }: { options?: ConfigOverrides; users?: UserDatabase } = {},
): Promise<Syncd> => {
  const overrides = { gateway_mode: false, auto_migrate: true, migration_key_file: join(directory, 'key'), ...options }
  const scene = await gatewayScene(backend.port, overrides, users, accounts)
  const shared = (name: string) => join(directory, name)
  const runtime = { config: configOf(overrides), log: scene.log, clock: scene.clock }
  const migrations = await Migrations.open({ runtime, gateway: scene.gateway, shared })
  await migrations.started()
  const record = () => migrations.records.find(anna)
  return {
    scene,
    migrations,
    record,
    reaches: async (state) => {
      await scene.until(async () => (await record())?.state === state)
      return (await record())!
    },
    [Symbol.asyncDispose]: async () => {
      await migrations.stop()
      await scene[Symbol.asyncDispose]()
    },
  }
}

/** The connection breaks at the last message, until what this answers is called. */
const breakAtLast = (backend: ScriptedPop3): (() => void) => {
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

const audits = ({ scene }: Syncd) =>
  scene.lines.flatMap(({ message, fields }) => (fields.audit === 'migration-password' ? [message] : []))

const onDisk = async ({ directory }: Stage) => {
  const names = await readdir(join(directory, 'migrations'))
  return (await Promise.all(names.map((name) => readFile(join(directory, 'migrations', name), 'utf8')))).join('')
}

it('a login that is refused leaves no record, and one that is let in ends closed, without its password', async () => {
  const at = await stage()
  await using life = await syncd(at)
  await expect(life.scene.login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
  expect(await life.record()).toBeUndefined()
  await life.scene.login()
  expect(await life.reaches('closed')).toMatchObject({
    given: anna,
    counts: { listed: 3, here: 3, notGiven: 0 },
    account: { by: 'login' },
  })
  expect((await life.record())?.secret).toBeUndefined()
  expect(audits(life).map((text) => text.split(' ').at(-1) === 'destroyed')).toContain(true)
})

it('where certificates are made, the password is kept until that of the migration is settled', async () => {
  const at = await stage()
  await using life = await syncd(at)
  life.migrations.certify()
  await life.scene.login()
  expect(await life.reaches('closed')).toMatchObject({ certificateDue: true, secret: expect.any(String) })
  expect(await life.migrations.dueCertificates()).toHaveLength(1)
  await life.migrations.certificateSettled(anna)
  expect(await life.record()).toMatchObject({ state: 'closed' })
  expect(await onDisk(at)).not.toMatch(/secret|certificateDue/)
  expect(await life.migrations.dueCertificates()).toEqual([])
})

it('a pull under way when ms_syncd ends goes on by itself with the next one', async () => {
  const at = await stage()
  const mend = breakAtLast(at.backend)
  {
    await using life = await syncd(at)
    await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    const { secret, reason } = await life.reaches('failed')
    expect(secret).toBeDefined()
    expect(reason).toContain('pop://127.0.0.1')
    expect(await onDisk(at)).not.toMatch(/pw|cHc=/)
  }
  mend()
  await using life = await syncd(at)
  await life.reaches('closed')
  const account = await at.accounts.find(anna)
  expect(await at.accounts.matches(anna, account, Buffer.from('pw'))).toBe(true)
  expect(await contents(life.scene.test.store)).toHaveLength(3)
  expect(audits(life)).toContainEqual(expect.stringContaining('used'))
  expect(await onDisk(at)).not.toContain('secret')
})

it('without a key nothing of a password is on disk, and the record says what it waits for', async () => {
  const at = await stage()
  const mend = breakAtLast(at.backend)
  const options = { migration_key_file: undefined }
  {
    await using life = await syncd(at, { options })
    await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    await life.reaches('failed')
    expect(await onDisk(at)).not.toContain('secret')
  }
  mend()
  await using life = await syncd(at, { options })
  expect(await life.migrations.resume(anna)).toContain("at the user's next login")
  await life.scene.login()
  await life.reaches('closed')
})

it('a password that the old server refuses after a restart is tried once, and destroyed', async () => {
  const at = await stage()
  breakAtLast(at.backend)
  {
    await using life = await syncd(at)
    await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    await life.reaches('failed')
  }
  at.backend.options.password = 'changed'
  const before = at.backend.sessions
  await using life = await syncd(at)
  await life.scene.until(async () => (await life.record())?.secret === undefined)
  expect((await life.record())?.reason).toContain('msadm migrate -p')
  const tried = at.backend.sessions
  expect(tried).toBe(before + 1)
  life.scene.clock.turn(3_600)
  await life.scene.quiet()
  expect(at.backend.sessions).toBe(tried)
})

it('a pause ends the pull, survives a restart, keeps logins from the old server, and ends when somebody says so', async () => {
  const at = await stage()
  const mend = breakAtLast(at.backend)
  {
    await using life = await syncd(at)
    await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await life.migrations.pause(anna)).toBeUndefined()
    expect(life.scene.gateway.isMigrating(anna)).toBe(false)
  }
  mend()
  await using life = await syncd(at)
  const { sessions } = at.backend
  await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
  life.scene.clock.turn(3_600)
  await life.scene.quiet()
  expect(at.backend.sessions).toBe(sessions)
  const order = { userId: anna, given: anna, account: { properties: [], by: 'operator' as const } }
  await expect(life.scene.gateway.migrate(order, Buffer.from('pw'))).rejects.toMatchObject({
    cause: { message: expect.stringContaining('--resume') },
  })
  expect(at.backend.sessions).toBe(sessions)
  expect((await life.record())?.state).toBe('paused')
  expect(await life.migrations.resume(anna)).toBeUndefined()
  await life.reaches('closed')
  expect(await life.migrations.pause(anna)).toContain('closed')
})

it('a login that waits for the mail is refused when an operator pauses its migration', async () => {
  const at = await stage()
  at.backend.on('RETR', () => new Promise<string>(() => {}))
  await using life = await syncd(at)
  const login = life.scene.login()
  login.catch(() => {})
  await life.reaches('pulling')
  expect(await life.migrations.pause(anna)).toBeUndefined()
  await expect(login).rejects.toMatchObject({ kind: 'unavailable' })
  expect(await at.accounts.find(anna)).toBeUndefined()
})

it('a backend that is away after a restart is asked again and again, and the record says so', async () => {
  const at = await stage()
  const mend = breakAtLast(at.backend)
  {
    await using life = await syncd(at)
    await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
    await life.reaches('failed')
  }
  mend()
  let isAway = true
  at.backend.on('PASS', ({ socket }, usual) => {
    if (!isAway) return usual()
    socket.destroy()
    return ''
  })
  const before = at.backend.sessions
  await using life = await syncd(at)
  await life.scene.until(() => at.backend.sessions > before)
  expect(await life.reaches('failed')).toMatchObject({ secret: expect.any(String), reason: expect.any(String) })
  isAway = false
  life.scene.clock.turn(301)
  await life.reaches('closed')
})

/** The record of the user names a master user, who can pull without his password. */
const stageOfMaster = async () => {
  const at = await stage()
  const users = makeUserDatabase(undefined, [
    {
      frontendId: anna,
      master: {
        line: 1,
        backendId: 'anna',
        masterUser: 'root',
        masterPassword: 'over-all',
        masterSeparator: '*',
        startTls: 'never',
      },
      extra: [],
    },
  ])
  const names = new Map<number, string>()
  at.backend.on('USER', ({ session, argument }) => {
    names.set(session, argument)
    return '+OK\r\n'
  })
  at.backend.on('PASS', ({ session }, usual) => {
    at.backend.options.password = names.get(session) === 'anna' ? 'pw' : 'over-all'
    return usual()
  })
  return { at, users }
}

it('a user whose record names a master user is pulled without a password, and gets his account at his first login', async () => {
  const { at, users } = await stageOfMaster()
  await using life = await syncd(at, { users })
  const order = {
    userId: anna,
    given: anna,
    account: { properties: [['cn', 'Anna'] as const], by: 'operator' as const },
  }
  expect(await life.scene.gateway.migrate(order, undefined)).toEqual({ listed: 3, here: 3, notGiven: 0 })
  await life.reaches('pulled')
  expect(await at.accounts.find(anna)).toBeUndefined()
  await expect(life.scene.login('wrong')).rejects.toMatchObject({ kind: 'bad-credentials' })
  expect((await life.record())?.state).toBe('pulled')
  const retrieved = () => at.backend.received.filter((line) => line.startsWith('RETR')).length
  const before = retrieved()
  await life.scene.login()
  await life.reaches('closed')
  expect(retrieved()).toBe(before)
  const account = await at.accounts.find(anna)
  expect(account?.properties).toContainEqual(['cn', 'Anna'])
  expect(await at.accounts.matches(anna, account, Buffer.from('pw'))).toBe(true)
})

it('who was not moved by his wave is not moved by itself afterwards, though a master user could', async () => {
  const { at, users } = await stageOfMaster()
  await using life = await syncd(at, { users })
  const { migrations, scene } = life
  const broken = 'someone@example.org' as UserId
  for (const userId of [anna, broken])
    await migrations.enrol({ userId, given: userId, wave: 'first', properties: [], password: undefined })
  await migrations.leaveWave(broken, 'first', 'an operator took the user out')
  await migrations.records.change(anna, (was) => was && { ...was, state: 'failed' })
  await migrations.leaveWave(anna, 'first', 'the wave first is closed')
  expect(await life.record()).toMatchObject({ state: 'waiting', reason: expect.stringContaining('first is closed') })
  // Nobody can log in for this one: a look is over for it when it says so, and the one before it for all.
  for (let looks = 0; looks < 2; looks += 1) {
    await migrations.records.change(broken, (was) => was && { ...was, state: 'pulling' })
    await scene.until(async () => {
      scene.clock.turn(301)
      return (await migrations.records.find(broken))?.state === 'failed'
    })
  }
  expect((await life.record())?.state).toBe('waiting')
  expect(at.backend.sessions).toBe(0)
})

it('questions are answered without secrets, and what is no question is left to others', async () => {
  const at = await stage()
  breakAtLast(at.backend)
  await using life = await syncd(at)
  await expect(life.scene.login()).rejects.toMatchObject({ kind: 'unavailable' })
  await life.reaches('failed')
  const list = await life.migrations.answer({ type: 'migration-list' })
  expect(list).toMatchObject({ ok: true, migrations: [{ userId: anna, state: 'failed', isKept: true }], damaged: [] })
  expect(JSON.stringify(list)).not.toContain((await life.record())!.secret!)
  expect(
    await life.migrations.answer({ type: 'migration-pause', userIds: [anna, 'nobody@example.org'] }),
  ).toMatchObject({
    verdicts: [
      { userId: anna, state: 'paused' },
      { state: 'unknown', refusal: expect.stringContaining('no migration') },
    ],
  })
  expect(life.migrations.answer({ type: 'authenticate' })).toBeUndefined()
})
