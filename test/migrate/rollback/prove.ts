/**
 * `npm run prove:rollback -- [changes] [kills]`: a user of Dovecot is moved here, changes 1,000 things, and goes back; ms_syncd is killed meanwhile, so often. A reader of
 * its own compares both sides. Exits with 1 when anything differs.
 */
import { isDeepStrictEqual } from 'node:util'
import { readImap } from '../campaign/read-imap.ts'
import { makeChanges } from './changes.ts'
import { rollbackThroughKills } from './kills.ts'
import { contentOf, startScene } from './scene.ts'

const [changes = 1_000, kills = 5] = process.argv.slice(2).map(Number)
const seconds = (since: number) => ((performance.now() - since) / 1_000).toFixed(1)

await using scene = await startScene(['joe'], [], 600)
const { wherry, dovecot } = scene
let since = performance.now()
const { counts } = await makeChanges(wherry, 'joe', { count: changes - 10, deliveries: 10, seed: 1 })
console.log(`changes here in ${seconds(since)} s: ${JSON.stringify(counts)}`)
const here = contentOf(await readImap(wherry.imapPort, 'joe', 'secret'))
since = performance.now()
const killed = await rollbackThroughKills(scene, 'joe', kills, 25)
console.log(`ms_syncd was killed ${killed.kills} times; given back in ${seconds(since)} s`)
const { before, after, carried, left } = killed.done
console.log(
  JSON.stringify(
    { before: before?.differing, after: after?.differing, sides: [after?.here, after?.there], carried, left },
    undefined,
    1,
  ),
)
const there = contentOf(await readImap(dovecot.imapPort, 'joe', 'secret'))
const isEqual = isDeepStrictEqual(there, here)
const messages = Object.values(here.mailboxes).reduce((sum, mailbox) => sum + mailbox.length, 0)
console.log(
  `${messages} messages in ${Object.keys(here.mailboxes).length} mailboxes: ${isEqual ? 'equal on both sides' : 'DIFFERENT'}`,
)
if (!isEqual)
  console.log(
    wherry
      .log()
      .split('\n')
      .filter((line) => line.includes('rollback') || line.includes('warning'))
      .join('\n'),
  )
for (const name of new Set([...Object.keys(here.mailboxes), ...Object.keys(there.mailboxes)])) {
  const [one, other] = [new Set(here.mailboxes[name]), new Set(there.mailboxes[name])]
  for (const line of one.difference(other)) console.log(`${name}: only here: ${line}`)
  for (const line of other.difference(one)) console.log(`${name}: only there: ${line}`)
}
if (!isEqual || killed.done.state !== 'rolled-back') process.exitCode = 1
