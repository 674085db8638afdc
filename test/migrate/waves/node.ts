/** One ms_syncd of a store, as far as waves go, as a process of its own: `node node.ts DIRECTORY PORT`; calls what it is told to, `[method, …arguments]`. */
import { join } from 'node:path'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { placeOfProcess, Shares } from '#gateway/ms_syncd/shares.ts'
import { Migrations } from '#migrate/records/migrations.ts'
import { MemberWork } from '#migrate/waves/member-work.ts'
import { NotesDirectory } from '#migrate/waves/notes.ts'
import { WaveFiles } from '#migrate/waves/wave-files.ts'
import { Waves } from '#migrate/waves/waves.ts'
import { openAccountSource } from '#src/auth/account-source.ts'
import { systemClock as clock } from '#src/base/clock.ts'
import { silentLog as log } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { noEvents } from '#src/events/none.ts'
import { openStore } from '#src/store/store.ts'

const [directory, port] = process.argv.slice(2) as [string, string]
const shared = (name: string) => join(directory, name)
const config = configOf({
  gateway_mode: false,
  auto_migrate: true,
  suppress_client_tls: true,
  ms_syncd_host: '127.0.0.1',
  ms_syncd_port: Number(port),
  account_db: shared('accounts'),
  migration_key_file: shared('key'),
})
const accounts = openAccountSource({ config, log, clock })
const profiles = new BackendProfiles()
profiles.of('127.0.0.1', Number(port)).learned.nonsenseRefusedAt = Math.floor(clock.now() / 1_000)
const place = await placeOfProcess()
const gateway = new Gateway({
  config,
  users: makeUserDatabase(undefined, []),
  store: openStore({ root: shared('store'), clock, log }),
  events: noEvents,
  access: { profiles },
  clock,
  log,
  accounts,
  joinShares: (parts) => Shares.join({ directory: shared('shares'), clock, log, beatMs: 50, place, ...parts }),
})
const migrations = await Migrations.open({ runtime: { config, log, clock }, gateway, shared })
const waves = new Waves({
  gateway,
  migrations,
  records: migrations.records,
  clock,
  files: new WaveFiles(shared('waves')),
  notes: new NotesDirectory(shared('wave-notes')),
  work: new MemberWork({ gateway, accounts, migrations, config: () => config }),
  lookMs: 50,
})
await gateway.start()
await waves.start()
process.send?.('ready')
process.on('message', ([method, ...args]: ['add' | 'begin' | 'limits' | 'status' | 'list', ...unknown[]]) => {
  const call = waves[method] as (...args: readonly unknown[]) => Promise<unknown>
  call.apply(waves, args).then(
    (answer) => process.send?.({ answer }),
    (error: Error) => process.send?.({ refusal: error.message }),
  )
})
