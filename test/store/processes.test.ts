import { expect, it } from 'vitest'
import { campaign } from './campaign/campaign.ts'
import { deliverAll, freshInbox, storeIn, uids, user } from './support.ts'

it('several processes on one directory, killed at random, lose and repeat nothing', async () => {
  const report = await campaign(12, 3)
  expect(report.faults).toEqual([])
  expect(report.delivered).toBeGreaterThan(20)
})

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
