/** Scripts at delivery, from the client's message to the submission server. SV-01 to SV-12 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { Spool } from '#src/submission/spool.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { type RunningLmtpd, startLmtpd, withoutTrace } from './support.ts'
import { LmtpClient } from './transcript.ts'

const users = ['steve@example.org', 'pat@example.org']

const activate = async (lmtpd: RunningLmtpd, user: string, text: string) => {
  const account = lmtpd.store.account(user as UserId)
  await account.ensure()
  await scriptsOf(account).put('main', text, { scripts: 5, octets: 32_768 })
  await scriptsOf(account).activate('main')
}

const message = (to: string, id = 1) =>
  `From: martin@example.net\r\nTo: ${to}\r\nSubject: lunch\r\nMessage-ID: <${id}@example.net>\r\n\r\n.dots\r\nhello\r\n`

/** Replies behind the data, one for each recipient. */
const send = async (lmtpd: RunningLmtpd, to: readonly string[], id?: number): Promise<readonly string[]> => {
  const client = await LmtpClient.greeted(lmtpd.tcp)
  const replies = await client.deliver('martin@example.net', to, message(to.join(', '), id))
  await client.say('QUIT')
  return replies
}

describe('Sieve in lmtpd', () => {
  it('SV-01, SV-05, SV-06, SV-11, SV-12: files, redirects and answers, each recipient by his own script', async () => {
    await using smtp = await scriptedSmtp()
    await using lmtpd = await startLmtpd(users, { submit_host: '127.0.0.1', submit_port: smtp.port })
    await activate(
      lmtpd,
      'steve@example.org',
      'require ["fileinto", "mailbox", "vacation"]; vacation "Away."; redirect "away@example.com"; fileinto :create "Lists/Lunch";',
    )
    expect(await send(lmtpd, users)).toEqual([expect.stringMatching(/^250 /), expect.stringMatching(/^250 /)])
    expect((await lmtpd.stored('steve@example.org', 'Lists/Lunch')).map(withoutTrace)).toEqual([
      message(users.join(', ')),
    ])
    expect(await lmtpd.stored('pat@example.org')).toHaveLength(1)
    await vi.waitFor(() => expect(smtp.messages).toHaveLength(2), 5_000)
    const redirected = smtp.messages.find((text) => text.includes('X-Sieve-Redirected-From: steve@example.org'))
    expect(redirected).toMatch(/^X-Sieve-Redirected-From: steve@example\.org\r\nReceived: /)
    expect(redirected!.endsWith(message(users.join(', ')))).toBe(true)
    expect(smtp.messages.find((text) => text !== redirected)).toContain('Subject: Auto: lunch\r\n')
    expect(
      smtp.lines
        .filter((line) => /^(?:MAIL|RCPT)/.test(line))
        .map((line) => line.replace(/ (?:SIZE|BODY).*/, ''))
        .toSorted(),
    ).toEqual([
      'MAIL FROM:<>',
      'MAIL FROM:<martin+sieve@example.net>',
      'RCPT TO:<away@example.com>',
      'RCPT TO:<martin@example.net>',
    ])
    await send(lmtpd, ['steve@example.org'], 2)
    await vi.waitFor(() => expect(smtp.messages).toHaveLength(3), 5_000)
    expect(await new Spool(join(lmtpd.root, 'user', '.outgoing'), systemClock).waiting()).toEqual([])
  })

  it('RFC 5429 §2.1.1: refuses for one recipient by lines of a reply, and the other gets it', async () => {
    await using lmtpd = await startLmtpd(users)
    await activate(lmtpd, 'steve@example.org', 'require "reject"; reject "I do not want it.\r\nReally.";')
    const [steve, pat] = await send(lmtpd, users)
    expect(steve).toBe('550-5.7.1 I do not want it.\n550 5.7.1 Really.')
    expect(pat).toMatch(/^250 /)
    expect(await lmtpd.stored('steve@example.org')).toHaveLength(0)
  })

  it('what is queued when the submission server is away is sent by the next process', async () => {
    await using smtp = await scriptedSmtp()
    await using lmtpd = await startLmtpd(users, { submit_host: '127.0.0.1', submit_port: 1 })
    await activate(lmtpd, 'steve@example.org', 'redirect "away@example.com";')
    expect((await send(lmtpd, ['steve@example.org']))[0]).toMatch(/^250 /)
    const spool = new Spool(join(lmtpd.root, 'user', '.outgoing'), systemClock)
    await vi.waitFor(async () => expect((await spool.waiting())[0]?.dueMs).toBeGreaterThan(systemClock.now()), 5_000)
    for (const waiting of await spool.waiting()) await spool.postpone(waiting, systemClock.now())
    await lmtpd.reload({ submit_port: smtp.port })
    await using next = await startLmtpd(users, {
      userdir: join(lmtpd.root, 'user'),
      submit_host: '127.0.0.1',
      submit_port: smtp.port,
    })
    expect(next.tcp.port).toBeGreaterThan(0)
    await vi.waitFor(() => expect(smtp.messages).toHaveLength(1), 5_000)
    await vi.waitFor(async () => expect(await spool.waiting()).toEqual([]))
  })

  it('a message is not acknowledged when what it makes this site send can not be queued', async () => {
    await using lmtpd = await startLmtpd(users)
    await activate(lmtpd, 'steve@example.org', 'redirect "away@example.com"; keep;')
    await writeFile(join(lmtpd.root, 'user', '.outgoing'), '')
    expect((await send(lmtpd, ['steve@example.org']))[0]).toMatch(/^4\d\d /)
  })

  it('SV-05: a shared folder takes what a script files there', async () => {
    const shared_root = [
      {
        name: 'Projects',
        path: 'projects',
        email: undefined,
        access: [{ kind: 'user' as const, name: 'steve@example.org', access: ['write'] }],
      },
    ]
    await using lmtpd = await startLmtpd(users, { shared_root })
    await lmtpd.store.tree('Shared Folders/Projects', join(lmtpd.root, 'shared', 'projects')).ensure()
    const script = 'require "fileinto"; fileinto "Shared Folders/Projects";'
    await activate(lmtpd, 'steve@example.org', script)
    await activate(lmtpd, 'pat@example.org', script)
    await send(lmtpd, users)
    await using folder = await lmtpd.store
      .tree('Shared Folders/Projects', join(lmtpd.root, 'shared', 'projects'))
      .open('INBOX')
    expect([...folder.messages]).toHaveLength(1)
    expect(await lmtpd.stored('pat@example.org')).toHaveLength(1)
  })
})
