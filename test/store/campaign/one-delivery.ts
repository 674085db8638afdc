/**
 * Delivers two messages, a small and a large one, in one batch, which makes the log long enough to be cut, and ends when it is. Argument: store
 * directory. Says `ready`, waits for a line, says `delivered` when that is acknowledged.
 */

import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'

/** Entries after which the log is cut; as many are there before the delivery. */
export const epochEntries = 4

if (import.meta.main) {
  const [root] = process.argv.slice(2) as [string]
  const store = openStore({ root, clock: systemClock, log: silentLog, epochEntries })
  const account = store.account('lena@example.com' as UserId)
  const inbox = await account.open('INBOX')
  const epochs = () => readdir(`${account.path}/INBOX/log`)
  const before = new Set(await epochs())
  writeSync(1, 'ready\n')
  await once(process.stdin, 'data')
  const delivery = inbox.deliver()
  for (const octets of [2000, 400_000]) {
    const sink = delivery.add({ internalDate: 1_700_000_000 })
    await sink.write(Buffer.alloc(octets / 2, 'a'))
    await sink.write(Buffer.alloc(octets / 2, 'b'))
    await sink.end()
  }
  await delivery.commit()
  writeSync(1, 'delivered\n')
  while ((await epochs()).every((epoch) => before.has(epoch))) await systemClock.sleep(1)
  await store.close()
  process.exit(0)
}
