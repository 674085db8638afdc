/** A process of its own that commits to one INBOX as often as it can, from a first line on its input to the end of it; a line for each commit. */

import { once } from 'node:events'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'

const [root, userId, flag] = process.argv.slice(2) as [string, string, string]
await using store = openStore({ root, clock: systemClock, log: silentLog })
const inbox = await store.account(userId as UserId).open('INBOX')
process.stdout.write('ready\n')
await once(process.stdin, 'data')
let working = true
process.stdin.once('end', () => {
  working = false
})
for (let count = 0; working; count += 1) {
  await inbox.changeFlags({ uids: [1 as Uid], mode: count % 2 === 0 ? 'add' : 'remove', flags: [flag] })
  process.stdout.write('committed\n')
}
