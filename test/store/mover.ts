/** A process that moves an account back and forth until it is killed. Arguments: user id, milliseconds after which it counts as dead, two roots. */

import { writeSync } from 'node:fs'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'

const [userId, silence, root, partition] = process.argv.slice(2) as [UserId, string, string, string]
const options = { root, partitions: [partition], clock: systemClock, log: silentLog, moverSilenceMs: Number(silence) }
const store = openStore(options)
for (;;) {
  try {
    const { root: from } = await store.account(userId).locate()
    // Synchronous: the one who kills wants to know that the work began.
    const result = await store.move(userId, from === root ? partition : root, {
      onProgress: ({ phase }) => void writeSync(1, `${phase}\n`),
    })
    writeSync(1, `moved after ${result.frozenMs} ms\n`)
  } catch (error) {
    // What a mover that was killed left behind has to be waited for.
    if (!(error instanceof StoreError && ['in-use', 'unavailable'].includes(error.kind))) throw error
    writeSync(1, `${error.kind}\n`)
    await systemClock.sleep(50)
  }
}
