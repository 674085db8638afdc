/** The short form of `npm run prove:imapd`: sessions of two processes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check } from './checker.ts'
import { type RunningImapd, startImapd } from './support.ts'

const seeds = [1, 2, 3]
const user = (seed: number) => `user${seed}@example.org`

let first: RunningImapd
let second: RunningImapd
beforeAll(async () => {
  first = await startImapd(seeds.map(user))
  second = await first.twin()
})
afterAll(async () => {
  await second.stop()
  await first.stop()
})

describe('four sessions on one mailbox', () => {
  for (const seed of seeds)
    it(`IMAP-16, IX-05: agree, seed ${seed} (commands at the same time)`, async () => {
      const servers = [first.as(user(seed)), first.as(user(seed)), second.as(user(seed))]
      const counts = await check({ servers, sessions: 4, messages: 20, commands: 240, roundsPerCheck: 12, seed })
      expect(counts.checkpoints).toBeGreaterThan(2)
      expect(counts.recent).toBeGreaterThan(20)
      expect([...first.records, ...second.records].filter(({ severity }) => severity === 'err')).toEqual([])
    })
})
