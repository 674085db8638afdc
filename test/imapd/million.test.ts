/** A session in a mailbox of a million messages. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { plantMessages } from '#test/store/planted.ts'
import { watchTurns } from '../support/turns.ts'
import { CountingClient } from './counting-client.ts'
import { startImapd } from './support.ts'

const user = 'anna@example.org'
const count = 1_000_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is held, without what is only waiting to be collected. */
function heldMb(): number {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1_048_576
}

it('is served without a stall, and with little memory', { timeout: 120_000 }, async () => {
  await using imapd = await startImapd([user])
  await using client = await CountingClient.start(imapd.host, imapd.port)
  await client.command(`LOGIN ${user} secret`)
  await plantMessages(`${imapd.root}/user/${encodeURIComponent(user).replace('%40', '@')}/INBOX`, count)
  const before = heldMb()
  const stalls: [text: string, ms: number][] = []
  const ask = async (text: string, lines: number | undefined, tail = '') => {
    const turns = watchTurns()
    const answer = await client.command(text)
    stalls.push([text, turns.end()])
    expect(answer.tail, text).toMatch(/^t OK /m)
    if (lines !== undefined) expect(answer.lines, text).toBe(lines)
    expect(answer.tail, text).toContain(tail)
  }
  await ask('SELECT INBOX', undefined, `UIDNEXT ${count + 1}`)
  await ask('FETCH 1:* (UID FLAGS)', count, `* ${count} FETCH (UID ${count} FLAGS (\\Recent))`)
  await ask('STORE 1:* +FLAGS.SILENT (\\Seen)', 0)
  await ask('SEARCH UNSEEN', 1, '* SEARCH\r\n')
  await ask('UID SEARCH LARGER 1000000', 1, ` ${count}\r\n`)
  await ask('STORE 2,4,6:8 +FLAGS (\\Deleted)', 5)
  await ask('EXPUNGE', 6, `* 2 EXPUNGE\r\n* ${count - 5} RECENT`)
  await ask(`STORE 1:${count / 2} +FLAGS.SILENT (\\Deleted)`, 0)
  await ask('EXPUNGE', count / 2 + 1, `* 1 EXPUNGE\r\n* ${count / 2 - 5} RECENT`)
  await ask('FETCH 1 (UID)', 1, `* 1 FETCH (UID ${count / 2 + 6})`)
  // What changed since: the cost is that of the changes. RFC 7162 §3.2.5
  await ask('ENABLE QRESYNC', 2)
  const { tail } = await client.command('STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)')
  const [, uidValidity, modSeq] = /UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)/.exec(tail)!
  await ask('STORE 7 +FLAGS (\\Flagged)', 1)
  const resync = (since: string) => ask(`SELECT INBOX (QRESYNC (${uidValidity} ${since}))`, undefined, 'READ-WRITE')
  await resync(modSeq!)
  await ask(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${modSeq} VANISHED)`, 1, '* 7 FETCH (UID')
  await ask(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${Number(modSeq) - 1} VANISHED)`, 2, '* 7 FETCH (UID')
  for (const [text, ms] of stalls) expect(ms, text).toBeLessThan(100)
  expect(heldMb() - before).toBeLessThan(100)
})
