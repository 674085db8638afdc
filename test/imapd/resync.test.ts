/** VANISHED (EARLIER) of a mailbox that very many messages left, RFC 7162 §3.2.5, §3.2.6: others get their turn meanwhile. */
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import { writeVanishedEarlier } from '#src/imapd/resync.ts'
import type { View } from '#src/imapd/view.ts'
import type { Output } from '#src/server/output.ts'

const most = 2_000_000

it.each([
  ['all of them', { first: 1, last: 2 * most }],
  ['the first alone', { first: 1, last: 2 }],
])('lets others run while it tells %s', async (_, range) => {
  let othersRan = false
  let ranges = 0
  const goneSince = function* () {
    for (; !othersRan && ranges < most; ranges += 1) {
      const uid = (2 * ranges + 1) as Uid
      yield { first: uid, last: uid }
    }
  }
  let told = ''
  const output = { write: (octets: string) => (told += octets), flow: async () => {} } as unknown as Output
  const view = { goneSince, mailbox: { uidNext: 2 * most + 1 }, saved: [] } as unknown as View
  const written = writeVanishedEarlier(view, 1 as ModSeq, [range], output)
  await setImmediate()
  othersRan = true
  await written
  expect(ranges).toBeLessThan(most)
  const lines = told.trimEnd().split('\r\n')
  expect(lines.every((line) => line.startsWith('* VANISHED (EARLIER) '))).toBe(true)
  expect(lines.flatMap((line) => line.slice(21).split(','))).toHaveLength(range.last === 2 ? 1 : ranges)
})
