/** When a certificate is made, with a clock that the test turns and a POP3 server that does what it is told. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { proof } from '#migrate/proof/extension.ts'
import type { MigrationRecord } from '#migrate/records/record.ts'
import { openAccountSource } from '#src/auth/account-source.ts'
import { silentLog } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { accountDirectory } from '#src/store/names.ts'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'
import { anna, gatewayScene } from '../../gateway/ms_syncd/support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`),
})

/** `kept`: what a migration has of the password. */
const stage = async (kept?: string) => {
  const directory = await mkdtemp(join(tmpdir(), 'proof-'))
  const backend = await scriptedPop3({ messages: [1, 2, 3].map(message), capabilities: ['PIPELINING', 'UIDL'] })
  const options = { gateway_mode: false, auto_migrate: true, account_db: join(directory, 'accounts') }
  const config = configOf(options)
  const accounts = openAccountSource({ config, log: silentLog, clock: new TurnedClock() })
  const scene = await gatewayScene(backend.port, options, makeUserDatabase(undefined, []), accounts)
  const runtime = { config, log: silentLog, clock: scene.clock, events: scene.bus }
  const parts = {
    runtime: runtime as never,
    gateway: scene.gateway,
    accounts,
    shared: (name: string) => join(directory, name),
  }
  const record = { userId: anna, given: anna } as unknown as MigrationRecord
  let isDue = false
  const migrations = {
    records: { find: async () => (kept === undefined ? undefined : record) },
    password: () => (kept === undefined ? undefined : Buffer.from(kept)),
    backendsOf: () => scene.gateway.backendsOf(anna, anna),
    certify: () => {},
    certificateDue: async () => {
      isDue = true
    },
    certificateSettled: async () => {
      isDue = false
    },
    dueCertificates: async () => (isDue ? [record] : []),
  }
  const open = () => proof(parts, migrations)
  const extension = await open()
  onTestFinished(async () => {
    await extension.stop()
    await scene[Symbol.asyncDispose]()
    await backend[Symbol.asyncDispose]()
    await accounts.close()
    await rm(directory, { recursive: true, force: true })
  })
  const certificates = async () => {
    const names = await readdir(join(directory, 'certificates', accountDirectory(anna))).catch(() => [])
    return names.filter((name) => name.endsWith('.json'))
  }
  const newest = async () =>
    JSON.parse(
      await readFile(
        join(directory, 'certificates', accountDirectory(anna), (await certificates()).sort().at(-1)!),
        'utf8',
      ),
    )
  const told = (text: string) => scene.lines.filter((line) => line.message.includes(text))
  const ask = (request: { readonly [name: string]: string }) =>
    extension.answer({ user: anna, userId: anna, ...request }, new AbortController().signal)!
  return { directory, backend, scene, extension, open, isDue: () => isDue, certificates, newest, told, ask }
}

it('a server that lets nobody in again so soon is asked later, and every use of the password is in the log', async () => {
  const { backend, scene, certificates, newest, told } = await stage()
  let logins = 0
  backend.on('PASS', (_, usual) => (++logins === 2 ? '-ERR [LOGIN-DELAY] too soon\r\n' : usual()))
  await scene.login()
  await scene.until(() => told('no certificate').length === 1)
  expect(await certificates()).toEqual([])
  scene.clock.turn(61)
  await scene.until(() => told('certified').length === 1)
  expect((await newest()).statement).toMatchObject({
    account: anna,
    occasion: 'migrated',
    listed: 3,
    here: 3,
    again: 0,
  })
  const uses = told('password of a user').filter(({ fields }) => fields.why === 'for the certificate of the migration')
  expect(uses.map(({ fields }) => fields.audit)).toEqual(['migration-password', 'migration-password'])
  expect(JSON.stringify(scene.lines)).not.toContain('"pw"')
})

it('a certificate that can not be written ends nothing, and is made when there is room', async () => {
  const { directory, scene, certificates, told, ask } = await stage('pw')
  const place = join(directory, 'certificates', accountDirectory(anna))
  await mkdir(dirname(place), { recursive: true })
  await writeFile(place, 'in the way')
  await scene.login()
  await scene.until(() => told('no certificate').length === 1)
  expect(told('no certificate')[0]?.fields.reason).toContain(place)
  expect(await ask({ type: 'migration-verify' })).toMatchObject({ ok: false, text: expect.stringContaining(place) })
  await rm(place)
  scene.clock.turn(61)
  await scene.until(() => told('certified').length === 1)
  expect(await certificates()).toHaveLength(1)
})

it('a message that the server lists and never gives is an exception, and is told when both sides are compared', async () => {
  const { backend, scene, newest, told, ask } = await stage('pw')
  backend.on('RETR', ({ argument }, usual) => (argument === '2' ? '-ERR can not read message\r\n' : usual()))
  backend.on('TOP', ({ argument }, usual) => (argument.startsWith('2 ') ? '-ERR can not read message\r\n' : usual()))
  await scene.login()
  for (let passes = 2; passes <= 3; passes++) {
    scene.clock.turn(120)
    await scene.until(() => backend.received.filter((line) => line.includes('QUIT')).length === passes)
  }
  await scene.until(() => told('certified').length === 1)
  const { statement, entries } = await newest()
  expect(statement).toMatchObject({ listed: 3, here: 2, exceptions: { stub: 1 }, others: 0 })
  expect(entries[1]).toMatchObject({ uidlThere: 'id2', exception: 'stub' })
  // With the password that the migration kept.
  expect(await ask({ type: 'migration-verify' })).toMatchObject({
    ok: true,
    compared: 2,
    same: 2,
    findings: 1,
    explained: 0,
  })
})

it('without a password nobody is asked; one thing at a time; others are answered by others', async () => {
  const { scene, told, ask, extension } = await stage()
  await scene.login()
  await scene.until(() => told('certified').length === 1)
  expect(await ask({ type: 'migration-verify' })).toMatchObject({ ok: false, text: expect.stringContaining('-p') })
  const password = Buffer.from('pw').toString('base64')
  const both = await Promise.all([1, 2].map(() => ask({ type: 'migration-certify', password })))
  expect(both).toContainEqual(expect.objectContaining({ ok: true, occasion: 'asked' }))
  expect(both).toContainEqual({ ok: false, kind: 'unavailable', text: expect.stringContaining('is being made now') })
  expect(await ask({ type: 'migration-proof' })).toBe(null)
  expect(extension.answer({ type: 'status' }, new AbortController().signal)).toBe(undefined)
})

it.each([['kept', 'pw', 1] as const, ['not kept', undefined, 0] as const])(
  'one that ms_syncd ended over is made at the next start, when the password is %s',
  async (_, kept, count) => {
    const { backend, scene, extension, open, isDue, certificates, told } = await stage(kept)
    let isAway = false
    backend.on('PASS', (_, usual) => (isAway ? '-ERR [SYS/TEMP] later\r\n' : usual()))
    backend.on('QUIT', (_, usual) => {
      isAway = true
      return usual()
    })
    await scene.login()
    await scene.until(() => told('no certificate').length === 1)
    await extension.stop()
    expect([await certificates(), isDue()]).toEqual([[], true])
    isAway = false
    const next = await open()
    onTestFinished(() => next.stop())
    await next.started?.()
    await scene.until(() => !isDue())
    expect(await certificates()).toHaveLength(count)
    expect(told('msadm certificate --new -p')).toHaveLength(1 - count)
  },
)
