import { unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { redirectSender } from '#src/delivery/filter/redirect.ts'
import { putMetadata } from '#src/store/metadata.ts'
import { putUses } from '#src/store/special-use.ts'
import { filterScene, lunch, steve } from './support.ts'

const inInbox = [{ mailbox: 'INBOX', flags: [], create: false }]
const errors = (log: { records: readonly { severity: string; message: string; fields: unknown }[] }) =>
  log.records.filter(({ severity }) => severity === 'err')

describe('which scripts are run', () => {
  it('SV-01: the user’s active one, unless enable_sieve is false', async () => {
    await using scene = await filterScene()
    expect((await scene.filter()).decision.placings).toEqual(inInbox)
    await scene.script('discard;')
    expect((await scene.filter()).decision.placings).toEqual([])
    scene.settings.enabled = false
    expect((await scene.filter()).decision.placings).toEqual(inInbox)
  })

  it('SV-02: the site’s one before it, on every message, as its file is now', async () => {
    await using scene = await filterScene()
    const path = join(scene.root, 'global.sieve')
    scene.settings.globalScript = path
    await writeFile(path, 'require "fileinto"; fileinto "Archive"; keep;')
    expect((await scene.filter()).decision.placings.map(({ mailbox }) => mailbox)).toEqual(['Archive', 'INBOX'])
    await scene.script('require "fileinto"; fileinto "Mine";')
    expect((await scene.filter()).decision.placings.map(({ mailbox }) => mailbox)).toEqual(['Archive', 'Mine'])
    await writeFile(path, 'discard; # what is thrown away is nothing for the user')
    expect((await scene.filter()).decision.placings).toEqual([])
    // A folder's mail, too; what it says of users is not for it.
    await unlink(path)
    expect((await scene.filter()).decision.placings.map(({ mailbox }) => mailbox)).toEqual(['Mine'])
    await scene.filter()
    expect(errors(scene.log)).toHaveLength(1)
  })

  it('one with errors is logged once and left out', async () => {
    await using scene = await filterScene()
    const path = join(scene.root, 'global.sieve')
    scene.settings.globalScript = path
    await writeFile(path, 'fileinto "x";')
    await scene.script('nonsense;')
    for (let n = 0; n < 2; n++) expect((await scene.filter()).decision.placings).toEqual(inInbox)
    expect(errors(scene.log)).toEqual([
      expect.objectContaining({ fields: expect.objectContaining({ option: 'global_sieve_script', line: 1 }) }),
      expect.objectContaining({ fields: expect.objectContaining({ user: steve, script: 'main', line: 1 }) }),
    ])
  })

  it('one that fails leaves the message in the inbox, and does nothing else', async () => {
    await using scene = await filterScene()
    await scene.script('require ["fileinto", "reject"]; fileinto "x"; redirect "a@example.org"; reject "no";')
    const { decision, sent } = await scene.filter()
    expect([decision.placings, sent]).toEqual([inInbox, []])
    expect(errors(scene.log)[0]!.message).toContain('failed')
  })
})

describe('where a message goes', () => {
  it('SV-03, SV-04: mailboxes and flags; what no store takes is left out', async () => {
    await using scene = await filterScene()
    await scene.script(`require ["fileinto", "mailbox", "special-use"];
      fileinto :create "New/Level"; fileinto :specialuse "\\\\junk" "Other"; keep;`)
    await scene.account.create('Spam')
    await putUses(scene.account, 'test', { Spam: '\\Junk' })
    expect((await scene.filter()).decision.placings).toEqual([
      { mailbox: 'New/Level', flags: [], create: true },
      { mailbox: 'Spam', flags: [], create: false },
      ...inInbox,
    ])
  })

  it('SV-03, SV-04, RFC 5232, RFC 5293: flags, and the header as the script left it, in mailboxes and in what is sent on', async () => {
    await using scene = await filterScene()
    await scene.script(`require ["fileinto", "imap4flags", "copy", "editheader", "variables", "relational", "subaddress", "date", "index"];
      setflag ["\\\\seen", "$Work", "\\\\Nonsense", "a*"];
      fileinto :copy "Before";
      addheader "X-Filter" "yes";
      if allof (header :value "ge" :comparator "i;ascii-casemap" "subject" "g", date :value "ge" "received" "year" "1970") { stop; }
      redirect :copy "away@example.net";
      keep :flags "\\\\Flagged";`)
    const { decision, sent } = await scene.filter()
    const [before, kept, ...more] = decision.placings
    expect(more).toEqual([])
    expect(before).toEqual({ mailbox: 'Before', flags: ['\\Seen', '$Work'], create: false })
    expect(kept).toMatchObject({ mailbox: 'INBOX', flags: ['\\Flagged'] })
    expect(kept!.header!.toString('latin1')).toMatch(/^X-Filter: yes\r\nReturn-Path: /)
    expect(sent[0]!.text).toMatch(/^X-Sieve-Redirected-From: steve@example\.com\r\nX-Filter: yes\r\nReceived: /)
    expect(sent[0]!.text).toMatch(/\r\n\r\nLunch\?\r\n$/)
  })

  it('SV-05: with the user’s rights in shared folders; without them in the inbox', async () => {
    const access = (name: string, permission: string) => [{ kind: 'user' as const, name, access: [permission] }]
    await using scene = await filterScene({
      sharedRoots: [
        { name: 'Projects', path: 'projects', email: undefined, access: access(steve, 'write') },
        { name: 'Read', path: 'read', email: undefined, access: access(steve, 'read') },
        { name: 'Hidden', path: 'hidden', email: undefined, access: access('other@example.com', 'all') },
      ],
    })
    for (const name of ['Projects', 'Read', 'Hidden'])
      await scene.store.tree(`Shared Folders/${name}`, join(scene.root, 'shared', name.toLowerCase())).ensure()
    const filed = async (name: string) => {
      await scene.script(`require "fileinto"; fileinto "Shared Folders/${name}";`)
      return (await scene.filter()).decision.placings
    }
    expect(await filed('Projects')).toEqual([
      {
        mailbox: 'INBOX',
        account: expect.objectContaining({ userId: 'Shared Folders/Projects' }),
        flags: [],
        create: false,
      },
    ])
    expect(await filed('Read')).toEqual(inInbox)
    expect(await filed('Hidden')).toEqual(inInbox)
    expect(scene.log.records.filter(({ message }) => message.includes('can not be done'))).toHaveLength(2)
  })

  it('the environment answers of mailboxes, uses, annotations and lists', async () => {
    await using scene = await filterScene()
    await scene.account.create('There')
    await putUses(scene.account, 'test', { There: '\\Archive' })
    await putMetadata(
      scene.account,
      { place: 'here', id: (await scene.account.findId('There'))! },
      new Map([['/private/comment', Buffer.from('Grüße').toString('latin1')]]),
    )
    const isTrue = async (test: string) => {
      await scene.script(
        `require ["mailbox", "special-use", "mboxmetadata", "servermetadata", "extlists", "enotify"]; if ${test} { discard; }`,
      )
      return (await scene.filter()).decision.placings.length === 0
    }
    expect(await isTrue('mailboxexists ["There", "INBOX"]')).toBe(true)
    expect(await isTrue('mailboxexists ["Missing"]')).toBe(false)
    expect(await isTrue('mailboxexists ["Shared Folders/x"]')).toBe(false)
    expect(await isTrue('specialuse_exists "\\\\Archive"')).toBe(true)
    expect(await isTrue('specialuse_exists "INBOX" "\\\\Archive"')).toBe(false)
    expect(await isTrue('metadata "There" "/private/Comment" "Grüße"')).toBe(true)
    expect(await isTrue('metadataexists "Missing" "/private/comment"')).toBe(false)
    expect(await isTrue('servermetadata "/shared/comment" "hello"')).toBe(true)
    expect(await isTrue('address :list "from" "tag:example.com,2026:group/friends"')).toBe(true)
    expect(await isTrue('address :list "to" "tag:example.com,2026:group/friends"')).toBe(false)
  })
})

describe('redirect', () => {
  const redirected = async (mode: number, sender?: string, from = 'martin@example.org') => {
    await using scene = await filterScene()
    scene.settings.redirect = { mode, sender, domain: 'example.com' }
    await scene.script('redirect "away@example.net";')
    return (await scene.filter({ sender: from })).sent
  }

  it('SV-06: sends the message as it came, but for what was said of this delivery', async () => {
    const [sent, ...more] = await redirected(2)
    expect(more).toEqual([])
    expect(sent).toEqual({
      kind: 'redirect',
      sender: 'martin@example.org',
      recipient: 'away@example.net',
      owner: steve,
      text: `X-Sieve-Redirected-From: ${steve}\r\n${lunch.replace(/^Return-Path.*\n/, '').replace(/\n/g, '\r\n')}`,
    })
  })

  it.each([
    ['SV-08', 0, 'bounces@example.net', 'bounces@example.net'],
    ['SV-08', 0, undefined, 'sieve@example.com'],
    ['SV-09', 1, 'bounces@example.net', 'bounces+steve@example.net'],
    ['SV-09', 1, undefined, 'sieve+steve@example.com'],
    ['SV-10', 2, 'bounces@example.net', 'martin@example.org'],
    ['SV-11', 3, 'bounces@example.net', 'martin+sieve@example.org'],
  ])('%s: mode %i, sender %s: %s', async (_, mode, sender, expected) => {
    expect((await redirected(mode, sender))[0]!.sender).toBe(expected)
    expect((await redirected(mode, sender, ''))[0]!.sender).toBe('')
  })

  it('keeps names within their length, quotes, and no detail twice', () => {
    const rules = { mode: 3, sender: undefined, domain: 'example.com' }
    expect(redirectSender('"a b"@example.org', steve, rules)).toBe('"a b+sieve"@example.org')
    expect(redirectSender('martin+sieve@example.org', steve, rules)).toBe('martin+sieve@example.org')
    const long = `${'x'.repeat(60)}@example.org`
    expect(redirectSender(long, steve, rules)).toBe(long)
  })

  it('SV-07: beyond sieve_maxredirects is left out, each with an error, and the rest is done', async () => {
    await using scene = await filterScene()
    scene.settings.maxRedirects = 2
    await scene.script(
      `require "fileinto"; ${[1, 2, 3, 4].map((n) => `redirect "a${n}@example.net";`).join('\n')} fileinto "Sent on";`,
    )
    const { decision, sent } = await scene.filter()
    expect(sent.map(({ recipient }) => recipient)).toEqual(['a1@example.net', 'a2@example.net'])
    expect(errors(scene.log)).toHaveLength(2)
    expect(decision.placings.map(({ mailbox }) => mailbox)).toEqual(['Sent on'])
  })

  it('is cut where it goes round, and the message kept', async () => {
    await using scene = await filterScene()
    await scene.script('redirect "away@example.net";')
    for (const message of [
      `X-Sieve-Redirected-From: Steve@example.com\n${lunch}`,
      'Received: x\n'.repeat(101) + lunch,
    ]) {
      const { decision, sent } = await scene.filter({ message })
      expect([decision.placings, sent]).toEqual([inInbox, []])
    }
    expect(errors(scene.log)).toHaveLength(2)
    expect((await scene.filter({ message: `X-Sieve-Redirected-From: other@example.com\n${lunch}` })).sent).toHaveLength(
      1,
    )
  })

  it('is cut between two users, whatever their names are written in', async () => {
    await using scene = await filterScene()
    const jörg = 'jörg@example.com' as UserId
    await scene.script(`redirect "${jörg}";`)
    await scene.script(`redirect "${steve}";`, jörg)
    const first = await scene.filter({ userId: jörg, address: jörg })
    const second = await scene.filter({ message: first.sent[0]!.text })
    const back = await scene.filter({ message: second.sent[0]!.text, userId: jörg, address: jörg })
    expect([back.sent, back.decision.placings]).toEqual([[], inInbox])
  })

  it('is done once for a message that is handed over twice, and again for another of its Message-ID', async () => {
    await using scene = await filterScene()
    await scene.script('redirect "away@example.net";')
    expect((await scene.filter()).sent).toHaveLength(1)
    const again = await scene.filter({ message: `Received: another time\n${lunch}` })
    expect([again.sent, again.decision.placings]).toEqual([[], []])
    expect((await scene.filter({ message: `X-Other: message\n${lunch}` })).sent).toHaveLength(1)
    scene.clock.turn(86_401)
    expect((await scene.filter()).sent).toHaveLength(1)
  })
})

describe('all that is written', () => {
  const long = 'x'.repeat(5_000)
  const hostile = `From: a@example.org
To: steve@example.com
Subject: ${long} =?utf-8?B?${Buffer.from('\r\nBcc: all@example.net').toString('base64')}?=
Message-ID: <1@example.org>\rDisposition: displayed <${long}@example.org>
References: <${long}@example.org> <0@example.org>

Lunch?
`
  it.each([
    ['vacation "a\rb\rü";', 'require "vacation";'],
    [`vacation :subject "${long}\rBcc: x@example.net" "a";`, 'require "vacation";'],
    [
      `vacation :mime "Content-Type: text/plain;\r\n x=\\"a\rBcc: x@example.net\\";\r\n y=${long}\r\n\r\nü\r.\r";`,
      'require "vacation";',
    ],
    ['reject "nö\rb";', 'require "reject";'],
    [
      `notify :message "${long}\rBcc: x@example.net" "mailto:b@example.org?keywords=${long.slice(0, 1_500)}";`,
      'require "enotify";',
    ],
    ['notify "mailto:b@example.org?keywords=a%0D%0ABcc:x@example.net&body=a%0Db";', 'require "enotify";'],
  ])('has lines that mail may have, whatever is said (%#)', async (command, needed) => {
    await using scene = await filterScene()
    await scene.script(`${needed} ${command}`)
    const [letter] = (await scene.filter({ message: hostile })).sent
    const lines = letter!.text.split('\r\n')
    expect(lines.filter((line) => line.length > 998 || /[\r\n\0]/.test(line))).toEqual([])
    expect(lines.filter((line) => /^(?:Bcc|Disposition: displayed)/i.test(line))).toEqual([])
    const header = lines.slice(0, lines.indexOf(''))
    expect(header.filter((line) => !/^(?:[!-9;-~]+: ?|[ \t])/.test(line) || /[^\t -~]/.test(line))).toEqual([])
    const names = header.flatMap((line) => /^[^:\s]+(?=:)/.exec(line)?.[0].toLowerCase() ?? [])
    expect(new Set(names).size).toBe(names.length)
    if (/[\x80-\xff]/.test(letter!.text)) expect(letter!.text).toMatch(/^Content-Transfer-Encoding: 8bit\r\n/m)
  })
})

describe('what was done before', () => {
  const script = `require ["vacation", "duplicate", "copy", "fileinto"];
    redirect :copy "away@example.net"; vacation "Gone fishing."; if duplicate { fileinto "Again"; }`

  it('SV-12: is known to messages of the same moment, and to one message for two addresses of a user', async () => {
    await using scene = await filterScene()
    await scene.script(script)
    const all = await Promise.all([steve, 'stefan@example.com', steve].map((address) => scene.filter({ address })))
    expect(all.flatMap(({ sent }) => sent.map(({ kind }) => kind))).toEqual(['redirect', 'vacation'])
    expect(all.map(({ decision }) => decision.placings.map(({ mailbox }) => mailbox))).toEqual([
      ['INBOX'],
      ['Again'],
      ['Again'],
    ])
  })

  it('sends on, answers nobody and calls nothing a duplicate where it can not be read', async () => {
    await using scene = await filterScene()
    await scene.script(script)
    scene.track.find = async () => {
      throw new Error('no such device')
    }
    const { decision, sent } = await scene.filter()
    expect(sent.map(({ kind }) => kind)).toEqual(['redirect'])
    expect(decision.placings).toEqual(inInbox)
    expect(errors(scene.log).length).toBeGreaterThan(0)
  })
})

describe('vacation', () => {
  it('SV-12, RFC 5230 §4.2: answers once in the period, by handle, and who writes at another time', async () => {
    await using scene = await filterScene()
    await scene.script('require "vacation"; vacation :days 2 "Gone fishing.";')
    const { decision, sent } = await scene.filter()
    expect(decision.placings).toEqual(inInbox)
    expect(sent.map(({ kind, sender, recipient, owner }) => [kind, sender, recipient, owner])).toEqual([
      ['vacation', '', 'martin@example.org', steve],
    ])
    expect((await scene.filter()).sent).toEqual([])
    expect((await scene.filter({ sender: 'anna@example.org' })).sent).toHaveLength(1)
    scene.clock.turn(2 * 86_400 + 1)
    expect((await scene.filter()).sent).toHaveLength(1)
    await scene.script('require "vacation"; vacation "Another text.";')
    expect((await scene.filter()).sent).toHaveLength(1)
  })

  it('RFC 5230 §5: is a message that says what it is', async () => {
    await using scene = await filterScene()
    await scene.script('require "vacation"; vacation "Gone fishing: Grüße.";')
    const [reply] = (await scene.filter()).sent
    expect(reply!.text).toBe(
      [
        'From: steve@example.com',
        'To: martin@example.org',
        'Subject: =?UTF-8?Q?Auto=3A_Gr=C3=BC=C3=9Fe?=',
        'In-Reply-To: <1@example.org>',
        'References: <0@example.com> <1@example.org>',
        'Auto-Submitted: auto-replied (vacation)',
        'X-Auto-Response-Suppress: All',
        'Date: Sun, 22 Nov 2026 12:00:00 +0000',
        /^Message-ID: <.*>$/m.exec(reply!.text)![0],
        'Content-Transfer-Encoding: quoted-printable',
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=utf-8',
        '',
        'Gone fishing: Gr=C3=BC=C3=9Fe.',
        '',
      ].join('\r\n'),
    )
  })

  it('§4.1, §4.3: :subject, :from and :mime, whose header says nothing but what the content is', async () => {
    await using scene = await filterScene()
    await scene.script(`require "vacation"; vacation :mime :subject "Weg" :from "Steve <stefan@example.com>" text:
Content-Type: text/html
X-Evil: x
Bcc: all@example.com

<b>weg</b>
.
;`)
    const { text } = (await scene.filter()).sent[0]!
    expect(text).toMatch(/^From: Steve <stefan@example\.com>\r\nTo: martin@example\.org\r\nSubject: Weg\r\n/)
    expect(text).toMatch(/MIME-Version: 1\.0\r\nContent-Type: text\/html\r\n\r\n<b>weg<\/b>\r\n$/)
    expect(text).not.toMatch(/Evil|Bcc/)
  })

  it.each([
    ['a null sender', lunch, ''],
    ['a mailer daemon', lunch, 'MAILER-DAEMON@example.org'],
    ['nobody who reads', lunch, 'no-reply@example.org'],
    ['the owner of a list', lunch, 'owner-list@example.org'],
    ['a list’s address', lunch, 'list-request@example.org'],
    ['the user', lunch, 'stefan@example.com'],
    ['an automatic message', `Auto-Submitted: auto-generated\n${lunch}`, undefined],
    ['a mailing list', `List-Id: <x.example.org>\n${lunch}`, undefined],
    ['bulk mail', `Precedence: bulk\n${lunch}`, undefined],
    ['who asks for none', `X-Auto-Response-Suppress: DR, OOF\n${lunch}`, undefined],
    ['a message for others', lunch.replace('To: steve@example.com', 'To: list@example.net'), undefined],
  ])('RFC 5230 §4.5, §4.6: does not answer %s', async (_, message, sender) => {
    await using scene = await filterScene()
    await scene.script('require "vacation"; vacation "x";')
    expect((await scene.filter({ message, sender: sender ?? 'martin@example.org' })).sent).toEqual([])
  })

  it('RFC 5230 §4.5: answers what is to any address of the user, also one that the script names', async () => {
    await using scene = await filterScene()
    await scene.script(
      'require "vacation"; vacation :seconds 0 :addresses "s@example.net" "x";'.replace(
        '"vacation"',
        '"vacation-seconds"',
      ),
    )
    for (const to of ['Stefan <stefan@example.com>', 'S@example.net', 'a@example.org, steve@example.com'])
      expect(
        (await scene.filter({ message: lunch.replace('To: steve@example.com', `Cc: ${to}`) })).sent,
        to,
      ).toHaveLength(1)
    expect((await scene.filter({ message: `Auto-Submitted: no\n${lunch}` })).sent).toHaveLength(1)
  })
})

describe('RFC 5429: reject', () => {
  it('refuses in the protocol, and stores nothing', async () => {
    await using scene = await filterScene()
    for (const command of ['reject', 'ereject']) {
      await scene.script(`require "${command}"; ${command} "I don't want it.\r\nReally.";`)
      const { decision, sent } = await scene.filter()
      expect(decision.refusal).toEqual({ text: "I don't want it.\r\nReally." })
      expect([decision.placings, sent]).toEqual([[], []])
    }
  })

  it('§2.1.2: by a report where the text can’t stand in a reply, unless that could go round', async () => {
    await using scene = await filterScene()
    await scene.script('require "reject"; reject "Schöne Grüße";')
    const { decision, sent } = await scene.filter()
    expect([decision.placings, decision.refusal]).toEqual([[], undefined])
    expect(sent[0]).toMatchObject({ kind: 'reject', sender: '', recipient: 'martin@example.org' })
    expect(sent[0]!.text).toContain('Content-Type: multipart/report; report-type=disposition-notification;')
    expect(sent[0]!.text).toContain(
      'Final-Recipient: rfc822; steve@example.com\r\nOriginal-Message-ID: <1@example.org>\r\nDisposition: automatic-action/MDN-sent-automatically; deleted\r\n',
    )
    expect(sent[0]!.text).toContain('Auto-Submitted: auto-replied (rejected)\r\n')
    expect((await scene.filter({ sender: '' })).decision.refusal).toEqual({ text: 'Schone Gru?e' })
    await scene.script('require "ereject"; ereject "Schöne Grüße";')
    expect((await scene.filter()).decision.refusal).toEqual({ text: 'Schone Gru?e' })
  })
})

describe('RFC 5436: notify', () => {
  it('§2.7: the example, once for each address', async () => {
    await using scene = await filterScene()
    await scene.script(`require "enotify";
      notify :importance "3" :message "From list: ü" "mailto:0123456789@sms.example.net?to=backup@example.com&Keywords=a%0d%0aBcc:%20x@y";
      notify "mailto:backup@example.com";`)
    const { decision, sent } = await scene.filter()
    expect(decision.placings).toEqual(inInbox)
    expect(sent.map(({ sender, recipient }) => [sender, recipient])).toEqual([
      [steve, '0123456789@sms.example.net'],
      [steve, 'backup@example.com'],
    ])
    expect(sent[0]!.text).toMatch(
      /^Auto-Submitted: auto-notified; owner-email="steve@example\.com"\r\nFrom: steve@example\.com\r\n/,
    )
    expect(sent[0]!.text).toContain('To: 0123456789@sms.example.net, backup@example.com\r\n')
    expect(sent[0]!.text).toContain('Subject: =?UTF-8?Q?From_list=3A_=C3=BC?=\r\nImportance: Low\r\n')
    expect(sent[0]!.text).not.toMatch(/^Bcc/m)
  })

  it('§2.7: not of automatic messages; the null sender stays', async () => {
    await using scene = await filterScene()
    await scene.script('require "enotify"; notify :from "s@example.net" "mailto:a@example.org";')
    expect((await scene.filter({ message: `Auto-Submitted: auto-notified\n${lunch}` })).sent).toEqual([])
    const [sent] = (await scene.filter({ sender: '' })).sent
    expect(sent).toMatchObject({ sender: '', text: expect.stringContaining('From: s@example.net\r\n') })
  })
})

describe('RFC 7352, RFC 8580', () => {
  it('duplicate: remembered for its period', async () => {
    await using scene = await filterScene()
    await scene.script('require "duplicate"; if duplicate :seconds 60 { discard; }')
    expect((await scene.filter()).decision.placings).toEqual(inInbox)
    expect((await scene.filter()).decision.placings).toEqual([])
    scene.clock.turn(61)
    expect((await scene.filter()).decision.placings).toEqual(inInbox)
  })

  it('fcc: a copy of the answer is stored; without a place for it the answer goes all the same', async () => {
    await using scene = await filterScene()
    await scene.script('require ["vacation", "fcc", "mailbox"]; vacation :fcc "Sent" :create "Gone.";')
    const { sent } = await scene.filter()
    await using mailbox = await scene.account.open('Sent')
    const [record] = mailbox.messages
    await using content = await mailbox.content(record!)
    expect((await content.read(0, content.sizeOctets)).toString('latin1')).toBe(sent[0]!.text)
    await scene.script('require ["vacation", "fcc"]; vacation :fcc "Missing" "Gone again.";')
    expect((await scene.filter()).sent).toHaveLength(1)
  })
})

it('a user whose script names another user’s mailbox gets nothing from it', async () => {
  await using scene = await filterScene()
  const other = scene.store.account('anna@example.com' as UserId)
  await other.ensure()
  await scene.script('require "fileinto"; fileinto "Other Users/anna@example.com/INBOX";')
  expect((await scene.filter()).decision.placings).toEqual(inInbox)
})
