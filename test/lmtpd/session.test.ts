/** What an lmtpd does with mail, seen by its clients and in its store. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { changeAcl } from '#src/sharing/personal-acl.ts'
import { parseRights } from '#src/sharing/rights.ts'
import { password, type RunningLmtpd, startLmtpd, storedIn, withoutTrace } from './support.ts'
import { LmtpClient } from './transcript.ts'

const message = (subject: string) => `Subject: ${subject}\r\n\r\ntext\r\n`
const quota = (kb: number) => ({ properties: [['mboxMessageSizeQuota', String(kb)]] as const })

let lmtpd: RunningLmtpd
const files: ConfigOverrides = {
  shared_root: [{ name: 'archive', path: 'archive', email: 'archive@example.org', access: [] }],
}
beforeAll(async () => {
  lmtpd = await startLmtpd(
    [
      'anna@example.org',
      'new@example.org',
      'whole+plus@example.org',
      {
        id: 'alias@example.org',
        properties: [
          ['mailLocalAddress', 'jaz@example.com'],
          ['mailLocalAddress', 'j+z@example.com'],
        ],
      },
      { id: 'twin1@example.org', properties: [['mailLocalAddress', 'twin@example.com']] },
      { id: 'twin2@example.org', properties: [['mailLocalAddress', 'twin@example.com']] },
      { id: 'off@example.org', state: 'disabled' },
      { id: 'moving@example.org', state: 'migrating' },
      { id: 'full@example.org', ...quota(1) },
      { id: 'filling@example.org', ...quota(2) },
    ],
    files,
    { tls: true },
  )
})
afterAll(() => lmtpd.stop())

const greeted = (at: Parameters<typeof LmtpClient.open>[0] = lmtpd.tcp) => LmtpClient.greeted(at)
const rcpt = async (to: string, mail = 'MAIL FROM:<a@b.example>') => {
  const client = await greeted()
  await client.say(mail)
  const reply = await client.say(`RCPT TO:<${to}>`)
  client.destroy()
  return reply
}
const deliver = async (to: string, text: string) => {
  const client = await greeted()
  const [reply] = await client.deliver('a@b.example', [to], text)
  client.destroy()
  return reply
}

describe('the Unix socket (LMTP-01)', () => {
  it('takes mail, offers neither STARTTLS nor AUTH, and is for its owner and group only', async () => {
    expect((await stat(lmtpd.unix.path)).mode & 0o777).toBe(0o660)
    const client = await LmtpClient.open(lmtpd.unix)
    await client.reply()
    const hello = await client.say('LHLO mx.example')
    expect(hello).toMatch(/\n250 XFORWARD /)
    expect(hello).not.toMatch(/STARTTLS|AUTH/)
    await client.deliver('a@b.example', ['anna@example.org'], message('by the socket'))
    const octets = (await lmtpd.stored('anna@example.org')).at(-1)!.toString()
    expect(octets).toMatch(
      /^Return-Path: <a@b\.example>\r\nReceived: from mx\.example\r\n\tby \S+ with LMTP id [0-9A-Z]{13}/,
    )
    expect(await client.say('QUIT')).toMatch(/^221 2\.0\.0 /)
    await client.closed()
  })
})

describe('who an address is', () => {
  it('is nobody, or one who takes no mail', async () => {
    expect(await rcpt('nobody@example.org')).toBe('550 5.1.1 <nobody@example.org> is nobody here')
    expect(await rcpt('anna@elsewhere.example')).toMatch(/^550 5\.1\.1 /)
    expect(await rcpt('off@example.org')).toBe('550 5.2.1 the account is disabled')
  })

  it('is an account by mailLocalAddress (LMTP-09), in any case, and by one that is added meanwhile', async () => {
    for (const to of [
      'jaz@example.com',
      'JAZ@Example.COM',
      'j+z@example.com',
      'alias@example.org',
      'Alias@example.org',
    ])
      expect(await deliver(to, message(to)), to).toMatch(/^250 2\.0\.0 /)
    expect(await lmtpd.stored('alias@example.org')).toHaveLength(5)
    expect(await rcpt('jaz@example.org')).toMatch(/^550 5\.1\.1 /)
  })

  it('is not guessed where two accounts have it', async () => {
    expect(await rcpt('twin@example.com')).toMatch(/^451 4\.3\.0 /)
    expect(lmtpd.records.some(({ fields }) => String(fields.cause).includes('belongs to twin'))).toBe(true)
  })

  it('is a user of the gateway, who has mail here and no account', async () => {
    await lmtpd.store.account('gate@example.org' as UserId).ensure()
    expect(await deliver('gate@example.org', message('gateway'))).toMatch(/^250 /)
    expect(await lmtpd.stored('gate@example.org')).toHaveLength(1)
  })

  it('is a mailbox behind a plus, where there is one that anyone may post to (RFC 4314 §4, RFC 5233)', async () => {
    const account = lmtpd.store.account('anna@example.org' as UserId)
    await account.ensure()
    for (const name of ['lists/a', 'private']) await account.create(name)
    await changeAcl(lmtpd.store, account.userId, 'lists/a', 'anyone', { mode: 'set', rights: parseRights('p') })
    const before = (await lmtpd.stored('anna@example.org')).length
    for (const detail of ['lists/a', 'private', 'missing', '', '../x', 'a//b'])
      expect(await deliver(`anna+${detail}@example.org`, message(detail)), detail).toMatch(/^250 /)
    expect(await lmtpd.stored('anna@example.org', 'lists/a')).toHaveLength(1)
    expect(await lmtpd.stored('anna@example.org', 'private')).toHaveLength(0)
    expect(await lmtpd.stored('anna@example.org')).toHaveLength(before + 5)
    // A user whose id has a plus.
    expect(await deliver('whole+plus@example.org', message('whole'))).toMatch(/^250 /)
    expect(await lmtpd.stored('whole+plus@example.org')).toHaveLength(1)
  })

  it('is a shared root, or a mailbox below it (LMTP-10)', async () => {
    await mkdir(join(lmtpd.root, 'shared'), { recursive: true })
    expect(await deliver('archive@example.org', message('top'))).toMatch(/^250 /)
    const tree = lmtpd.store.tree('Shared Folders/archive', join(lmtpd.root, 'shared', 'archive'))
    await tree.create('leads/john')
    expect(await deliver('archive+leads/john@example.org', message('below'))).toMatch(/^250 /)
    expect(await storedIn(tree, 'INBOX')).toHaveLength(1)
    expect(await storedIn(tree, 'leads/john')).toHaveLength(1)
  })

  it('with auto_migrate waits where nobody knows whether the old server has the account again', async () => {
    expect(await rcpt('moving@example.org')).toMatch(/^250 /)
    await lmtpd.reload({ ...files, auto_migrate: true })
    expect(await rcpt('moving@example.org')).toMatch(/^451 4\.3\.0 /)
    await lmtpd.reload(files)
  })
})

describe('over quota (LMTP-04, QUO-06)', () => {
  it('is said at RCPT, and behind a message that has no room', async () => {
    expect(await rcpt('full@example.org', 'MAIL FROM:<> SIZE=2000')).toBe('452 4.2.2 the mailbox is full')
    expect(await deliver('full@example.org', message('x'.repeat(3_000)))).toMatch(/^452 4\.2\.2 <full@example\.org> /)
    await lmtpd.reload({ ...files, over_quota_temp_error: false })
    expect(await deliver('filling@example.org', message('x'.repeat(1_500)))).toMatch(/^250 /)
    expect(await rcpt('filling@example.org', 'MAIL FROM:<> SIZE=1000')).toBe('552 5.2.2 the mailbox is full')
    expect(await deliver('full@example.org', message('x'.repeat(3_000)))).toMatch(/^552 5\.2\.2 <full@example\.org> /)
    await lmtpd.reload(files)
  })
})

describe('a missing INBOX (LMTP-07)', () => {
  it('is made, unless lmtp_autocreate says no', async () => {
    await lmtpd.reload({ ...files, lmtp_autocreate: false })
    expect(await rcpt('new@example.org')).toBe('550 5.1.1 the user has no inbox yet')
    await lmtpd.reload(files)
    expect(await deliver('new@example.org', message('first'))).toMatch(/^250 /)
    expect(await lmtpd.stored('new@example.org')).toHaveLength(1)
  })
})

describe('the trace (LMTP-11, RFC 3848)', () => {
  const lastReceived = async () =>
    /with (\S+) id/.exec((await lmtpd.stored('anna@example.org')).at(-1)!.toString())?.[1]
  it('has the registered transmission types', async () => {
    const client = await greeted()
    await client.deliver('a@b.example', ['anna@example.org'], message('plain'))
    expect(await lastReceived()).toBe('LMTP')
    const plain = Buffer.from(`\0anna@example.org\0${password}`).toString('base64')
    expect(await client.say(`AUTH PLAIN ${plain}`)).toMatch(/^235 /)
    await client.deliver('a@b.example', ['anna@example.org'], message('logged in'))
    expect(await lastReceived()).toBe('LMTPA')
    client.destroy()
    const secure = await greeted()
    await secure.say('STARTTLS')
    await secure.startTls()
    await secure.say('LHLO client.example')
    await secure.deliver('a@b.example', ['anna@example.org'], message('by TLS'))
    expect(await lastReceived()).toBe('LMTPS')
    await secure.say(`AUTH PLAIN ${plain}`)
    await secure.say('MAIL FROM:<jö@b.example> SMTPUTF8'.replace('ö', '\xc3\xb6'))
    await secure.say('RCPT TO:<anna@example.org>')
    await secure.say('DATA')
    expect(await secure.say(`${message('in UTF-8')}.`)).toMatch(/^250 /)
    expect(await lastReceived()).toBe('UTF8LMTPSA')
    secure.destroy()
  })
})

describe('who is believed', () => {
  it('may tell where a message is from, and need not log in', async () => {
    const stranger = await greeted()
    expect(await stranger.say('XFORWARD ADDR=203.0.113.9')).toMatch(/^550 5\.7\.1 /)
    stranger.destroy()
    await lmtpd.reload({ ...files, lmtp_auth_required: true })
    expect(await rcpt('anna@example.org')).toMatch(/^530 /)
    const asked = await greeted()
    expect(await asked.say('MAIL FROM:<>')).toMatch(/^530 5\.7\.0 /)
    asked.destroy()
    await lmtpd.reload({
      ...files,
      lmtp_auth_required: true,
      lmtp_trusted_hosts: [{ address: '127.0.0.0', prefix: 8 }],
    })
    const trusted = await greeted()
    expect(await trusted.say('XFORWARD NAME=spike.porcupine.org ADDR=168.100.189.2 PROTO=ESMTP')).toMatch(/^250 /)
    expect(await trusted.say('XFORWARD HELO=spike.porcupine.org SOURCE=[UNAVAILABLE]')).toMatch(/^250 /)
    expect(await trusted.say('XFORWARD FOO=1')).toMatch(/^501 5\.5\.4 /)
    await trusted.deliver('a@b.example', ['anna@example.org'], message('forwarded'))
    trusted.destroy()
    await lmtpd.reload(files)
    expect(lmtpd.records.findLast(({ fields }) => fields.origin !== undefined)).toMatchObject({
      severity: 'info',
      message: 'delivered',
      fields: { origin: '168.100.189.2', from: 'a@b.example', to: 'anna@example.org', mailbox: 'INBOX' },
    })
  })
})

describe('a session', () => {
  it('is logged and announced while it lasts (LMTP-12)', async () => {
    const client = await greeted()
    const session = [...lmtpd.bus.announced]
      .map(({ presence }) => presence)
      .find(({ sessionId }) => sessionId !== undefined)
    expect(session).toMatchObject({ service: 'lmtp', clientAddress: '127.0.0.1', activity: 'connected' })
    await client.say('QUIT')
    await client.closed()
    await expect.poll(() => lmtpd.bus.announced.size).toBe(0)
    const infos = lmtpd.records.filter(({ severity }) => severity === 'info').map(({ message }) => message)
    expect(infos).toContain('connection')
    expect(infos.at(-1)).toBe('connection closed')
  })

  it('keeps the octets of a message, whatever they are', async () => {
    const odd = [
      'Subject: odd\r\n\r\n..\r\n.\n.\r\r\n\0\xff\n\r\n',
      '\r\n',
      'no header',
      '.',
      `X: y\r\n\r\n${'z'.repeat(100_000)}\r\n.end\r\n`,
    ]
    const before = (await lmtpd.stored('anna@example.org')).length
    for (const text of odd) expect(await deliver('anna@example.org', text)).toMatch(/^250 /)
    const stored = (await lmtpd.stored('anna@example.org')).slice(before).map(withoutTrace)
    expect(stored).toEqual(odd.map((text) => (text.endsWith('\r\n') ? text : `${text}\r\n`)))
  })

  it('takes so many recipients, and the others in another transaction (RFC 5321 §4.5.3.1.10)', async () => {
    const client = await greeted()
    await client.say('MAIL FROM:<>')
    client.write('RCPT TO:<anna@example.org>\r\n'.repeat(1_001))
    for (let left = 1_000; left > 0; left--) expect(await client.reply()).toMatch(/^250 2\.1\.5 /)
    expect(await client.reply()).toMatch(/^452 4\.5\.3 /)
    client.destroy()
  })

  it('leaves nothing of a message whose client goes in the middle of it', async () => {
    const before = (await lmtpd.stored('anna@example.org')).length
    const client = await greeted()
    await client.say('MAIL FROM:<>')
    await client.say('RCPT TO:<anna@example.org>')
    await client.say('DATA')
    client.write('Subject: half\r\n\r\nha')
    client.destroy()
    await expect.poll(() => lmtpd.bus.announced.size).toBe(0)
    expect(await lmtpd.stored('anna@example.org')).toHaveLength(before)
  })

  it('ends after many lines that are no commands', async () => {
    const client = await greeted()
    client.write('FOO\r\n'.repeat(25))
    for (let left = 20; left > 0; left--) expect(await client.reply()).toMatch(/^500 5\.5\.2 /)
    await client.closed()
  })
})
