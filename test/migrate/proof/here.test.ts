/** Why a message is not here: every exception of docs/certificate.md that the store can tell. */
import { expect, it } from 'vitest'
import { missingStub, showStubs } from '#gateway/sync/stub.ts'
import { entryOf } from '#migrate/proof/entry.ts'
import { Here } from '#migrate/proof/here.ts'
import type { MailboxThere } from '#migrate/proof/there.ts'
import type { MailboxId, Uid } from '#src/base/ids.ts'
import { quick } from '../../gateway/backend/maildrop.ts'
import { testStore, userId } from '../../gateway/sync/support.ts'
import { announce } from '../../store/actions.ts'

const url = 'imap://anna@old/'
const origin = (uid: number) => `${url}7/${uid}`
const seen = ['\\Seen']

/** Messages 1 to `count`, of 100 octets each unless told. */
const listing = (idHere: MailboxId | undefined, count: number, more: Partial<MailboxThere> = {}): MailboxThere => ({
  path: 'INBOX',
  subscribed: true,
  uidValidity: 7,
  uidNext: count + 1,
  listed: count,
  messages: {
    length: count,
    originAt: (position) => origin(position + 1),
    uidAt: (position) => position + 1,
    uidlAt: () => undefined,
    sizeAt: (position) => (position === 7 ? quick.messageOctets + 1 : 5),
    dateAt: () => 1_700_000_000,
    flagsAt: () => seen,
  },
  idHere,
  isPending: (position) => position === 4,
  sinceLastPass: count,
  bodies: () => Promise.reject(new Error('not asked for')),
  ...more,
})

it('each message that an old server lists is here, or is not for a reason; one that its user moved is here', async () => {
  await using test = await testStore()
  const account = test.store.account(userId)
  await account.ensure()
  await account.create('Kept')
  const inbox = await account.open('INBOX')
  const kept = await account.open('Kept')
  const deliver = async (uids: readonly number[]) => {
    await using delivery = inbox.deliver()
    for (const uid of uids) {
      const sink = delivery.add({ internalDate: 1_700_000_000, flags: seen, origin: origin(uid), uid: uid as Uid })
      await sink.write(Buffer.from('x\r\n\r\n'))
      await sink.end()
    }
    await delivery.commit()
  }
  await deliver([1, 2, 3])
  await inbox.expunge([2 as Uid], 'client')
  await inbox.moveTo([3 as Uid], kept)
  await showStubs(inbox, [missingStub(origin(4), undefined, 'is broken')], 1_700_000_000)
  await account.put({ [`injected ${inbox.id} ${origin(6)}`]: { refusedAt: 1 } })
  await account.put({ [`injected ${inbox.id} ${origin(7)}`]: { submittedAt: 1 } })
  await announce(inbox, [{ internalDate: 1_700_000_000, origin: origin(9), sizeOctets: 5 }])
  const told = inbox.byOrigin(origin(9))!.uid
  await deliver([10])
  await inbox.expunge([inbox.byOrigin(origin(10))!.uid], 'backend')
  await inbox.close()
  await kept.close()

  await using here = await Here.open(account, quick)
  // The one in INBOX and the one that was moved.
  expect(here.messages).toBe(2)
  const inboxId = here.mailboxes.find(({ name }) => name === 'INBOX')!.id
  const there = listing(inboxId, 11)
  const standing = await here.standings(there, url, false)
  const entries = Array.from({ length: 11 }, (_, position) => entryOf(there, position, standing(position)))
  expect(entries.map(({ exception, mailbox, uid, differs }) => exception ?? [mailbox, uid, differs])).toEqual([
    ['INBOX', 1, undefined],
    'deleted-here',
    ['Kept', 1, ['uid']],
    'stub',
    'not-given',
    'refused',
    'left-to-submission',
    'oversized',
    'not-given',
    'gone-here',
    'not-pulled',
  ])
  expect(entries[8]!.detail).toContain(`UID ${told} `)
  const unknown = await here.standings(listing(undefined, 1), url, false)
  expect(unknown(0)).toEqual({ exception: 'mailbox-not-pulled' })
  // In modified UTF-7 an old server can spell what UTF-8 can not.
  const odd = listing(inboxId, 1, { path: '\ud800x' })
  expect(entryOf(odd, 0, (await here.standings(odd, url, false))(0)).from).toBe('\ufffdx')
})
