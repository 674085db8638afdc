/** ms_syncd, with what migrations add to the gateway. */
import { msSyncd } from '#gateway/ms_syncd/daemon.ts'
import { runDaemon } from '#src/server/daemon.ts'
import { beside } from '../beside/extension.ts'
import { proof } from '../proof/extension.ts'
import { withMigrations } from '../records/extension.ts'
import { rollback } from '../rollback/extension.ts'
import { waves } from '../waves/extension.ts'

if (import.meta.main) await runDaemon(msSyncd(...withMigrations(beside, proof, waves, rollback)))
