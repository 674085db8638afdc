/** The short form of `npm run prove:migration`, which has 50 accounts on each of three servers. MIG-02 to MIG-05, MIG-07, MIG-12, MIG-14 */
import { expect, it } from 'vitest'
import { campaign } from './campaign.ts'

it('accounts with odd names, moved by a first login are the same here, and cached clients fetch nothing', async () => {
  const { byProtocol } = await campaign('dovecot', {
    accounts: 3,
    first: 4,
    seed: 1,
    scale: { huge: 50, usual: 20 },
    protocols: ['imap'],
    atOnce: 3,
  })
  const moved = byProtocol.imap!
  expect(moved.differences).toEqual([])
  expect(moved).toMatchObject({ accounts: 3, fetched: 0 })
  expect(moved.mailboxes).toBeGreaterThan(40)
  expect(moved.messages).toBeGreaterThan(100)
  expect(moved.cached).toBeGreaterThan(60)
}, 120_000)
