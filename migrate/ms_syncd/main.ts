/** ms_syncd, with what migrations add to the gateway. */
import { setFlagsFromString } from 'node:v8'
import { msSyncd } from '#gateway/ms_syncd/daemon.ts'
import { runDaemon } from '#src/server/daemon.ts'
import { beside } from '../beside/extension.ts'
import { proof } from '../proof/extension.ts'
import { withMigrations } from '../records/extension.ts'
import { rollback } from '../rollback/extension.ts'
import { waves } from '../waves/extension.ts'

/**
 * What a pull leaves behind is collected when the heap has grown by so much, instead of when it has doubled and more: a pull of 100,000 messages takes 185 MiB at most
 * where it took 265, for hardly more CPU (`bench/migrate.ts --memory`).
 */
const heapGrowthPercent = 30

if (import.meta.main) {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`)
  await runDaemon(msSyncd(...withMigrations(beside, proof, waves, rollback)))
}
