/** A wave from its list to its closing date, in a short form; `npm run prove:wave` has 200 users. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { WaveSummary } from '#src/auth/ms-syncd-waves.ts'
import { connected } from '#src/cli/event-bus.ts'
import { ask } from '#src/cli/msadm/wave/ask.ts'
import { loadConfig } from '#src/config/ms-conf.ts'
import { RawImap } from '../../support/raw-imap.ts'
import { domain, type Stage, stageWave } from './campaign.ts'

let stage: Stage
beforeAll(async () => {
  stage = await stageWave({ users: 12, planted: 1, messages: 8 })
}, 120_000)
afterAll(() => stage?.[Symbol.asyncDispose]())

const done = async (...args: readonly string[]) => {
  const called = await stage.wave(...args)
  expect(called, args.join(' ')).toMatchObject({ status: 0 })
  return called
}
const certificatesOf = async (userId: string): Promise<readonly string[]> => {
  const names = await readdir(join(stage.wherry.userDirectory, '.gateway/certificates', userId)).catch(() => [])
  return names.filter((name) => /^[0-9]/.test(name))
}
const statesOf = async (): Promise<Readonly<Record<string, number>>> =>
  (await done('status', 'first', '--json')).lines[0]!.states as Record<string, number>

it('takes all users of a file or none, and the same file again', async () => {
  const bad = join(stage.wherry.directory, 'bad.csv')
  await writeFile(bad, '\ufeffuserid,priority\nu001,1\nu002,first\nu001,2\n')
  const refused = await stage.wave('create', 'first', '-f', bad)
  expect(refused.status).toBe(1)
  expect(refused.err).toMatch(
    /the wave is as it was:\n.*:3: "first" is no priority.*\n.*:4: u001@gateway\.example is on line 2 already/,
  )
  expect((await done('list')).out).toBe('')
  expect((await done('create', 'first', '-f', stage.csv)).out).toBe('first: 12 users added\n')
  expect((await done('create', 'first', '-f', stage.csv)).out).toBe('first: 0 users added, 12 were in it already\n')
  const other = await stage.wave('create', 'second', '-f', stage.csv)
  expect(other.status).toBe(1)
  expect(other.err).toContain('users.csv:2: u001@gateway.example is in the wave first already')
})

it('the inventory lists every planted risk, and no other', async () => {
  await done('inventory', 'first', '-w', '-q')
  const { lines } = await done('plan', 'first', '--json')
  const found = lines.slice(1).map(({ userId, kind }) => `${userId} ${kind}`)
  expect(found.sort()).toEqual([...stage.planted].map(([user, kind]) => `${user}@${domain} ${kind}`).sort())
  expect(lines[0]).toMatchObject({ members: 12, messages: stage.messages, unknown: 0, blocked: 2 })
  expect((await done('plan', 'first')).out).toContain('a guess')
})

it('pulls the first ones and pauses, then goes on; a killed ms_syncd goes on where it was', async () => {
  await done('limits', 'first', '-n', '3', '--account', '900')
  await done('start', 'first', '-n', '5', '-w', '-q')
  expect(await statesOf()).toMatchObject({ migrated: 5, 'left-out': 3, waiting: 4 })
  expect((await done('plan', 'first')).out).toContain('by 5 users who were pulled')
  await done('resume', 'first')
  stage.kill()
  await done('watch', 'first', '-q')
  expect(await statesOf()).toEqual({ migrated: 9, 'left-out': 3 })
  await using imap = await RawImap.connect(stage.wherry.imapPort)
  await imap.login(stage.users.find((user) => !stage.planted.has(user))!, 'secret')
})

it('somebody with another password in the file is pulled by the next start', async () => {
  const [user] = [...stage.planted].find(([, kind]) => kind === 'wrong-password')!
  const mended = join(stage.wherry.directory, 'mended.csv')
  await writeFile(mended, `userid,password\n${user},secret\n`)
  await done('create', 'first', '-f', mended)
  await done('start', 'first', '-w', '-q')
  expect(await statesOf()).toEqual({ migrated: 10, 'left-out': 2 })
  const userId = `${user}@${domain}`
  expect((await done('retry', 'first', userId)).out).toBe(`${userId} is here already\n`)
  expect((await done('remove', 'first', 'x@y.example')).out).toBe('x@y.example is not in it\n')
  expect(await stage.wave('retry', 'first', 'x@y.example')).toMatchObject({
    status: 1,
    err: expect.stringContaining('x@y.example is not in the wave first'),
  })
})

it('behind the cutover what still arrives there is delivered here once, its sender is told, and nothing is kept behind the closing date', async () => {
  const user = stage.users.find((name) => !stage.planted.has(name))!
  const { config } = await loadConfig(stage.wherry.configFile)
  await using bus = await connected(config, 'test')
  const userId = `${user}@${domain}`
  // That of the pull, where ms_syncd was not killed over it.
  const running = () => bus.ask('ms_sync', { type: 'migration-proof', userId }, { timeoutMs: 10_000 })
  await vi.waitFor(async () => expect(await running()).toBe(null), 10_000)
  const before = (await certificatesOf(userId)).length
  await ask(bus, { type: 'wave', verb: 'cutover', name: 'first', closing: Date.now() + 3_600_000, everyMs: 200 })
  const status = async () => (await ask(bus, { type: 'wave', verb: 'status', name: 'first' })).wave
  const until = async (holds: (wave: WaveSummary) => boolean) => {
    while (!holds(await status())) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await until(({ state }) => state === 'watch')
  const late = 'From: Late <late@sender.example>\r\nSubject: =?utf-8?q?zu_sp=C3=A4t?=\r\n\r\ntext\r\n'
  await stage.dovecot.fill(user, [Buffer.from(late)])
  await until(({ stragglers }) => stragglers === 1)
  // Without a date the watch ends now, behind one more round.
  await done('cutover', 'first')
  await done('watch', 'first', '-q')
  const { lines } = await done('stragglers', 'first', '--json')
  expect(lines).toMatchObject([
    { userId: `${user}@${domain}`, mailbox: 'INBOX', from: 'late@sender.example', subject: 'zu spät' },
  ])
  expect(await statesOf()).toEqual({ closed: 10, 'left-out': 2 })
  await using imap = await RawImap.connect(stage.wherry.imapPort)
  await imap.login(user, 'secret')
  await imap.command('SELECT INBOX')
  const found = (await imap.command('SEARCH FROM late@sender.example')).flatMap(
    ({ text }) => /SEARCH(.*)$/.exec(text)?.[1]?.trim().split(' ') ?? [],
  )
  expect(found.length).toBe(1)
  const records = join(stage.wherry.userDirectory, '.gateway/migrations')
  // Begun with a dot: what the kill left of a change, which is removed after an hour.
  await vi.waitFor(async () => {
    for (const name of await readdir(records)) {
      if (name.startsWith('.')) continue
      const record = JSON.parse(await readFile(join(records, name), 'utf8'))
      const { secret, certificateDue } = record
      expect({ ...record, secret, certificateDue }, record.state).toMatchObject({
        secret: undefined,
        certificateDue: undefined,
      })
    }
  }, 10_000)
  expect((await stage.wave('delta', 'first')).err).toContain('is closed')
  // One of the cutover, however often it was looked for stragglers.
  await vi.waitFor(async () => expect(await certificatesOf(userId)).toHaveLength(before + 1), 10_000)
}, 30_000)
