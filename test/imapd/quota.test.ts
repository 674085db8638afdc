/** QUOTA of RFC 9208, with the limits of accounts. QUO-01, QUO-02, QUO-05, MST-04 */
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccounts } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'
import { setLimits } from '#src/server/quota-limits.ts'
import { startDovecot } from '../support/dovecot.ts'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const anna = 'anna@example.org'
const root = 'root@example.org'
const message = (octets: number) => `Subject: x\r\n\r\n${'x'.repeat(octets - 14)}`

const enter = async (imapd: RunningImapd, user = anna): Promise<Peer> => {
  const peer = await Peer.open(imapd)
  onTestFinished(() => peer.destroy())
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  return peer
}
const limit = (imapd: RunningImapd, storage: number, messages?: number) =>
  setLimits(openAccounts(join(imapd.root, 'accounts')), anna as UserId, {
    storage,
    ...(messages !== undefined && { messages }),
  })
const usage = async (peer: Peer) =>
  (await peer.command('q', 'GETQUOTAROOT INBOX')).find((line) => line.startsWith('* QUOTA '))

describe('QUOTA', () => {
  it('QUO-05, MST-04: tells the one quota root of a user, its use and its limits', async () => {
    await using imapd = await startImapd([anna], { quota_limit: 10 })
    const peer = await enter(imapd)
    expect((await peer.command('c', 'CAPABILITY'))[0]).toMatch(/ QUOTA QUOTASET QUOTA=RES-STORAGE QUOTA=RES-MESSAGE/)
    await peer.command('a', `APPEND INBOX {1025+}\r\n${message(1025)}`)
    await peer.command('b', 'CREATE Archive')
    await peer.command('c', `APPEND Archive {1000+}\r\n${message(1000)}`)
    expect(await peer.command('d', 'GETQUOTAROOT Archive')).toEqual([
      '* QUOTAROOT Archive user/anna@example.org',
      '* QUOTA user/anna@example.org (STORAGE 2 10)',
      expect.stringContaining('d OK'),
    ])
    // RFC 9208 §4.1.2: also before there is such a mailbox.
    expect((await peer.command('e', 'GETQUOTAROOT "to come"'))[0]).toBe('* QUOTAROOT "to come" user/anna@example.org')
    expect(await peer.command('f', 'GETQUOTA user/anna@example.org')).toEqual([
      '* QUOTA user/anna@example.org (STORAGE 2 10)',
      expect.stringContaining('f OK'),
    ])
    // QUO-02: the user's own wins over quota_limit, and 0 is none.
    await limit(imapd, 0, 7)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (MESSAGE 2 7)')
    await limit(imapd, 20)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 2 20 MESSAGE 2 7)')
    await limit(imapd, 0, 0)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org ()')
  })

  it('QUO-01: all messages of one APPEND count together, and of REPLACE what is more (RFC 8508 §3.4)', async () => {
    await using imapd = await startImapd([anna], { quota_limit: 10 })
    const peer = await enter(imapd)
    await peer.command('s', 'SELECT INBOX')
    const append = (...sizes: number[]) => sizes.map((octets) => ` {${octets}+}\r\n${message(octets)}`).join('')
    expect((await peer.command('a', `APPEND INBOX${append(6000, 2000, 3000)}`)).at(-1)).toMatch(/^a NO \[OVERQUOTA\]/)
    // Said where the client still waits to be asked for it.
    const early = await peer.command('b', `APPEND INBOX${append(6000)} {9000+}\r\n${message(9000)} {10}`)
    expect(early.at(-1)).toMatch(/^b NO \[OVERQUOTA\]/)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 0 10)')
    expect((await peer.command('c', `APPEND INBOX${append(6000, 2000)}`)).at(-1)).toMatch(/^c OK/)
    expect((await peer.command('d', `APPEND INBOX${append(7000)}`)).at(-1)).toMatch(/^d NO \[OVERQUOTA\]/)
    expect((await peer.command('e', `REPLACE 1 INBOX${append(7000)}`)).at(-1)).toMatch(/^e OK/)
    expect((await peer.command('f', `REPLACE * INBOX${append(9000)}`)).at(-1)).toMatch(/^f NO \[OVERQUOTA\]/)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 9 10)')
    // One that goes counts for one REPLACE, however many name it.
    await peer.command('g', 'SELECT INBOX')
    const peers = [peer, await enter(imapd), await enter(imapd)]
    for (const each of peers) {
      await each.command('s', 'SELECT INBOX')
      each.write('r REPLACE * INBOX {7000}\r\n')
      while (!(await each.line()).startsWith('+'));
    }
    for (const each of peers) each.write(`${message(7000)}\r\n`)
    const ends = await Promise.all(peers.map(async (each) => (await each.until('r')).at(-1)!))
    expect(ends.map((end) => end.slice(0, 4)).sort()).toEqual(['r NO', 'r NO', 'r OK'])
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 9 10)')
  })

  it('is nobody else’s business, and whether there is such a user neither', async () => {
    await using imapd = await startImapd([anna, 'boris@example.org'])
    const peer = await enter(imapd, 'boris@example.org')
    const refused = await peer.command('a', 'GETQUOTA user/anna@example.org')
    expect(refused).toEqual(['a NO [NOPERM] There is no such quota root, or it is not yours'])
    for (const name of ['user/nobody@example.org', 'anna@example.org', '""'])
      expect(await peer.command('a', `GETQUOTA ${name}`)).toEqual(refused)
    expect(await peer.command('b', 'SETQUOTA user/boris@example.org (STORAGE 5)')).toEqual([
      expect.stringContaining('b NO [NOPERM]'),
    ])
    for (const args of ['', ' x', ' x (STORAGE)', ' x (STORAGE 1 STORAGE 2)', ' x (STORAGE -1)', ' x STORAGE 1'])
      expect((await peer.command('c', `SETQUOTA${args}`)).at(-1)).toMatch(/^c BAD/)
  })

  it('SETQUOTA of admin_user gives a user limits; what is not named has none', async () => {
    await using imapd = await startImapd([anna, root], { admin_user: 'root@example.org', quota_limit: 3 })
    await enter(imapd)
    const peer = await enter(imapd, root)
    expect(await peer.command('a', 'SETQUOTA user/anna@example.org (STORAGE 512 MESSAGE 1000)')).toEqual([
      '* QUOTA user/anna@example.org (STORAGE 0 512 MESSAGE 0 1000)',
      expect.stringContaining('a OK'),
    ])
    expect((await peer.command('b', 'SETQUOTA user/anna@example.org (MESSAGE 5)'))[0]).toBe(
      '* QUOTA user/anna@example.org (MESSAGE 0 5)',
    )
    expect((await peer.command('c', 'SETQUOTA user/anna@example.org ()'))[0]).toBe('* QUOTA user/anna@example.org ()')
    for (const list of ['MAILBOX 5', 'STORAGE 0', 'STORAGE 9223372036854775807'])
      expect(await peer.command('d', `SETQUOTA user/anna@example.org (${list})`)).toEqual([
        expect.stringContaining('d NO [CANNOT]'),
      ])
    expect(await peer.command('e', 'SETQUOTA user/nobody@example.org (STORAGE 5)')).toEqual([
      expect.stringContaining('e NO [NONEXISTENT]'),
    ])
    expect(await peer.command('f', 'GETQUOTA user/anna@example.org')).toHaveLength(2)
  })

  it('MST-02, MST-05: a domain has limits for its users, and administrators who set those users’ own', async () => {
    const [boss, bob] = ['boss@example.org', 'bob@b.example']
    await using imapd = await startImapd([anna, boss, bob], {
      quota_limit: 30,
      domain_rule: [{ domain: 'EXAMPLE.org', quotaLimit: 2, quotaMessages: undefined, admins: ['boss'] }],
    })
    const peer = await enter(imapd)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 0 2)')
    expect(await usage(await enter(imapd, bob))).toBe('* QUOTA user/bob@b.example (STORAGE 0 30)')
    expect((await peer.command('a', `APPEND INBOX {3000+}\r\n${message(3000)}`)).at(-1)).toContain('a NO [OVERQUOTA]')
    const admin = await enter(imapd, boss)
    expect(await admin.command('b', 'SETQUOTA user/anna@example.org (STORAGE 4)')).toEqual([
      '* QUOTA user/anna@example.org (STORAGE 0 4)',
      expect.stringContaining('b OK'),
    ])
    expect((await peer.command('c', `APPEND INBOX {3000+}\r\n${message(3000)}`)).at(-1)).toContain('c OK')
    const refused = await admin.command('d', 'SETQUOTA user/nobody@b.example (STORAGE 4)')
    expect(refused).toEqual([expect.stringContaining('d NO [NOPERM]')])
    expect(await admin.command('d', 'SETQUOTA user/bob@b.example (STORAGE 4)')).toEqual(refused)
    expect(await admin.command('d', 'GETQUOTA user/bob@b.example')).toEqual(refused)
  })

  it('STATUS tells what an EXPUNGE would give back', async () => {
    await using imapd = await startImapd([anna])
    const peer = await enter(imapd)
    for (const octets of [100, 200, 400]) await peer.command('a', `APPEND INBOX {${octets}+}\r\n${message(octets)}`)
    expect((await peer.command('b', 'STATUS INBOX (DELETED DELETED-STORAGE)'))[0]).toBe(
      '* STATUS INBOX (DELETED 0 DELETED-STORAGE 0)',
    )
    await peer.command('c', 'SELECT INBOX')
    await peer.command('d', 'STORE 1,3 +FLAGS.SILENT (\\Deleted)')
    expect(await peer.command('e', 'STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)')).toContain(
      '* STATUS INBOX (MESSAGES 3 DELETED 2 DELETED-STORAGE 500)',
    )
  })
})

describe('over quota', () => {
  it('QUO-01: APPEND is refused before the message is sent, or it is drained; what was removed is room again', async () => {
    await using imapd = await startImapd([anna], { quota_limit: 2 })
    await using twin = await imapd.twin()
    const peer = await enter(imapd)
    expect((await peer.command('a', `APPEND INBOX {2048+}\r\n${message(2048)}`)).at(-1)).toMatch(/^a OK/)
    // Nothing is asked for: the answer comes at once.
    expect(await peer.command('b', 'APPEND INBOX {100}')).toEqual(['b NO [OVERQUOTA] Quota exceeded'])
    expect(await peer.command('c', `APPEND INBOX {100+}\r\n${message(100)}`)).toEqual([
      'c NO [OVERQUOTA] Quota exceeded',
    ])
    // The drained octets were no commands, and a mailbox that is missing is told first.
    expect((await peer.command('d', 'APPEND Nowhere {100}')).at(-1)).toMatch(/^d NO \[TRYCREATE\]/)
    // Another process empties it.
    const other = await enter(twin)
    for (const line of ['SELECT INBOX', 'STORE 1 +FLAGS (\\Deleted)', 'EXPUNGE']) await other.command('x', line)
    expect((await peer.command('e', `APPEND INBOX {100+}\r\n${message(100)}`)).at(-1)).toMatch(/^e OK/)
  })

  it('COPY and UID COPY are refused as a whole, MOVE within the account is not', async () => {
    await using imapd = await startImapd([anna], { quota_limit: 3 })
    const peer = await enter(imapd)
    for (const octets of [1000, 1000]) await peer.command('a', `APPEND INBOX {${octets}+}\r\n${message(octets)}`)
    await peer.command('b', 'CREATE Archive')
    await peer.command('c', 'SELECT INBOX')
    for (const word of ['COPY', 'UID COPY'])
      expect(await peer.command('d', `${word} 1:2 Archive`)).toEqual(['d NO [OVERQUOTA] Quota exceeded'])
    expect((await peer.command('e', 'COPY 1 Archive')).at(-1)).toMatch(/^e OK/)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 3 3)')
    expect(await peer.command('f', 'COPY 1 Archive')).toEqual(['f NO [OVERQUOTA] Quota exceeded'])
    expect((await peer.command('g', 'UID MOVE 1:2 Archive')).at(-1)).toMatch(/^g OK/)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 3 3)')
  })

  it('the number of messages is limited as well', async () => {
    await using imapd = await startImapd([anna], { quota_messages: 2 })
    const peer = await enter(imapd)
    const append = async () => (await peer.command('a', `APPEND INBOX {100+}\r\n${message(100)}`)).at(-1)
    expect([await append(), await append(), await append()]).toEqual([
      expect.stringContaining('a OK'),
      expect.stringContaining('a OK'),
      'a NO [OVERQUOTA] Quota exceeded',
    ])
    // A limit that is raised counts at once.
    await limit(imapd, 0, 3)
    expect(await append()).toMatch(/^a OK/)
  })

  it('many sessions that append at once get in what fits, to the octet; two processes hardly more', async () => {
    await using imapd = await startImapd([anna], { quota_limit: 10 })
    await using twin = await imapd.twin()
    const appendAll = async (servers: readonly RunningImapd[]) => {
      const peers = await Promise.all(servers.map((server) => enter(server)))
      const replies = await Promise.all(
        peers.map(async (peer) => {
          const all: string[] = []
          for (let i = 0; i < 5; i++)
            all.push((await peer.command('a', `APPEND INBOX {1024+}\r\n${message(1024)}`)).at(-1)!.slice(0, 17))
          return all
        }),
      )
      return replies.flat()
    }
    const replies = await appendAll(Array.from({ length: 8 }, () => imapd))
    expect(replies.filter((reply) => reply.startsWith('a OK'))).toHaveLength(10)
    expect(replies.filter((reply) => reply === 'a NO [OVERQUOTA] ')).toHaveLength(30)
    const peer = await enter(imapd)
    expect(await usage(peer)).toBe('* QUOTA user/anna@example.org (STORAGE 10 10)')
    for (const line of ['SELECT INBOX', 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'EXPUNGE']) await peer.command('x', line)
    const both = await appendAll(Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? imapd : twin)))
    const got = both.filter((reply) => reply.startsWith('a OK')).length
    expect(got).toBeGreaterThanOrEqual(10)
    // For the other process a message, counted before and committed after, and a tenth of the room.
    expect(got).toBeLessThanOrEqual(12)
  })
})

describe('beside Dovecot', () => {
  /** What both are asked; the mailbox is INBOX. */
  const append = (octets: number, name = 'INBOX') => `APPEND ${name} {${octets}+}\r\n${message(octets)}`
  const steps = [
    append(1000),
    append(1000),
    'CREATE Archive',
    'GETQUOTAROOT INBOX',
    'SELECT INBOX',
    'COPY 1:2 Archive',
    'COPY 1 Archive',
    'UID COPY 1 Archive',
    append(100),
    append(72, 'Archive'),
    append(20),
    'GETQUOTAROOT Archive',
    'MOVE 2 Archive',
    'STORE 1 +FLAGS.SILENT (\\Deleted)',
    append(100),
    'EXPUNGE',
    append(1000),
    append(100),
  ]
  /** How each step ended, with its code, and the figures of a quota. */
  /** Dovecot 2.3 has none, or the session is one for reading and writing. */
  const ours = new Set(['READ', 'MAILBOXID'])
  const answersOf = async (peer: Peer) => {
    const answers: string[] = []
    for (const [index, step] of steps.entries()) {
      const lines = await peer.command(`s${index}`, step)
      const [, status, code = ''] = /^\S+ (OK|NO|BAD)(?: \[([A-Z]+))?/.exec(lines.at(-1)!) ?? []
      const quota = lines.flatMap((line) => /^\* QUOTA .*(\(.*\))$/.exec(line)?.[1] ?? []).join('')
      answers.push(`${step.split('\r')[0]}: ${status} ${ours.has(code) ? '' : code}${quota}`)
    }
    return answers
  }

  it('the same is refused with the same code, and the same figures are told', async () => {
    await using dovecot = await startDovecot({
      users: { [anna]: 'secret' },
      protocols: ['imap'],
      extra: `mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=3K
  quota_grace = 0
}`,
    })
    await using imapd = await startImapd([anna], { quota_limit: 3 })
    const theirs = await Peer.open({ host: '127.0.0.1', port: dovecot.imapPort })
    onTestFinished(() => theirs.destroy())
    await theirs.line()
    await theirs.command('login', `LOGIN ${anna} secret`)
    expect(await answersOf(await enter(imapd))).toEqual(await answersOf(theirs))
  })
})
