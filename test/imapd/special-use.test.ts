/** What mailboxes are used for, in LIST. RFC 6154 */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { putUses, usesOf } from '#src/store/special-use.ts'
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
  // What backends say counts where the user says nothing; what was said of a mailbox that is gone stands in nobody's way.
  expect((await peer.command('a', 'CREATE Out (USE (\\Sent))'))[0]).toMatch(/^a NO \[USEATTR\] /)
  expect((await peer.command('a', 'CREATE Bin (USE (\\Trash))'))[0]).toMatch(/^a OK /)
  await using again = openStore({ root: join(imapd.root, 'user'), clock: systemClock, log: silentLog })
  const now = again.account(user as UserId)
  const bin = async () => Array.from(await usesOf(now)).filter(([, uses]) => uses.includes('\\Trash'))
  await now.remove('Bin')
  expect(await bin()).toEqual([['Gone', ['\\Trash']]])
  await now.create('Bin')
  expect(await bin()).toEqual([['Gone', ['\\Trash']]])
  const [removed] = await now.removed()
  const name = await now.restore(removed!.id)
  expect(name).not.toBe('Bin')
  expect(await bin()).toEqual([[name, ['\\Trash']]])
  await now.rename(name, 'deep/down/Bin')
  await now.rename('deep/down', 'up')
  expect(await bin()).toEqual([['up/Bin', ['\\Trash']]])
})
