/**
 * One node of a store as a process of its own: `node node.ts DIRECTORY PORT USERS BEAT_MS SILENCE_MS`; says `polling` when it has begun, answers `sessions`
 * with the sessions of each user, and leaves at `stop`.
 */
import { join } from 'node:path'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { Shares } from '#gateway/ms_syncd/shares.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { noEvents } from '#src/events/none.ts'
import { openStore } from '#src/store/store.ts'

const [directory, port, users, beatMs, silenceMs] = process.argv.slice(2) as [string, string, string, string, string]
const gateway = new Gateway({
  config: configOf({
    gateway_mode: true,
    poll_without_client: true,
    suppress_client_tls: true,
    ms_syncd_host: '127.0.0.1',
    ms_syncd_port: Number(port),
    ms_sync_interval: 1,
  }),
  users: makeUserDatabase(
    undefined,
    Array.from({ length: Number(users) }, (_, index) => ({
      frontendId: `user${index}@example.org`,
      master: { line: index, password: 'pw' },
      extra: [],
    })),
  ),
  store: openStore({ root: join(directory, 'store'), clock: systemClock, log: silentLog }),
  events: noEvents,
  access: { profiles: new BackendProfiles() },
  clock: systemClock,
  log: silentLog,
  joinShares: (parts) =>
    Shares.join({
      directory: join(directory, 'shares'),
      clock: systemClock,
      log: silentLog,
      beatMs: Number(beatMs),
      silenceMs: Number(silenceMs),
      ...parts,
    }),
})
await gateway.start()
process.send?.('polling')
process.on('message', (word) => {
  if (word === 'stop') void gateway.stop().then(() => process.exit(0))
  else process.send?.(Object.fromEntries([...gateway.statuses()].map(({ user, sessions }) => [user, sessions])))
})
