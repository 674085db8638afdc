/** NOTIFY where a transcript of one user does not do: what others share, other processes, and what is too much. RFC 5465 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import { OthersSeen } from '#src/imapd/notify/others-seen.ts'
import { Pending } from '#src/imapd/notify/pending.ts'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [alice, bob] = ['alice@example.org', 'bob@example.org'] as const
const message = '{17+}\r\nSubject: x\r\n\r\nx\r\n'
const ofMessages = '(MessageNew MessageExpunge)'

async function start(): Promise<RunningImapd> {
  const imapd = await startImapd([alice, bob])
  onTestFinished(() => imapd.stop())
  return imapd
}

interface Client {
  /** Lines of the answer. */
  (command: string): Promise<readonly string[]>
  readonly peer: Peer
}

async function enter(imapd: Pick<RunningImapd, 'host' | 'port'>, user: string): Promise<Client> {
  const peer = await Peer.open(imapd)
  onTestFinished(() => peer.destroy())
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  return Object.assign((command: string) => peer.command('x', command), { peer })
}

test('§3.1, §5.4, §5.9: rights on what others share come and go while the client listens', async () => {
  const imapd = await start()
  const [owner, user] = [await enter(imapd, bob), await enter(imapd, alice)]
  for (const name of ['Plans', 'Secret', 'Seen']) await owner(`CREATE ${name}`)
  await owner(`SETACL Seen ${alice} l`)
  const plans = `"Other Users/${bob}/Plans"`
  // What the user can't see is passed over, and what he may not read is said to be so.
  expect(
    await user(
      `NOTIFY SET STATUS (subtree "Other Users" (MessageNew MessageExpunge MailboxName)) (mailboxes nowhere ${ofMessages})`,
    ),
  ).toEqual([`* LIST (\\NoAccess) "/" "Other Users/${bob}/Seen"`, 'x OK NOTIFY completed'])
  await owner(`APPEND Plans ${message}`)
  await owner(`SETACL Plans ${alice} lr`)
  expect(await user.peer.line()).toBe(`* LIST () "/" ${plans}`)
  expect(await user.peer.line()).toMatch(`* STATUS ${plans} (MESSAGES 1 UIDNEXT 2 UIDVALIDITY `)
  await owner(`APPEND Secret ${message}`)
  await owner(`APPEND Plans ${message}`)
  expect(await user.peer.line()).toMatch(`* STATUS ${plans} (MESSAGES 2 UIDNEXT 3 UIDVALIDITY `)
  await owner('RENAME Plans Schemes')
  const schemes = `"Other Users/${bob}/Schemes"`
  expect(await user.peer.line()).toBe(`* LIST () "/" ${schemes} ("OLDNAME" (${plans}))`)
  await owner(`SETACL Schemes ${alice} -r`)
  expect(await user.peer.line()).toBe(`* LIST (\\NoAccess) "/" ${schemes}`)
  await owner(`APPEND Schemes ${message}`)
  await owner(`DELETEACL Schemes ${alice}`)
  expect(await user.peer.line()).toBe(`* LIST (\\NonExistent) "/" ${schemes}`)
  await owner(`APPEND Schemes ${message}`)
  expect(await user('NOOP')).toEqual(['x OK NOOP completed'])
})

test('§5.6, §5.7: annotations are told to who asks for them by NOTIFY, without ENABLE METADATA, and to nobody else', async () => {
  const imapd = await start()
  const [one, other] = [await enter(imapd, bob), await enter(imapd, bob)]
  await one('ENABLE METADATA')
  await one('NOTIFY SET (mailboxes INBOX (MailboxMetadataChange)) (personal (ServerMetadataChange))')
  await one('CREATE work')
  await other('SETMETADATA work (/private/comment "a")')
  await other('SETMETADATA INBOX (/shared/comment "a")')
  expect(await one.peer.line()).toBe('* METADATA INBOX /shared/comment')
  await other('SETMETADATA "" (/private/comment "a")')
  expect(await one.peer.line()).toBe('* METADATA "" /private/comment')
  await one('NOTIFY NONE')
  await other('SETMETADATA INBOX (/shared/comment NIL)')
  expect(await one('NOOP')).toEqual(['x OK NOOP completed'])
})

test('§7: what a followed search asked for of a new message comes with EXISTS before the ESEARCH, once, and not for one that matches later', async () => {
  const imapd = await start()
  const [one, other] = [await enter(imapd, bob), await enter(imapd, bob)]
  await one('SELECT INBOX')
  await one('NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))')
  expect(
    await one.peer.command('a00', 'SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO)])) FROM "boss"'),
  ).toEqual(['* ESEARCH (TAG "a00") COUNT 0', 'a00 OK SEARCH completed'])
  await one.peer.command('a01', 'SEARCH RETURN (UPDATE(UID)) FLAGGED')
  await other('APPEND INBOX {30+}\r\nFrom: boss\r\nTo: me@x\r\n\r\n1234\r\n')
  expect(await one.peer.line()).toBe('* 1 EXISTS')
  expect(await one.peer.line()).toBe('* 1 RECENT')
  expect(await one.peer.line()).toBe(
    '* 1 FETCH (UID 1 BODY[HEADER.FIELDS (TO)] {12}\r\nTo: me@x\r\n\r\n FLAGS (\\Recent))',
  )
  expect(await one.peer.line()).toBe('* ESEARCH (TAG "a00") ADDTO (0 1)')
  await other(`APPEND INBOX ${message}`)
  expect(await one.peer.line()).toBe('* 2 EXISTS')
  expect(await one.peer.line()).toBe('* 2 RECENT')
  expect(await one.peer.line()).toBe('* 2 FETCH (FLAGS (\\Recent))')
  await other('SELECT INBOX')
  await other('STORE 2 +FLAGS (\\Flagged)')
  expect(await one.peer.line()).toBe('* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))')
  expect(await one.peer.line()).toBe('* ESEARCH (TAG "a01") ADDTO (0 2)')
})

test('IX-02: other processes are heard of by the event channel, and without it by rounds through the account', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const imapd = await start()
  const other = await imapd.twin()
  onTestFinished(() => other.stop())
  const [one, elsewhere] = [await enter(imapd, bob), await enter(other, bob)]
  await elsewhere('CREATE work')
  await one('NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))')
  const hear = () => {
    for (const event of other.bus.published.splice(0)) if (event.topic.startsWith('mbox:')) imapd.bus.hear(event)
  }
  other.bus.published.length = 0
  await elsewhere(`APPEND work ${message}`)
  hear()
  expect(await one.peer.line()).toMatch('* STATUS work (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ')
  await elsewhere('RENAME work play')
  hear()
  expect(await one.peer.line()).toBe('* LIST (\\HasNoChildren) "/" play ("OLDNAME" (work))')
  imapd.bus.connected = false
  await elsewhere(`APPEND play ${message}`)
  await elsewhere('CREATE again')
  await elsewhere('SUBSCRIBE play')
  const told = new Set<string>()
  const awaited = ['* LIST (\\HasNoChildren) "/" again', '* LIST (\\HasNoChildren \\Subscribed) "/" play']
  const status = () => [...told].some((line) => line.startsWith('* STATUS play (MESSAGES 2 UIDNEXT 3 '))
  while (!awaited.every((line) => told.has(line)) || !status()) {
    vi.advanceTimersByTime(10_000)
    told.add(await one.peer.line())
  }
})

test('§5.8: more than can be kept for a client that does not read is given up with NOTIFICATIONOVERFLOW, and names have a limit', async () => {
  const imapd = await start()
  const one = await enter(imapd, bob)
  await one('NOTIFY SET (personal (MailboxName))')
  for (let count = 0; count < 6000; count++)
    imapd.bus.hear({ topic: `mbox:${bob}`, name: 'tree', fields: { mailbox: `n${count}`, change: 'removed' } })
  expect(await one.peer.line()).toMatch(/^\* OK \[NOTIFICATIONOVERFLOW\] /)
  const elsewhere = await enter(imapd, bob)
  await elsewhere('CREATE work')
  expect(await one('NOOP')).toEqual(['x OK NOOP completed'])
  const names = Array.from({ length: 1001 }, (_, index) => `n${index}`).join(' ')
  expect(await one(`NOTIFY SET (mailboxes (${names}) (MailboxName))`)).toEqual([
    expect.stringMatching(/^x NO \[NOTIFICATIONOVERFLOW\] /),
  ])
})

test('§5: with NOTIFY of other events, commands of the client are answered as ever, and what others do waits until it is asked for', async () => {
  const imapd = await start()
  const [one, other] = [await enter(imapd, bob), await enter(imapd, bob)]
  for (let count = 0; count < 3; count++) await one(`APPEND INBOX ${message}`)
  await one('SELECT INBOX')
  await other('SELECT INBOX')
  expect(await one('NOTIFY SET (personal (MailboxName))')).toEqual(['x OK NOTIFY completed'])
  await other('STORE 1 +FLAGS (\\Flagged)')
  await other('STORE 3 +FLAGS (\\Answered)')
  expect(await one('STORE 3 +FLAGS (\\Deleted)')).toEqual([
    '* 3 FETCH (UID 3 FLAGS (\\Answered \\Deleted \\Recent))',
    'x OK STORE completed',
  ])
  expect(await one('STORE 2 +FLAGS.SILENT (\\Seen)')).toEqual(['x OK STORE completed'])
  expect(await one('EXPUNGE')).toEqual(['* 3 EXPUNGE', '* 2 RECENT', 'x OK EXPUNGE completed'])
  await other(`APPEND INBOX ${message}`)
  expect(await one('NOOP')).toEqual(['x OK NOOP completed'])
  expect(await one('NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))')).toEqual([
    '* 3 EXISTS',
    '* 2 RECENT',
    '* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))',
    'x OK NOTIFY completed',
  ])
})

test('§3.1: NOTIFY SET first tells all that happened in the selected mailbox, whatever it asks for, and what the one before it asked for', async () => {
  const imapd = await start()
  const [one, other] = [await enter(imapd, bob), await enter(imapd, bob)]
  await one('CREATE work')
  await one('SELECT INBOX')
  await other(`APPEND INBOX ${message}`)
  expect(await one(`NOTIFY SET (mailboxes work ${ofMessages})`)).toEqual([
    '* 1 EXISTS',
    '* 1 RECENT',
    'x OK NOTIFY completed',
  ])
  // As a snapshot.
  await other(`APPEND INBOX ${message}`)
  expect(await one('NOOP')).toEqual(['x OK NOOP completed'])
  const look = vi.spyOn(OthersSeen.prototype, 'look')
  onTestFinished(() => look.mockRestore())
  look.mockImplementationOnce(async () => {
    await other(`APPEND work ${message}`)
    return []
  })
  expect(await one('NOTIFY SET (selected NONE)')).toEqual([
    expect.stringMatching(/^\* STATUS work \(MESSAGES 1 UIDNEXT 2 /),
    '* 2 EXISTS',
    '* 2 RECENT',
    'x OK NOTIFY completed',
  ])
})

test('a NOTIFY that can not be done leaves the one before it as it was, and nothing behind', async () => {
  const imapd = await start()
  const [one, other] = [await enter(imapd, bob), await enter(imapd, bob)]
  await one('CREATE work')
  const followers = imapd.bus.subscribers
  const look = vi.spyOn(OthersSeen.prototype, 'look')
  onTestFinished(() => look.mockRestore())
  look.mockRejectedValueOnce(new StoreError('unavailable', 'no answer'))
  expect(await one(`NOTIFY SET (personal ${ofMessages})`)).toEqual([expect.stringMatching(/^x NO /)])
  expect(imapd.bus.subscribers).toBe(followers)
  await one(`NOTIFY SET (mailboxes work ${ofMessages})`)
  look.mockRejectedValueOnce(new StoreError('unavailable', 'no answer'))
  await one('NOTIFY SET (selected NONE)')
  await other(`APPEND work ${message}`)
  expect(await one.peer.line()).toMatch('* STATUS work (MESSAGES 1 ')
})

test('§5.4: a mailbox that was renamed again before the client was told is told by the name that it knows, with what happened below', () => {
  const pending = new Pending()
  pending.addMessages('a/below', { added: 1, updated: 0, expunged: 0 })
  pending.addName('a/new')
  pending.addName('b', 'a')
  pending.addName('c', 'b')
  pending.addName('apart', 'c-not-below')
  const { names, messages } = pending.take()
  expect([...messages.keys()]).toEqual(['c/below'])
  expect(Object.fromEntries([...names].map(([name, { oldName }]) => [name, oldName]))).toEqual({
    'c/new': undefined,
    // It was there for a while, and maybe before.
    b: undefined,
    c: 'a',
    apart: 'c-not-below',
  })
  pending.addName('b', 'a')
  pending.addName('a', 'b')
  expect(pending.take().names.get('a')?.oldName).toBeUndefined()
})
