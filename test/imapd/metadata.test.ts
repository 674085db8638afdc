/** Annotations of shared mailboxes, their limits, and who hears of changes. RFC 5464 §3.3, §4 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { MailboxId, UserId } from '#src/base/ids.ts'
import { metadataOf, putMetadata } from '#src/store/metadata.ts'
import { openStore } from '#src/store/store.ts'
import { logTo, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [alice, bob] = ['alice@example.org', 'bob@example.org'] as const
const sharedRoot = {
  shared_root: [
    { name: 'Team', path: 'team', email: undefined, access: [{ kind: 'user', name: alice, access: ['write'] }] },
  ],
} as const

/** Lines of answers without tag and text. */
async function enter(server: { host: string; port: number }, user: string) {
  const peer = await Peer.open(server)
  onTestFinished(() => peer.destroy())
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  const run = async (command: string) =>
    (await peer.command('x', command)).map((line) => line.replace(/^x (OK|NO|BAD)\b.*?( \[[^\]]*\])?.*/, '$1$2'))
  return Object.assign(run, { peer })
}

test('shared annotations are those of all who may see the mailbox, private ones of each; who may not see it learns nothing', async () => {
  const imapd = await startImapd([alice, bob], { ...sharedRoot, imap_server_admin: 'mailto:root@example.org' })
  onTestFinished(() => imapd.stop())
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  for (const name of ['Plans', 'Secret']) await owner(`CREATE ${name}`)
  await owner('SETMETADATA Plans (/shared/comment "ours" /private/comment "of bob")')
  await owner('SETMETADATA Secret (/shared/comment "hidden")')
  const plans = `"Other Users/${bob}/Plans"`
  const get = `GETMETADATA ${plans} (/shared/comment /private/comment)`
  expect(await user(get)).toEqual(['NO [NONEXISTENT]'])
  await owner(`SETACL Plans ${alice} l`)
  expect(await user(get)).toEqual(['NO [NOPERM]'])
  await owner(`SETACL Plans ${alice} lr`)
  expect(await user(get)).toEqual([`* METADATA ${plans} (/shared/comment "ours" /private/comment NIL)`, 'OK'])
  expect(await user(`SETMETADATA ${plans} (/shared/comment "x" /private/comment "y")`)).toEqual(['NO [NOPERM]'])
  expect(await user(`SETMETADATA ${plans} (/private/comment "of alice")`)).toEqual(['OK'])
  await owner(`SETACL Plans ${alice} lrw`)
  expect(await user(`SETMETADATA ${plans} (/shared/comment "changed")`)).toEqual(['OK'])
  expect(await user(`SETMETADATA ${plans} (/private/specialuse "\\\\Sent")`)).toEqual(['NO [USEATTR]'])
  // Both follow the mailbox.
  await owner('RENAME Plans Ideas')
  expect(await user(get.replace('Plans', 'Ideas'))).toEqual([
    `* METADATA "Other Users/${bob}/Ideas" (/shared/comment "changed" /private/comment "of alice")`,
    'OK',
  ])
  expect(await owner('GETMETADATA (DEPTH infinity) Ideas (/shared /private)')).toEqual([
    '* METADATA Ideas (/shared/comment "changed" /private/comment "of bob")',
    'OK',
  ])
  for (const command of ['GETMETADATA', 'SETMETADATA'])
    for (const name of ['Secret', 'Nothing']) {
      const rest = command === 'GETMETADATA' ? '/shared/comment' : '(/shared/comment "x")'
      expect(await user(`${command} "Other Users/${bob}/${name}" ${rest}`)).toEqual(['NO [NONEXISTENT]'])
    }
  expect(await user('SETMETADATA "Shared Folders/Team" (/shared/comment "team" /private/comment "own")')).toEqual([
    'OK',
  ])
  expect(await user('GETMETADATA "Shared Folders/Team" (/shared/comment /private/comment)')).toEqual([
    '* METADATA "Shared Folders/Team" (/shared/comment "team" /private/comment "own")',
    'OK',
  ])
  expect(await owner('GETMETADATA "Shared Folders/Team" /shared/comment')).toEqual(['NO [NONEXISTENT]'])
  expect(await user('GETMETADATA "" /shared/admin')).toEqual([
    '* METADATA "" (/shared/admin "mailto:root@example.org")',
    'OK',
  ])
})

test('RFC 5464 §4.4.2: who enabled METADATA hears what others change, and nothing of what he may not see', async () => {
  const imapd = await startImapd([alice, bob])
  onTestFinished(() => imapd.stop())
  const [owner, second, user] = [await enter(imapd, bob), await enter(imapd, bob), await enter(imapd, alice)]
  for (const name of ['Plans', 'Secret']) await owner(`CREATE ${name}`)
  await owner(`SETACL Plans ${alice} lrw`)
  for (const session of [owner, second, user])
    expect(await session('ENABLE METADATA')).toEqual(['* ENABLED METADATA', 'OK'])
  await second.peer.send('i IDLE')
  expect(await second.peer.line()).toMatch(/^\+/)
  expect(await owner('SETMETADATA Plans (/shared/comment "a" /private/comment "b")')).toEqual(['OK'])
  expect(await owner('SETMETADATA Secret (/shared/comment "a")')).toEqual(['OK'])
  expect(await user('NOOP')).toEqual([`* METADATA "Other Users/${bob}/Plans" /shared/comment`, 'OK'])
  expect(await user('NOOP')).toEqual(['OK'])
  // Also to one that waits, and to sessions of the same user what is private.
  const told = [await second.peer.line()]
  while (!told.join('').includes('Secret')) told.push(await second.peer.line())
  expect(told.join('\n')).toContain('/private/comment')
  second.peer.write('DONE\r\n')
  expect((await second.peer.until('i')).at(-1)).toMatch(/^i OK/)
  await user(`SETMETADATA "Other Users/${bob}/Plans" (/private/comment "mine" /shared/x "2")`)
  expect(await owner('NOOP')).toEqual(['* METADATA Plans /shared/x', 'OK'])
  // Other processes are told by the event channel.
  expect(imapd.bus.published.filter(({ topic }) => topic === `metadata:${bob}`).at(-1)).toMatchObject({
    fields: { mailbox: 'Plans', entry: '/shared/x', user: alice },
  })
  imapd.bus.hear({ topic: 'metadata:', name: 'metadata', fields: { mailbox: '', entry: '/private/z', user: alice } })
  expect(await user('NOOP')).toEqual(['* METADATA "" /private/z', 'OK'])
  // Others can't fill the memory of a session that says nothing.
  for (let count = 0; count < 3000; count++) {
    const fields = { mailbox: '', entry: `/private/n${count}`, user: alice }
    imapd.bus.hear({ topic: 'metadata:', name: 'metadata', fields })
  }
  const [line = '', end] = await user('NOOP')
  expect([line.split(' ').length, end]).toEqual([3 + 1000, 'OK'])
  imapd.bus.hear({ topic: 'metadata:', name: 'metadata', fields: { mailbox: '', entry: '/private/z', user: alice } })
  expect(await user('NOOP')).toEqual(['* METADATA "" /private/z', 'OK'])
})

test('RFC 5464 §4.3: limits on one value, on their number, and on all of an account, where mailboxes that are gone do not count', async () => {
  const imapd = await startImapd([bob])
  onTestFinished(() => imapd.stop())
  const owner = await enter(imapd, bob)
  const text = (octets: number) => `{${octets}+}\r\n${'x'.repeat(octets)}`
  expect(await owner(`SETMETADATA INBOX (/private/a ${text(16_384)})`)).toEqual(['OK'])
  expect(await owner(`SETMETADATA INBOX (/private/a "b" /private/b ${text(16_385)})`)).toEqual([
    'NO [METADATA MAXSIZE 16384]',
  ])
  // Whatever is too large even to be read.
  expect(await owner(`SETMETADATA INBOX (/private/a ${text(200_000)})`)).toEqual(['NO [METADATA MAXSIZE 16384]'])
  expect(await owner('SETMETADATA INBOX (/private/a {200000}')).toEqual(['NO [METADATA MAXSIZE 16384]'])
  const many = Array.from({ length: 100 }, (_, index) => `/shared/n${index} "x"`).join(' ')
  expect(await owner(`SETMETADATA INBOX (${many})`)).toEqual(['NO [METADATA TOOMANY]'])
  expect(await owner('GETMETADATA INBOX (/shared/n1)')).toEqual(['* METADATA INBOX (/shared/n1 NIL)', 'OK'])
  await using store = openStore({
    root: join(imapd.root, 'user'),
    clock: systemClock,
    log: logTo([]),
    undeleteDays: () => 0,
  })
  const account = store.account(bob as UserId)
  for (let round = 0; round < 20; round++) {
    await account.create('Short')
    const id = (await account.findId('Short'))!
    await putMetadata(account, { place: 'here', id }, new Map([['/private/a', 'x'.repeat(16_384)]]))
    await account.remove('Short')
  }
  expect((await metadataOf(account, { place: 'here', id: (await account.findId('INBOX'))! })).size).toBe(1)
  // A mailbox that is renamed while they are looked for keeps its own.
  await account.create('Old')
  const id = (await account.findId('Old'))!
  await putMetadata(account, { place: 'here', id }, new Map([['/private/a', 'x'.repeat(16_384)]]))
  const renaming = Object.create(account, {
    list: {
      value: async () => {
        const before = await account.list()
        if ((await account.findId('Old')) !== undefined) await account.rename('Old', 'New')
        return before
      },
    },
  }) as typeof account
  const elsewhere = async () => {
    for (let mailbox = 0; mailbox < 20; mailbox++) {
      const id = `${mailbox}` as MailboxId
      await putMetadata(renaming, { place: 'elsewhere', id }, new Map([['/private/a', 'x'.repeat(16_384)]]))
    }
  }
  await expect(elsewhere()).rejects.toMatchObject({ kind: 'limit' })
  expect((await metadataOf(account, { place: 'here', id })).size).toBe(1)
})
