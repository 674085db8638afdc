/** Rounds through an account whose mailboxes, or whose own files, can not be looked at for a while. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import type { MessageNews, TreeNews } from '#src/imapd/mail-news.ts'
import { MailRounds } from '#src/imapd/mail-rounds.ts'
import type { Account } from '#src/store/types.ts'
import { logTo } from './support.ts'

const noAnswer = () => Promise.reject(new StoreError('unavailable', 'no answer'))

/** An account of which only what rounds ask for is there. */
function rounds() {
  const account = {
    userId: 'bob@example.org',
    list: async () => ['INBOX', 'work'].map((name) => ({ name, selectable: true, hasChildren: false })),
    subscriptions: async (): Promise<readonly string[]> => ['INBOX'],
    status: async (name: string) => ({ mailboxId: name, highestModSeq: 5 }),
  }
  const told: (TreeNews | MessageNews)[] = []
  const over = vi.fn()
  vi.useFakeTimers({ toFake: ['setInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const begun = new MailRounds(account as unknown as Account, { connected: false }, logTo([]), {
    onMessages: (news) => told.push(news),
    onTree: (news) => told.push(news),
    onRound: over,
  })
  onTestFinished(() => begun[Symbol.dispose]())
  return { account, told, over, begun }
}

async function another(over: { readonly mock: { readonly calls: readonly unknown[] } }): Promise<void> {
  const before = over.mock.calls.length
  await vi.waitFor(() => {
    vi.advanceTimersByTime(9000)
    expect(over.mock.calls.length).toBeGreaterThan(before)
  })
}

test('a first round that failed makes nothing news', async () => {
  const { account, told, over, begun } = rounds()
  const subscriptions = account.subscriptions
  account.subscriptions = noAnswer
  await begun.looked
  expect(over).not.toHaveBeenCalled()
  account.subscriptions = subscriptions
  await another(over)
  expect(told).toEqual([])
  account.subscriptions = async () => ['INBOX', 'work']
  await another(over)
  expect(told).toEqual([{ change: 'subscribed', mailbox: 'work' }])
})

test('a mailbox that can not be looked at is not told of anew by each round', async () => {
  const { account, told, over, begun } = rounds()
  await begun.looked
  account.list = async () => ['INBOX', 'bad', 'work'].map((name) => ({ name, selectable: true, hasChildren: false }))
  const { status } = account
  account.status = (name) => (name === 'bad' ? noAnswer() : status(name))
  await another(over)
  await another(over)
  expect(told).toEqual([{ change: 'created', mailbox: 'bad' }])
})
