/** What an operator tells a wave while it runs, with a clock that the test turns and a maildrop that does what it is told. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { ExtensionParts } from '#gateway/ms_syncd/extension.ts'
import { Migrations } from '#migrate/records/migrations.ts'
import { waves as openWaves } from '#migrate/waves/extension.ts'
import { MemberWork } from '#migrate/waves/member-work.ts'
import { NotesDirectory } from '#migrate/waves/notes.ts'
import { WaveFiles } from '#migrate/waves/wave-files.ts'
import { Waves } from '#migrate/waves/waves.ts'
import { openAccountSource } from '#src/auth/account-source.ts'
import type { WaveMemberRequest, WaveSummary } from '#src/auth/ms-syncd-waves.ts'
import { RemoteError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import type { Json } from '#src/events/types.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'
import { gatewayScene } from '../../gateway/ms_syncd/support.ts'

const dayMs = 86_400_000
const idOf = (name: string) => `${name}@example.org` as UserId

const memberOf = (name: string, password = 'pw'): WaveMemberRequest => ({
  userId: idOf(name),
  given: idOf(name),
  properties: [],
  password: Buffer.from(password).toString('base64'),
})

const stage = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'waves-'))
  await writeFile(join(directory, 'key'), Buffer.alloc(32, 7))
  const messages = [1, 2, 3].map((n) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) }))
  const backend = await scriptedPop3({ messages, capabilities: ['PIPELINING', 'UIDL', 'USER'] })
  const options = {
    gateway_mode: false,
    auto_migrate: true,
    account_db: join(directory, 'accounts'),
    migration_key_file: join(directory, 'key'),
  }
  const config = configOf(options)
  const accounts = openAccountSource({ config, log: silentLog, clock: new TurnedClock() })
  const scene = await gatewayScene(backend.port, options, makeUserDatabase(undefined, []), accounts)
  const { gateway, clock } = scene
  const shared = (name: string) => join(directory, name)
  const migrations = await Migrations.open({ runtime: { config, log: scene.log, clock }, gateway, shared })
  const notes = new NotesDirectory(shared('wave-notes'))
  const parts = {
    gateway,
    migrations,
    records: migrations.records,
    clock,
    files: new WaveFiles(shared('waves')),
    notes,
    work: new MemberWork({ gateway, accounts, migrations, config: () => config }),
  }
  const waves = new Waves(parts)
  onTestFinished(async () => {
    await waves.stop()
    await migrations.stop()
    await scene[Symbol.asyncDispose]()
    await backend[Symbol.asyncDispose]()
    await accounts.close()
    await rm(directory, { recursive: true, force: true })
  })
  const reaches = async (holds: (wave: WaveSummary) => boolean): Promise<WaveSummary> => {
    let wave: WaveSummary | undefined
    await scene.until(async () => {
      // What is known of members is held for a moment.
      clock.turn(2)
      wave = (await waves.status('first')).wave
      return holds(wave)
    })
    return wave!
  }
  const record = (name: string) => migrations.records.find(idOf(name))
  const pass = async (name: string) => (await notes.find(idOf(name))).pass
  /** Users in the order in which they were let in. */
  const order: string[] = []
  backend.on('USER', ({ argument }) => {
    order.push(argument.split('@')[0]!)
    return '+OK\r\n'
  })
  return { directory, accounts, parts, backend, scene, clock, migrations, waves, reaches, record, pass, order }
}

const isIdle = ({ task }: WaveSummary): boolean => task === undefined

it('a member whom an operator paused stays so, and the wave goes on without him', async () => {
  const { waves, migrations, reaches, record, order } = await stage()
  await waves.add(
    'first',
    ['anna', 'bert'].map((name) => memberOf(name)),
  )
  expect(await migrations.pause(idOf('bert'))).toBeUndefined()
  await waves.begin('first', 'pull')
  expect(await reaches(isIdle)).toMatchObject({ states: { migrated: 1, paused: 1 }, failed: 1 })
  expect(order).not.toContain('bert')
  expect((await waves.status('first')).members[1]!.reason).toContain('msadm migrate --resume')
  expect(await migrations.resume(idOf('bert'))).toBeUndefined()
  await reaches(({ states }) => states.migrated === 2)
  expect((await record('bert'))?.secret).toBeDefined()
})

it('an account that is here already is told, also a disabled one, which the wave would enable', async () => {
  const { accounts, waves, reaches } = await stage()
  await accounts.add(
    { userId: idOf('anna'), state: 'disabled', verifiers: undefined, services: {}, properties: [] },
    undefined,
  )
  await waves.add('first', [memberOf('anna')])
  await waves.begin('first', 'inventory')
  await reaches(isIdle)
  expect((await waves.plan('first')).risks).toMatchObject([
    { kind: 'account-exists', found: expect.stringContaining('disabled') },
  ])
})

it('who is resumed where nobody is named: not those who wait for their turn in a wave', async () => {
  const { waves, migrations, record } = await stage()
  await waves.add('first', [memberOf('anna')])
  expect(await migrations.answer({ type: 'migration-resume' })).toMatchObject({ verdicts: [] })
  expect(await record('anna')).toMatchObject({ state: 'waiting' })
})

it('a password that the old server refuses behind the pull is tried once, and destroyed; another one can be given', async () => {
  const { backend, scene, clock, waves, reaches, record, pass, order } = await stage()
  await waves.add('first', [memberOf('anna')])
  await waves.begin('first', 'pull')
  await reaches(isIdle)
  backend.options.password = 'changed'
  order.length = 0
  await waves.begin('first', 'cutover', { closing: clock.now() + 365 * dayMs, everyMs: 60_000 })
  await reaches(({ state }) => state === 'watch')
  for (let rounds = 0; rounds < 3; rounds++) {
    const { at } = (await pass('anna'))!
    await scene.until(async () => {
      clock.turn(30)
      return (await pass('anna'))!.at > at
    })
  }
  expect(order).toEqual(['anna'])
  expect(await record('anna')).toMatchObject({ state: 'migrated', reason: expect.stringContaining('refused') })
  expect((await record('anna'))?.secret).toBeUndefined()
  await expect(waves.add('first', [memberOf('carl')])).rejects.toThrow(/carl.*cut over/)
  await waves.add('first', [memberOf('anna', 'changed')])
  await reaches(({ failed, done }) => failed === 0 && done === 1)
})

it('who was left out of a wave that is closed can be moved by another, and nothing is kept of him', async () => {
  const { backend, clock, waves, reaches, record } = await stage()
  await waves.add('first', [memberOf('anna'), memberOf('bert', 'wrong')])
  await waves.begin('first', 'pull')
  await reaches(isIdle)
  await waves.begin('first', 'cutover', { closing: clock.now() + 365 * dayMs })
  await reaches(({ state }) => state === 'watch')
  clock.turn((366 * dayMs) / 1_000)
  await reaches(({ state }) => state === 'closed')
  expect(await record('anna')).toMatchObject({ state: 'closed', wave: 'first' })
  const left = await record('bert')
  expect(left).toMatchObject({ state: 'waiting', reason: expect.stringContaining('the wave first is closed') })
  expect([left?.wave, left?.secret]).toEqual([undefined, undefined])
  backend.options.password = 'pw'
  expect(await waves.add('second', [memberOf('bert')])).toMatchObject({ added: 1 })
})

it("a record that can not be read is its member's trouble alone, behind a restart too", async () => {
  const { directory, parts, waves, reaches } = await stage()
  await waves.add(
    'first',
    ['anna', 'bert', 'carl'].map((name) => memberOf(name)),
  )
  const recordOf = (name: string) =>
    join(directory, 'migrations', `${createHash('sha256').update(idOf(name)).digest('hex')}.json`)
  await writeFile(recordOf('anna'), '{')
  await rm(recordOf('bert'))
  const next = new Waves(parts)
  await next.start()
  await next.stop()
  await waves.begin('first', 'pull')
  expect(await reaches(isIdle)).toMatchObject({ states: { migrated: 1, unknown: 2 }, failed: 2 })
  expect((await waves.status('first')).members.map(({ reason }) => reason)).toEqual([
    expect.stringContaining('is not JSON; remove it'),
    expect.stringContaining('give the line of the CSV file again'),
    undefined,
  ])
  await waves.add('first', [memberOf('bert')])
  await waves.begin('first', 'pull')
  expect(await reaches(isIdle)).toMatchObject({ states: { migrated: 2, unknown: 1 } })
})

it('moves who was given back once more, when he is named', async () => {
  const { waves, migrations, reaches, record, order } = await stage()
  const verdictOf = async (name: string) => (await waves.retry('first', [idOf(name)])).verdicts[0]!
  await waves.add(
    'first',
    ['anna', 'bert'].map((name) => memberOf(name)),
  )
  await waves.begin('first', 'pull')
  await reaches(isIdle)
  await migrations.rolledBack(idOf('anna'))
  await waves.begin('first', 'pull')
  await reaches(isIdle)
  expect(await record('anna')).toMatchObject({ state: 'rolled-back' })
  expect(await verdictOf('anna')).toEqual({
    userId: idOf('anna'),
    outcome: 'done',
    text: expect.stringMatching(/next msadm wave start first; the password is not kept/),
  })
  expect(await record('anna')).toMatchObject({ state: 'waiting', atOldServer: true, counts: { here: 0 } })
  expect((await verdictOf('anna')).outcome).toBe('nothing')
  expect(await waves.add('first', [memberOf('anna')])).toMatchObject({ known: 1 })
  order.length = 0
  await waves.begin('first', 'pull')
  expect(await reaches(isIdle)).toMatchObject({ states: { migrated: 2 }, failed: 0 })
  expect(order).toEqual(['anna'])
  expect((await record('anna'))?.atOldServer).toBeUndefined()
  expect(await verdictOf('anna')).toMatchObject({ outcome: 'nothing', text: 'is here already' })
  expect((await verdictOf('carl')).outcome).toBe('refused')
  await migrations.rollingBack(idOf('bert'))
  expect(await verdictOf('bert')).toMatchObject({ outcome: 'refused', text: expect.stringContaining('--cancel') })
})

it('a member that failed is tried at once when it is named, while the wave pulls', async () => {
  const { backend, waves, reaches, pass } = await stage()
  backend.options.password = 'mended'
  await waves.add('first', [memberOf('anna', 'mended'), memberOf('bert')])
  // Somebody is pulled for as long as this takes.
  let isSlow = true
  backend.on('RETR', (_, usual) => (isSlow ? '' : usual()))
  await waves.begin('first', 'pull')
  await reaches(({ failed }) => failed === 1)
  await waves.add('first', [memberOf('bert', 'mended')])
  const { verdicts } = await waves.retry('first', [idOf('bert')])
  expect(verdicts).toMatchObject([{ outcome: 'done', text: 'is pulled in turn' }])
  expect(await pass('bert')).toBeUndefined()
  isSlow = false
  backend.options.password = 'mended'
  expect(await reaches(isIdle)).toMatchObject({ states: { migrated: 2 }, failed: 0 })
})

it('takes members out, whatever becomes of them just now; another wave may have them', async () => {
  const { backend, migrations, waves, reaches, record, order } = await stage()
  const names = ['anna', 'bert', 'carl', 'dora']
  await waves.add(
    'first',
    names.map((name) => memberOf(name)),
  )
  await waves.limits('first', { atOnce: 1 })
  await waves.begin('first', 'pull', { first: 1 })
  await reaches(({ state }) => state === 'paused')
  await migrations.rolledBack(idOf('dora'))
  backend.on('RETR', (_, usual) => (order.at(-1) === 'bert' ? '' : usual()))
  await waves.resume('first')
  await reaches(({ running }) => running === 1 && order.at(-1) === 'bert')
  const { verdicts, wave } = await waves.remove('first', names.map(idOf))
  expect(verdicts.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done', 'done'])
  expect(wave).toMatchObject({ members: 0, running: 0 })
  const records = await Promise.all(names.map(async (name) => (await record(name))!))
  expect(records.map(({ state, wave: of, secret }) => [state, of, secret])).toEqual([
    ['closed', undefined, undefined],
    ['waiting', undefined, undefined],
    ['waiting', undefined, undefined],
    ['rolled-back', undefined, undefined],
  ])
  const again = await waves.remove('first', names.map(idOf))
  expect(again.verdicts.map(({ outcome }) => outcome)).toEqual(Array(4).fill('nothing'))
  await waves.add('second', [memberOf('carl'), memberOf('dora')])
  await expect(waves.add('first', [memberOf('carl')])).rejects.toThrow(/msadm wave remove second carl@/)
  await waves.begin('second', 'pull')
  await reaches(() => order.includes('dora'))
})

it('asks the ms_syncd that has a wave, whichever is asked, and says whom to ask where that is not reached', async () => {
  const { directory, scene, accounts, migrations } = await stage()
  const asked: unknown[][] = []
  let isReached = true
  const events = {
    ask: async (...request: unknown[]) => {
      asked.push(request)
      if (!isReached) throw new RemoteError('no process serves it', { retryable: true })
      return { ok: true, added: 1, known: 0 }
    },
    serve: () => () => {},
  }
  const elsewhere = { id: 'abc', where: 'process 7 on other' }
  const { clock, log } = scene
  const gateway = { clock, log, events, nodeId: 'me', holds: () => false, lease: async () => elsewhere }
  const parts = {
    runtime: { config: configOf({}), log, clock },
    gateway,
    accounts,
    shared: (name: string) => join(directory, name),
  } as unknown as ExtensionParts
  const extension = await openWaves(parts, migrations)
  const request = { type: 'wave', verb: 'add', name: 'first', members: [memberOf('anna')] } as Json
  const { signal } = new AbortController()
  expect(await extension.answer(request, signal)).toEqual({ ok: true, added: 1, known: 0 })
  expect(asked).toEqual([['ms_sync-abc', request, expect.objectContaining({ secret: true })]])
  isReached = false
  expect(await extension.answer(request, signal)).toEqual({
    ok: false,
    text: expect.stringContaining('another ms_syncd of this store (process 7 on other)'),
  })
  await extension.stop()
})

it('the cutover closes nobody who was given back to the old server, or is just being given back', async () => {
  const { waves, migrations, reaches, record } = await stage()
  await waves.add(
    'first',
    ['anna', 'bert', 'carl'].map((name) => memberOf(name)),
  )
  await waves.begin('first', 'pull')
  await reaches(isIdle)
  for (const [name, state] of [
    ['anna', 'rolling-back'],
    ['bert', 'rolled-back'],
  ] as const)
    await migrations.records.change(idOf(name), (was) => was && { ...was, state })
  await waves.begin('first', 'cutover')
  await reaches(({ state }) => state === 'closed')
  const states = await Promise.all(['anna', 'bert', 'carl'].map(async (name) => (await record(name))!))
  expect(states.map(({ state, secret }) => [state, secret !== undefined])).toEqual([
    ['rolling-back', true],
    ['rolled-back', false],
    ['closed', false],
  ])
})
