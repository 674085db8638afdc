/** What two processes are told when both change the same message, or claim the same ones, with every schedule. The rest is proven in `proof/`. */

import { expect, it } from 'vitest'
import type { Mailbox } from '#src/store/types.ts'
import { everySchedule } from './proof/every-schedule.ts'
import { Ledger } from './proof/ledger.ts'
import { interleave, type Work } from './proof/schedule.ts'
import { namesOn, preparedDisk } from './proof/steps.ts'
import { inOneTurn } from './proof/turns.ts'
import { storeIn, uids, user } from './support.ts'

const inInbox =
  (work: (inbox: Mailbox) => Promise<void>): Work =>
  async ({ account, ready, finished }) => {
    const inbox = await account.open('INBOX')
    await ready()
    await work(inbox)
    await finished()
  }

/** Runs the two with every schedule, and `check` after each; INBOX holds UIDs 1 and 2, UID 3 was expunged. Answers the number of schedules. */
async function withEverySchedule(works: () => [Work, Work], check: (inbox: Mailbox) => void): Promise<number> {
  return await inOneTurn(async () => {
    const disk = await preparedDisk()
    const { histories, complete } = await everySchedule(2, namesOn(disk), 20_000, async (choose) => {
      const copy = disk.clone()
      if (!(await interleave({ disk: copy, works: works(), ledger: new Ledger() }, choose))) return 'repeats'
      await using store = storeIn('/s', { fs: copy.fs() })
      check(await store.account(user).open('INBOX'))
      return 'ended'
    })
    expect(complete).toBe(true)
    return histories
  })
}

it('conditional flag changes: only one can have seen the message unchanged', async () => {
  let left: string[] = []
  const conditional = (flag: string) =>
    inInbox(async (inbox) => {
      const unchangedSince = inbox.messages.at(0)!.modSeq
      const { modified } = await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: [flag], unchangedSince })
      if (modified.length === 0) left.push(flag)
    })
  const schedules = await withEverySchedule(
    () => {
      left = []
      return [conditional('mine'), conditional('yours')]
    },
    ({ messages }) => {
      expect(left.length).toBe(1)
      expect([...messages.at(0)!.flags]).toEqual(left)
    },
  )
  expect(schedules).toBeGreaterThan(1)
})

it('a conditional change leaves out exactly what another one changed first', async () => {
  let modified: readonly number[] = []
  const conditional = inInbox(async (inbox) => {
    const unchangedSince = inbox.highestModSeq
    modified = (await inbox.changeFlags({ uids: uids(1, 2), mode: 'set', flags: ['mine'], unchangedSince })).modified
  })
  const other = inInbox(
    async (inbox) => void (await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['yours'] })),
  )
  const seen = new Set<number>()
  await withEverySchedule(
    () => [conditional, other],
    ({ messages }) => {
      const flags = Array.from(messages, (message) => [...message.flags].sort())
      const wanted = [
        [['mine', 'yours'], ['mine']],
        [['yours'], ['mine']],
      ]
      expect(wanted[modified.length]).toEqual(flags)
      seen.add(modified.length)
    },
  )
  expect([...seen].sort()).toEqual([0, 1])
})

it('\\Recent goes to exactly one', async () => {
  let claims: string[] = []
  const claim = inInbox(async (inbox) => {
    const { after, upTo } = await inbox.claimRecent()
    if (upTo > after) claims.push(`${after}-${upTo}`)
  })
  const schedules = await withEverySchedule(
    () => {
      claims = []
      return [claim, claim]
    },
    () => expect(claims).toEqual(['0-3']),
  )
  expect(schedules).toBeGreaterThan(1)
})
