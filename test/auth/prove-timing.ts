/**
 * Whether the time of a refusal tells who exists: the best threshold that a classifier could choose between an unknown user and a wrong password, as the area under its curve.
 * 0.5 is chance; more than 0.55 fails. In this process, nearer than any network lets somebody come: `npm run prove:timing -- --samples 1000`. The short form, without a
 * clock, is H16 in authenticator.test.ts.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { programArgs } from '#test/support/program-args.ts'

const { values } = programArgs({ options: { samples: { type: 'string', default: '1000' } } })
const samples = Number(values.samples)
const most = 0.55

const silent: Log = { log: () => {}, child: () => silent }
const directory = await mkdtemp(join(tmpdir(), 'timing-'))
const users = Array.from({ length: 50 }, (_, index) => `user${index}@a.example` as UserId)
const verifiers = makeVerifiers(Buffer.from('the right one'))
for (const userId of users)
  await openAccounts(directory).add({ userId, state: 'enabled', verifiers, services: {}, properties: [] })
const auth = createAuthenticator({
  config: configOf({ account_db: directory, failed_logins_per_minute: 0 }),
  log: silent,
  clock: systemClock,
})
const place = {
  service: 'imap',
  localAddress: '127.0.0.1',
  remoteAddress: '192.0.2.1',
  signal: new AbortController().signal,
} as const

const timed = async (attempt: () => Promise<unknown>): Promise<number> => {
  const since = process.hrtime.bigint()
  await attempt().catch(() => undefined)
  return Number(process.hrtime.bigint() - since) / 1e6
}
const ways: Readonly<Record<string, (user: string) => Promise<number>>> = {
  LOGIN: (user) => timed(() => auth.login({ ...place, user, password: Buffer.from('a wrong one') })),
  // Until the server's first message, which has salt and iterations.
  'SCRAM-SHA-256': (user) =>
    timed(() =>
      auth.authenticate({
        ...place,
        mechanism: 'SCRAM-SHA-256',
        initial: Buffer.from(`n,,n=${user},r=abcdefgh`),
        channel: undefined,
        ask: () => Promise.reject(new Error('enough')),
      }),
    ),
}

/** Mann and Whitney's statistic, in either direction. */
const areaUnderCurve = (ones: readonly number[], others: readonly number[]): number => {
  const ranked = [...ones.map((ms) => ({ ms, one: true })), ...others.map((ms) => ({ ms, one: false }))].sort(
    (a, b) => a.ms - b.ms,
  )
  const ranks = ranked.reduce((sum, { one }, index) => sum + (one ? index + 1 : 0), 0)
  const area = (ranks - (ones.length * (ones.length + 1)) / 2) / (ones.length * others.length)
  return Math.max(area, 1 - area)
}
const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!.toFixed(2)

let failed = false
for (const [name, attempt] of Object.entries(ways)) {
  for (let warm = 0; warm < 20; warm++) await attempt(users[warm]!)
  const [known, unknown]: [number[], number[]] = [[], []]
  for (let sample = 0; sample < samples; sample++) {
    const first = Math.random() < 0.5
    for (const exists of [first, !first]) {
      const index = Math.floor(Math.random() * users.length)
      ;(exists ? known : unknown).push(await attempt(exists ? users[index]! : `nobody${index}@a.example`))
    }
  }
  const area = areaUnderCurve(known, unknown)
  failed ||= area > most
  process.stdout.write(
    `${name}: AUC ${area.toFixed(3)} of ${samples} each (at most ${most}); median ${median(known)} ms wrong password, ${median(unknown)} ms unknown user\n`,
  )
}
await auth.close()
await rm(directory, { recursive: true })
process.exitCode = failed ? 1 : 0
