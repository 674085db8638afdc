/** What mailboxes are used for, in LIST. RFC 6154 */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { putUses } from '#src/store/special-use.ts'
import { openStore } from '#src/store/store.ts'
import { startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'

it('LIST tells the use of each mailbox, and those that have one; a use is one mailbox alone', async () => {
  await using imapd = await startImapd([user])
  const peer = await Peer.open(imapd)
  await peer.line()
  await peer.command('l', `LOGIN ${user} secret`)
  for (const name of ['Gesendet', 'Work/Sent', 'Work/Junk', 'Other']) await peer.command('c', `CREATE ${name}`)
  const store = openStore({
    root: join(imapd.root, 'user'),
    clock: systemClock,
    log: silentLog,
    onCommit: () => {},
  })
  const account = store.account(user as UserId)
  await putUses(account, 'imap://work/', { 'Work/Sent': '\\Sent', 'Work/Junk': '\\Junk', Gone: '\\Trash' })
  await putUses(account, 'imap://main/', { Gesendet: '\\Sent' })
  await store.close()
  const some = [
    '* LIST (\\HasNoChildren \\Sent) "/" Gesendet',
    '* LIST (\\HasNoChildren \\Junk) "/" Work/Junk',
    'a OK LIST completed',
  ]
  expect((await peer.command('a', 'LIST (SPECIAL-USE) "" *')).sort()).toEqual(some.toSorted())
  const all = [
    '* LIST (\\HasNoChildren) "/" INBOX',
    '* LIST (\\HasNoChildren) "/" Other',
    '* LIST (\\Noselect \\HasChildren) "/" Work',
    '* LIST (\\HasNoChildren) "/" Work/Sent',
    ...some,
  ].sort()
  expect((await peer.command('a', 'LIST "" *')).sort()).toEqual(all)
  const extended = all.map((line) => line.replace('\\Noselect', '\\NonExistent')).sort()
  for (const form of ['LIST "" "*" RETURN (SPECIAL-USE)', 'list "" * return (children special-use)'])
    expect((await peer.command('a', form)).sort(), form).toEqual(extended)
  expect(await peer.command('a', 'LIST (SPECIAL-USE RECURSIVEMATCH) "" %')).toEqual([
    '* LIST (\\HasNoChildren \\Sent) "/" Gesendet',
    '* LIST (\\NonExistent \\HasChildren) "/" Work ("CHILDINFO" ("SPECIAL-USE"))',
    'a OK LIST completed',
  ])
  expect((await peer.command('a', 'LIST "" * (SPECIAL-USE)'))[0]).toMatch(/^a BAD /)
})
