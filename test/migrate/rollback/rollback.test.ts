/** The way back to a real Dovecot, by msadm, ms_syncd and clients. docs/decisions/0276-the-way-back.md */
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { RawImap } from '../../support/raw-imap.ts'
import { uidlsOf } from '../../support/raw-pop3.ts'
import { readImap } from '../campaign/read-imap.ts'
import { makeChanges } from './changes.ts'
import { contentOf, type Done, type Scene, startScene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await startScene(['joe', 'ann'], ['pat'], 24)
}, 120_000)
afterAll(async () => {
  await scene?.[Symbol.asyncDispose]()
})

const loggedIn = async (port: number, user: string): Promise<RawImap> => {
  const imap = await RawImap.connect(port)
  await imap.login(user, 'secret')
  return imap
}

const idOf = (user: string) => `${user}@gateway.example`
const password = Buffer.from('secret').toString('base64')
/** What msadm would ask. */
const back = (user: string) => ({ type: 'rollback', userId: idOf(user), password })

const content = async (port: number, user: string) => contentOf(await readImap(port, user, 'secret'))

it('after 90 mixed changes both sides are equal, an open session got BYE, and the next login reaches the old server', async () => {
  const { wherry, dovecot, msadm } = scene
  await makeChanges(wherry, 'joe', { count: 90, deliveries: 0, seed: 7 })
  const here = await content(wherry.imapPort, 'joe')
  expect(await content(dovecot.imapPort, 'joe')).not.toEqual(here)
  await using live = await loggedIn(wherry.imapPort, 'joe')
  await live.command('SELECT INBOX')
  live.send('i IDLE\r\n')
  await live.until(/^\+/)
  const goodbye = live.until(/^\* BYE/)
  const done = JSON.parse((await msadm('--json', 'rollback', '-p', 'secret', 'joe')).stdout) as Done
  expect((await goodbye).text).toBe('* BYE the mailbox moves to another server, please log in again')
  await expect(live.line()).rejects.toThrow('closed')
  expect(done).toMatchObject({ state: 'rolled-back', left: [], after: { differing: {}, differences: [] } })
  const { before, after, carried } = done
  expect(before!.differing.flags).toBeGreaterThan(0)
  expect(after!.there.messages).toBe(after!.here.messages)
  expect(after!.there.messages).toBe(before!.there.messages + carried!.appended + carried!.copied - carried!.expunged)
  expect(await content(dovecot.imapPort, 'joe')).toEqual(here)
  await using next = await loggedIn(wherry.imapPort, 'joe')
  // A word of this imapd alone.
  expect((await next.command('CAPABILITY'))[0]!.text).not.toContain('URLAUTH=BINARY')
  // Nobody would see it here: the mail server keeps it.
  expect(await msadm('deliver', 'joe')).toMatchObject({
    code: 75,
    stderr: expect.stringContaining('deliver its mail there'),
  })
  expect(wherry.log()).toMatch(
    /the old server has the account again.* audit=rollback user=joe@gateway.example appended=/,
  )
})

it('killed half-way nobody is let in; --cancel leaves the account here, and the same command doubles nothing; later the user is moved anew', async () => {
  const { wherry, dovecot, ask, connect } = scene
  await using ann = await loggedIn(wherry.imapPort, 'ann')
  const text = 'Subject: new\r\n\r\ntext\r\n'
  const count = 60
  for (let index = 0; index < count; index++)
    ann.send(`n${index} APPEND INBOX (\\Seen) {${text.length + 2}+}\r\n${text}${String(index).padStart(2, '0')}\r\n`)
  await ann.until(new RegExp(`^n${count - 1} OK`))
  const here = await content(wherry.imapPort, 'ann')

  await using watcher = await loggedIn(dovecot.imapPort, 'ann')
  const there = async () =>
    Number(/MESSAGES (\d+)/.exec((await watcher.command('STATUS INBOX (MESSAGES)'))[0]!.text)![1])
  const before = await there()
  const asker = await connect()
  const asked = asker.ask('ms_sync', back('ann'), { secret: true, timeoutMs: 60_000 }).catch(() => 'broke off')
  await vi.waitFor(async () => expect(await there()).toBeGreaterThan(before + 5), { timeout: 30_000, interval: 2 })
  for (const pid of wherry.pids('ms_syncd')) process.kill(pid, 'SIGKILL')
  // Else it would ask the next one.
  await asker.close()
  expect(await asked).toBe('broke off')
  await vi.waitFor(
    async () =>
      expect(await ask({ type: 'migration-list', userIds: [idOf('ann')] })).toMatchObject({
        migrations: [{ state: 'rolling-back' }],
      }),
    { timeout: 30_000 },
  )
  await expect(loggedIn(wherry.imapPort, 'ann')).rejects.toThrow(/UNAVAILABLE/)
  expect(await ask({ type: 'rollback-cancel', userId: idOf('ann') })).toMatchObject({ state: 'closed' })
  expect(await content(wherry.imapPort, 'ann')).toEqual(here)
  expect(await ask(back('ann'))).toMatchObject({ state: 'rolled-back', after: { differing: {} } })
  expect(await content(dovecot.imapPort, 'ann')).toEqual(here)

  await using passed = await loggedIn(wherry.imapPort, 'ann')
  await passed.command('SELECT INBOX')
  await passed.command('STORE 1 +FLAGS.SILENT (\\Flagged)')
  const goodbye = passed.until(/^\* BYE/)
  await ask({ type: 'migrate', user: 'ann', userId: idOf('ann'), password, properties: [] })
  await goodbye
  await using again = await loggedIn(wherry.imapPort, 'ann')
  expect((await again.command('CAPABILITY'))[0]!.text).toContain('URLAUTH=BINARY')
  expect(await content(wherry.imapPort, 'ann')).toEqual(await content(dovecot.imapPort, 'ann'))
})

it('a POP3 server gets the deletions, and mail that came here stays here only when the operator says so', async () => {
  const { wherry, dovecot, ask, msadm } = scene
  const uidls = (port: number) => uidlsOf(port, 'pat', 'secret')
  const before = await uidls(wherry.pop3Port)
  await using pat = await loggedIn(wherry.imapPort, 'pat')
  await pat.command('APPEND INBOX {17+}\r\nSubject: new\r\n\r\nx')
  await pat.command('SELECT INBOX')
  await pat.command('STORE 2,4 +FLAGS.SILENT (\\Deleted)')
  await pat.command('EXPUNGE')
  expect(await ask({ ...back('pat'), dryRun: true })).toMatchObject({
    state: 'closed',
    before: { differing: { 'deleted-here': 2, 'not-carried': 1 } },
  })
  expect(await msadm('rollback', '-p', 'secret', 'pat')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('1 messages are here in mailboxes that the old server does not take'),
  })
  await pat.command('NOOP')
  expect(await uidls(dovecot.pop3Port)).toEqual(before)
  expect(await ask({ ...back('pat'), leavesBehind: true })).toMatchObject({
    state: 'rolled-back',
    left: ['not-carried'],
    carried: { expunged: 2, appended: 0 },
  })
  const left = before.filter((_, index) => index !== 1 && index !== 3)
  expect(await uidls(dovecot.pop3Port)).toEqual(left)
  expect(await uidls(wherry.pop3Port)).toEqual(left)
})
