import { expect, it } from 'vitest'
import { campaign } from './campaign/campaign.ts'
import { copies } from './campaign/copies.ts'
import { nthCall } from './campaign/nth-call.ts'
import { deliverAll, freshInbox, storeIn, uids, user } from './support.ts'

/** They take seconds, unless the machine has other things to do. */
const timeoutMs = 240_000

it(
  'several processes on one directory, killed at random, lose and repeat nothing (MDIR-01)',
  async () => {
    const report = await campaign(24, 4)
    expect(report.faults).toEqual([])
    expect(report.kills).toBe(24)
    expect(report.delivered).toBeGreaterThan(20)
  },
  timeoutMs,
)

it(
  'nor do they where links and renames are made and said to have failed',
  async () => {
    const report = await campaign(10, 3, { lies: 0.2 })
    expect(report.faults).toEqual([])
    expect(report.delivered).toBeGreaterThan(10)
  },
  timeoutMs,
)

it(
  'a process killed at any call of a delivery and of a cut of the log leaves the delivery whole or absent',
  async () => {
    const report = await nthCall(7)
    expect(report.faults).toEqual([])
    for (const kills of Object.values(report.kills)) expect(kills).toBeGreaterThan(0)
  },
  timeoutMs,
)

it(
  'a copy made by cp, rsync or tar under load has all that was acknowledged before, each listed message with its file, and needs no repair',
  async () => {
    const report = await copies(6)
    expect(report.faults).toEqual([])
    expect(report.copies).toEqual({ cp: 2, rsync: 2, tar: 2 })
    expect(report.messages).toBeGreaterThan(6 * 600)
    expect(report.listed).toBeGreaterThanOrEqual(report.messages)
  },
  timeoutMs,
)

it('no reader ever misses a message that is there: 5,000 messages, two writers (invariant 7)', async () => {
  const { inbox, root } = await freshInbox()
  for (let at = 0; at < 10; at += 1)
    await deliverAll(
      inbox,
      Array.from({ length: 500 }, () => ({ text: 'x' })),
    )
  let writing = 2
  const write = async (first: number) => {
    await using store = storeIn(root)
    const mailbox = await store.account(user).open('INBOX')
    for (let round = 0; round < 60; round += 1) {
      const changed = uids(...Array.from({ length: 50 }, (_, index) => first + ((round * 50 + index) % 2400)))
      await mailbox.changeFlags({
        uids: changed,
        mode: round % 2 === 0 ? 'add' : 'remove',
        flags: ['\\Seen', `k${round % 7}`],
      })
    }
    writing -= 1
  }
  const writers = Promise.all([write(1), write(2501)])
  let scans = 0
  while (writing > 0) {
    // A fresh process every time: it takes snapshot and tail from the disk.
    await using store = storeIn(root)
    const mailbox = await store.account(user).open('INBOX')
    expect(mailbox.messages.length).toBe(5000)
    expect(mailbox.uidNext).toBe(5001)
    scans += 1
  }
  await writers
  await inbox.refresh()
  expect(inbox.messages.length).toBe(5000)
  expect(scans).toBeGreaterThan(3)
})
