/** Mailboxes that users share, and shared folders, as clients see them: over real sockets, and from another process. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { openStore } from '#src/store/store.ts'
import { logTo, type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [alice, bob, carol] = ['alice@example.org', 'bob@example.org', 'carol@example.org'] as const
const message = '{17+}\r\nSubject: x\r\n\r\nx\r\n'

interface Client {
  /** Lines of the answer without their tag. */
  (command: string): Promise<readonly string[]>
  readonly peer: Peer
}

async function start(overrides: ConfigOverrides = {}): Promise<RunningImapd> {
  const imapd = await startImapd([alice, bob, carol], overrides)
  onTestFinished(() => imapd.stop())
  return imapd
}

async function enter(imapd: Pick<RunningImapd, 'host' | 'port'>, user: string): Promise<Client> {
  const peer = await Peer.open(imapd)
  onTestFinished(() => peer.destroy())
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  const run = async (command: string) =>
    (await peer.command('x', command)).map((line) => line.replace(/^x (OK|NO|BAD)\b.*?( \[[^\]]*\])?.*/, '$1$2'))
  return Object.assign(run, { peer })
}

const store = (imapd: RunningImapd) => {
  const opened = openStore({ root: join(imapd.root, 'user'), clock: systemClock, log: logTo([]) })
  onTestFinished(() => opened.close())
  return opened
}

test('ACL-01, MST-03, IX-02: what a user shares is seen below Other Users, in another process too', async () => {
  const imapd = await start()
  const owner = await enter(imapd, bob)
  for (const name of ['Projects/One', 'Projects/Two', 'Secret']) await owner(`CREATE ${name}`)
  const other = await imapd.twin()
  onTestFinished(() => other.stop())
  const user = await enter(other, alice)
  expect(await user('NAMESPACE')).toEqual(['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL', 'OK'])
  expect(await user('LIST "" "Other*"')).toEqual(['OK'])
  expect(await owner(`SETACL Projects/One ${alice} r`)).toEqual(['OK'])
  expect(await owner('GETACL Projects/One')).toEqual([`* ACL Projects/One ${bob} lrswipkxteacd ${alice} lr`, 'OK'])
  expect(await user('LIST "" *')).toEqual([
    '* LIST (\\HasNoChildren) "/" INBOX',
    '* LIST (\\Noselect \\HasChildren) "/" "Other Users"',
    `* LIST (\\Noselect \\HasChildren) "/" "Other Users/${bob}"`,
    `* LIST (\\Noselect \\HasChildren) "/" "Other Users/${bob}/Projects"`,
    `* LIST (\\HasNoChildren) "/" "Other Users/${bob}/Projects/One"`,
    'OK',
  ])
  expect(await user('LIST "" %')).toEqual([
    '* LIST (\\HasNoChildren) "/" INBOX',
    '* LIST (\\Noselect \\HasChildren) "/" "Other Users"',
    'OK',
  ])
  expect(await user('LIST "Other Users/" %')).toEqual([
    `* LIST (\\Noselect \\HasChildren) "/" "Other Users/${bob}"`,
    'OK',
  ])
  expect(await user('LIST "" INBOX')).toHaveLength(2)
  const one = `"Other Users/${bob}/Projects/One"`
  await user(`SUBSCRIBE ${one}`)
  expect(await user('LIST (SUBSCRIBED) "" * RETURN (MYRIGHTS STATUS (MESSAGES))')).toEqual([
    `* LIST (\\HasNoChildren \\Subscribed) "/" ${one}`,
    `* MYRIGHTS ${one} lr`,
    `* STATUS ${one} (MESSAGES 0)`,
    'OK',
  ])
  // RFC 5819 §2, RFC 8440 §3: who may not read it is told that it can't be selected
  await owner(`SETACL Projects/One ${alice} l`)
  expect(await user(`LIST "" ${one} RETURN (STATUS (MESSAGES) MYRIGHTS)`)).toEqual([
    `* LIST (\\Noselect \\HasNoChildren) "/" ${one}`,
    `* MYRIGHTS ${one} l`,
    'OK',
  ])
  // A mailbox that can't be seen, and what is above it, is subscribed to and nothing else.
  await user(`SUBSCRIBE "Other Users/${bob}/Secret"`)
  expect(await user('LIST (SUBSCRIBED) "" *')).toContain(
    `* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Other Users/${bob}/Secret"`,
  )
  await user(`UNSUBSCRIBE "Other Users/${bob}/Secret"`)
  await owner(`SETACL Projects/One ${alice} r`)
  expect(await user(`MYRIGHTS "Other Users/${bob}/Projects/One"`)).toEqual([
    `* MYRIGHTS "Other Users/${bob}/Projects/One" lr`,
    'OK',
  ])
  // Not to those who were given nothing.
  expect(await (await enter(other, carol))('LIST "" *')).toEqual(['* LIST (\\HasNoChildren) "/" INBOX', 'OK'])
  expect(await owner(`DELETEACL Projects/One ${alice}`)).toEqual(['OK'])
  expect(await user('LIST "" "Other*"')).toEqual(['OK'])
  expect(await store(imapd).sharers.of(alice)).toEqual([])
})

test('RFC 4314 §3.1: rights are set, added and taken; ACL-02, ACL-03, ACL-04', async () => {
  const owner = await enter(await start(), bob)
  const acl = async () => ((await owner('GETACL INBOX'))[0] ?? '').replace(`* ACL INBOX ${bob} lrswipkxteacd`, '')
  expect(await acl()).toBe('')
  await owner('SETACL INBOX alice rs')
  expect(await acl()).toBe(` ${alice} lrs`)
  await owner(`SETACL INBOX ${alice} +iw`)
  expect(await acl()).toBe(` ${alice} lrswi`)
  await owner(`SETACL INBOX ${alice} -sw`)
  expect(await acl()).toBe(` ${alice} lri`)
  await owner('SETACL INBOX anyone lrd')
  await owner('SETACL INBOX -carol r')
  expect(await acl()).toBe(` ${alice} lri anyone lrted -${carol} r`)
  // The right to administer stays with the owner, who loses none.
  expect(await owner(`SETACL INBOX ${alice} lra`)).toEqual(['NO [NOPERM]'])
  expect(await owner(`SETACL INBOX ${bob} lr`)).toEqual(['NO [NOPERM]'])
  expect(await owner(`SETACL INBOX ${alice} q`)).toEqual(['BAD'])
  expect(await owner('SETACL INBOX "a b" r')).toEqual(['BAD'])
  expect(await owner(`DELETEACL INBOX ${bob}`)).toEqual(['OK'])
  expect(await owner('DELETEACL INBOX dave')).toEqual(['OK'])
  expect(await owner(`SETACL INBOX ${alice} ""`)).toEqual(['OK'])
  await owner('DELETEACL INBOX anyone')
  expect(await acl()).toBe(` -${carol} r`)
  expect(await owner('LISTRIGHTS INBOX alice')).toEqual(['* LISTRIGHTS INBOX alice "" l r s w i p k x t e c d', 'OK'])
  expect(await owner(`LISTRIGHTS INBOX ${bob}`)).toEqual([`* LISTRIGHTS INBOX ${bob} lrswipkxteacd`, 'OK'])
  const [capability] = await owner('CAPABILITY')
  expect(capability).toContain(' ACL ')
  expect(capability).toMatch(/ RIGHTS=kxte\b/)
})

test('rights follow the mailbox when it is renamed, and are not those of another one under its old name', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner('CREATE Plans/Old')
  await owner(`SETACL Plans/Old ${alice} lr`)
  await owner('RENAME Plans Ideas')
  expect(await user(`MYRIGHTS "Other Users/${bob}/Ideas/Old"`)).toHaveLength(2)
  await owner('CREATE Plans/Old')
  expect(await user(`SELECT "Other Users/${bob}/Plans/Old"`)).toEqual(['NO [NONEXISTENT]'])
  await owner('DELETE Ideas/Old')
  await owner('CREATE Ideas/Old')
  expect(await user(`SELECT "Other Users/${bob}/Ideas/Old"`)).toEqual(['NO [NONEXISTENT]'])
  expect(await user('LIST "" "Other*"')).toEqual(['OK'])
  // Brought back, the mailbox is what it was.
  const account = store(imapd).account(bob as UserId)
  const [removed] = await account.removed()
  const name = await account.restore(removed!.id)
  expect(await user(`MYRIGHTS "Other Users/${bob}/${name}"`)).toHaveLength(2)
})

test('RFC 4314 §4: a new mailbox has the list of the one above', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner('CREATE Team')
  await owner(`SETACL Team ${alice} lrik`)
  await owner(`SETACL Team -${carol} l`)
  await owner('CREATE Team/a/b')
  expect(await owner('GETACL Team/a/b')).toEqual([
    `* ACL Team/a/b ${bob} lrswipkxteacd ${alice} lrikc -${carol} l`,
    'OK',
  ])
  expect(await user(`CREATE "Other Users/${bob}/Team/hers"`)).toEqual([expect.stringMatching(/^OK \[MAILBOXID /)])
  expect(await owner('GETACL Team/hers')).toEqual([
    `* ACL Team/hers ${bob} lrswipkxteacd ${alice} lrikc -${carol} l`,
    'OK',
  ])
  await owner('CREATE Elsewhere')
  expect(await owner('GETACL Elsewhere')).toEqual([`* ACL Elsewhere ${bob} lrswipkxteacd`, 'OK'])
})

test('RFC 4314 §5.1.1: rights that change under a session', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  const selected = `Other Users/${bob}/INBOX`
  await owner(`APPEND INBOX ${message}`)
  await owner(`SETACL INBOX ${alice} lrs`)
  await user(`SELECT "${selected}"`)
  expect(await user('STORE 1 +FLAGS (\\Deleted)')).toEqual(['NO [NOPERM]'])
  await owner(`SETACL INBOX ${alice} +t`)
  expect((await user('NOOP')).filter((line) => line.includes('FLAGS'))).toEqual([
    '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
    '* OK [PERMANENTFLAGS (\\Deleted \\Seen)] Flags that are kept',
  ])
  expect(await user('STORE 1 +FLAGS (\\Deleted)')).toContain('OK')
  expect(await user('EXPUNGE')).toEqual(['NO [NOPERM]'])
  await owner(`SETACL INBOX ${alice} -t`)
  expect(await user('STORE 1 -FLAGS (\\Deleted)')).toContain('NO [NOPERM]')
  // Without r it is as if the mailbox was deleted, and nothing of what comes is told.
  await owner(`DELETEACL INBOX ${alice}`)
  await owner(`APPEND INBOX ${message}`)
  await user.peer.send('x CAPABILITY')
  const told: string[] = []
  for (let line = ''; !line.startsWith('* BYE'); told.push(line)) line = await user.peer.line()
  expect(told.at(-1)).toBe('* BYE The selected mailbox was deleted')
  expect(told.join('\n')).not.toContain('EXISTS')
  await user.peer.closed()
})

test('ACL-05: a right that goes while a message comes is looked at again before the message is put there', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner(`SETACL INBOX ${alice} lri`)
  user.peer.write(`x APPEND "Other Users/${bob}/INBOX" {17}\r\n`)
  // The mailbox is open by then, and the right was looked at.
  expect(await user.peer.line()).toMatch(/^\+/)
  await owner(`SETACL INBOX ${alice} -i`)
  user.peer.write('Subject: x\r\n\r\nx\r\n\r\n')
  expect(await user.peer.line()).toMatch(/^x NO \[NOPERM\]/)
  expect(await owner('STATUS INBOX (MESSAGES)')).toEqual(['* STATUS INBOX (MESSAGES 0)', 'OK'])
  // RFC 8508 §4.1: the same for those that REPLACE takes to remove the other one.
  await owner(`SETACL INBOX ${alice} lrite`)
  await owner(`APPEND INBOX ${message}`)
  await user(`SELECT "Other Users/${bob}/INBOX"`)
  user.peer.write('x REPLACE 1 "Other Users/bob@example.org/INBOX" {17}\r\n')
  expect(await user.peer.line()).toMatch(/^\+/)
  await owner(`SETACL INBOX ${alice} -e`)
  user.peer.write('Subject: x\r\n\r\nx\r\n\r\n')
  expect((await user.peer.until('x')).at(-1)).toMatch(/^x NO \[NOPERM\]/)
  expect(await owner('STATUS INBOX (MESSAGES UIDNEXT)')).toEqual(['* STATUS INBOX (MESSAGES 1 UIDNEXT 2)', 'OK'])
})

test('MON-02: what is selected is shown by the name that its user calls it', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner(`SETACL INBOX ${alice} lr`)
  await user(`SELECT "Other Users/${bob}/INBOX"`)
  const shown = [...imapd.bus.announced].map(({ presence }) => presence)
  expect(shown.find((presence) => 'user' in presence && presence.user === alice)).toMatchObject({
    activity: 'examining',
    mailbox: `Other Users/${bob}/INBOX`,
  })
})

test('a session that idles in a mailbox of another user is told what comes, until it may not', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner(`SETACL INBOX ${alice} lr`)
  await user(`SELECT "Other Users/${bob}/INBOX"`)
  await user.peer.send('i IDLE')
  expect(await user.peer.line()).toMatch(/^\+/)
  // From another process: heard as an event about the owner's mailboxes.
  const other = await imapd.twin()
  onTestFinished(() => other.stop())
  await (await enter(other, bob))(`APPEND INBOX ${message}`)
  imapd.bus.hear({ topic: `mbox:${bob}`, name: 'mailbox', fields: { mailbox: 'INBOX' } })
  expect(await user.peer.line()).toBe('* 1 EXISTS')
  expect(await user.peer.line()).toBe('* 1 RECENT')
  await owner(`SETACL INBOX -${alice} l`)
  await owner(`APPEND INBOX ${message}`)
  expect(await user.peer.line()).toBe('* BYE The selected mailbox was deleted')
})

test('\\Seen is one for all who share a mailbox', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  await owner(`APPEND INBOX ${message}`)
  await owner(`SETACL INBOX ${alice} lrs`)
  await user(`SELECT "Other Users/${bob}/INBOX"`)
  await user('FETCH 1 BODY[]')
  expect(await owner('STATUS INBOX (UNSEEN)')).toEqual(['* STATUS INBOX (UNSEEN 0)', 'OK'])
})

test('rights of groups and of anyone', async () => {
  const imapd = await start({ domain: 'example.org', group: { name: 'staff', users: ['alice'] } })
  const [owner, user, third] = [await enter(imapd, bob), await enter(imapd, alice), await enter(imapd, carol)]
  await owner('CREATE Staff')
  await owner('SETACL Staff group:staff lr')
  await owner('CREATE All')
  await owner('SETACL All anyone lrs')
  expect(await user('LIST "" "Other Users/%/%"')).toEqual([
    `* LIST (\\HasNoChildren) "/" "Other Users/${bob}/All"`,
    `* LIST (\\HasNoChildren) "/" "Other Users/${bob}/Staff"`,
    'OK',
  ])
  expect(await third('LIST "" "Other Users/%/%"')).toEqual([
    `* LIST (\\HasNoChildren) "/" "Other Users/${bob}/All"`,
    'OK',
  ])
  await imapd.reload({ group: { name: 'staff', users: ['carol@example.org'] } })
  expect(await user(`SELECT "Other Users/${bob}/Staff"`)).toEqual(['NO [NONEXISTENT]'])
  expect((await third(`SELECT "Other Users/${bob}/Staff"`)).at(-1)).toBe('OK [READ-ONLY]')
})

const team = (...access: readonly ['user' | 'group', string, ...string[]][]) => ({
  name: 'Team',
  path: 'team-directory',
  email: undefined,
  access: access.map(([kind, name, ...words]) => ({ kind, name, access: words })),
})

test('SHR-01, SHR-02, SHR-05, SHR-08, MST-18, IMAP-15, IX-03, IX-04 (C-10): a shared root is there for those who may use it', async () => {
  const shared_root = team(
    ['group', 'anyone', 'read', 'write'],
    ['user', 'bob'],
    ['user', 'carol', 'read', 'write', 'manage'],
  )
  const again = await start({ domain: 'example.org', shared_root })
  const directory = join(again.root, 'shared/team-directory')
  const denied = await enter(again, bob)
  await expect(stat(directory)).rejects.toThrow('ENOENT')
  const user = await enter(again, alice)
  expect((await stat(directory)).isDirectory()).toBe(true)
  expect(await denied('LIST "" "Shared*"')).toEqual(['OK'])
  expect(await user('NAMESPACE')).toEqual([
    '* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))',
    'OK',
  ])
  const manager = await enter(again, carol)
  expect(await user('CREATE "Shared Folders/Team/Offers"')).toEqual(['NO [NOPERM]'])
  expect(await manager('CREATE "Shared Folders/Team/Offers"')).toEqual([expect.stringMatching(/^OK \[MAILBOXID /)])
  expect(await user('LIST "" "Shared*"')).toEqual([
    '* LIST (\\Noselect \\HasChildren) "/" "Shared Folders"',
    '* LIST (\\HasChildren) "/" "Shared Folders/Team"',
    '* LIST (\\HasNoChildren) "/" "Shared Folders/Team/Offers"',
    'OK',
  ])
  for (const name of ['Shared Folders/Team', 'Shared Folders/Team/Offers']) {
    expect((await user(`APPEND "${name}" ${message}`)).at(-1)).toMatch(/^OK \[APPENDUID/)
    expect(await manager(`STATUS "${name}" (MESSAGES)`)).toEqual([`* STATUS "${name}" (MESSAGES 1)`, 'OK'])
    expect(await denied(`SELECT "${name}"`)).toEqual(['NO [NONEXISTENT]'])
  }
  await user('SELECT "Shared Folders/Team"')
  expect((await user('COPY 1 "Shared Folders/Team/Offers"')).at(-1)).toMatch(/^OK \[COPYUID/)
  expect((await user('COPY 1 INBOX')).at(-1)).toMatch(/^OK \[COPYUID/)
  // Nobody changes the list but in the configuration, which counts at once.
  expect(await manager(`SETACL "Shared Folders/Team" ${bob} lr`)).toEqual(['NO [NOPERM]'])
  await again.reload({ shared_root: team(['user', 'bob', 'all']) })
  expect(await user('NOOP').catch((error: Error) => error.message)).toContain('closed by the server')
  expect(await denied('MYRIGHTS "Shared Folders/Team/Offers"')).toEqual([
    '* MYRIGHTS "Shared Folders/Team/Offers" lrswipkxtecd',
    'OK',
  ])
})

test('a shared root that can not be made keeps nobody from his own mail', async () => {
  const imapd = await start({ shared_root: { ...team(['group', 'anyone', 'all']), path: '/dev/null/team' } })
  const user = await enter(imapd, alice)
  expect((await user('SELECT INBOX')).at(-1)).toBe('OK [READ-WRITE]')
  expect(imapd.records.some(({ message }) => message === 'a shared root can not be made')).toBe(true)
})

test('a mailbox of the own account that was called so before is still there', async () => {
  const imapd = await start()
  const account = store(imapd).account(alice as UserId)
  await account.ensure()
  await account.create('Shared Folders/Old')
  const user = await enter(imapd, alice)
  expect((await user('SELECT "Shared Folders/Old"')).at(-1)).toBe('OK [READ-WRITE]')
  expect(await user('LIST "" "Shared Folders/%"')).toHaveLength(2)
  expect(await user('RENAME "Shared Folders/Old" Old')).toEqual(['OK'])
  expect(await user('CREATE "Shared Folders/New"')).toEqual(['NO [NOPERM]'])
})

test('QUO-01, SHR-09: mail counts for the user whose mailbox it is in; that of shared folders for nobody', async () => {
  const imapd = await start({ quota_messages: 2, shared_root: team(['group', 'anyone', 'all']) })
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  const add = async (name: string) => (await user(`APPEND "${name}" ${message}`)).at(-1)
  for (let count = 0; count < 4; count++) expect(await add('Shared Folders/Team')).toMatch(/^OK/)
  await owner(`SETACL INBOX ${alice} lrite`)
  const others = `Other Users/${bob}/INBOX`
  expect(await add(others)).toMatch(/^OK/)
  expect(await add('INBOX')).toMatch(/^OK/)
  expect(await add('INBOX')).toMatch(/^OK/)
  expect(await add('INBOX')).toBe('NO [OVERQUOTA]')
  await user('SELECT INBOX')
  // Moved, it is room here, and takes room there.
  expect((await user(`MOVE 1 "${others}"`)).at(-1)).toMatch(/^OK/)
  expect((await user(`MOVE 1 "${others}"`)).at(-1)).toBe('NO [OVERQUOTA]')
  expect((await user(`COPY 1 "${others}"`)).at(-1)).toBe('NO [OVERQUOTA]')
  expect(await user(`GETQUOTAROOT "${others}"`)).toEqual([`* QUOTAROOT "${others}"`, 'OK'])
  expect(await user('GETQUOTAROOT "Shared Folders/Team"')).toEqual(['* QUOTAROOT "Shared Folders/Team"', 'OK'])
})

test('a user id may have the delimiter in it', async () => {
  const odd = 'a/b@example.org'
  const imapd = await startImapd([odd, alice])
  onTestFinished(() => imapd.stop())
  const [owner, user] = [await enter(imapd, odd), await enter(imapd, alice)]
  await owner('CREATE x/y')
  await owner(`SETACL x/y ${alice} lr`)
  expect(await user('LIST "Other Users/" *')).toEqual([
    '* LIST (\\Noselect \\HasChildren) "/" "Other Users/a"',
    '* LIST (\\Noselect \\HasChildren) "/" "Other Users/a/b@example.org"',
    '* LIST (\\Noselect \\HasChildren) "/" "Other Users/a/b@example.org/x"',
    '* LIST (\\HasNoChildren) "/" "Other Users/a/b@example.org/x/y"',
    'OK',
  ])
  expect((await user('SELECT "Other Users/a/b@example.org/x/y"')).at(-1)).toBe('OK [READ-ONLY]')
})
