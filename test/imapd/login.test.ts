/** Getting in: LOGIN, AUTHENTICATE, what is offered, what is refused, and how often. RFC 3501 §6.2, RFC 4959, RFC 5530 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mechanisms } from '#src/auth/sasl/offer.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { options } from '#src/config/options.ts'
import type { Circumstances } from '#src/imapd/command.ts'
import { commands } from '#src/imapd/commands/index.ts'
import { formatCapability } from '#src/proto/imap/response.ts'
import { startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
const plain = (text: string) => Buffer.from(text).toString('base64')

let tlsDirectory: string
beforeAll(() => {
  tlsDirectory = mkdtempSync(join(tmpdir(), 'imapd-tls-'))
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', join(tlsDirectory, 'key.pem'), '-out', join(tlsDirectory, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', '-days', '2', '-subj', '/CN=localhost', ...key, ...files], {
    stdio: 'ignore',
  })
})
afterAll(() => rmSync(tlsDirectory, { recursive: true }))
const tls = () => ({ tls_cert_file: join(tlsDirectory, 'cert.pem'), tls_key_file: join(tlsDirectory, 'key.pem') })

/** Of the product's conformance list and the LEMONADE profile (RFC 4550), behind the login. */
const promised =
  'IMAP4rev1 LITERAL+ QUOTA IDLE NAMESPACE BINARY UNSELECT ACL UIDPLUS URLAUTH CATENATE CONDSTORE ESEARCH COMPRESS=DEFLATE WITHIN ENABLE QRESYNC SORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS LIST-EXTENDED CONTEXT=SEARCH CONTEXT=SORT ESORT SPECIAL-USE CREATE-SPECIAL-USE MOVE SEARCH=INTHREAD'.split(
    ' ',
  )

describe('the greeting', () => {
  it('IMAP-11, IX-11: greets at once, and tells the capabilities that the commands bring', async () => {
    await using imapd = await startImapd([user])
    const peer = await Peer.open(imapd)
    const greeting = await peer.line()
    const [, list] = /^\* OK \[CAPABILITY ([^\]]*)\] /.exec(greeting)!
    const names = list!.split(' ')
    expect(names).toEqual([...new Set(names)])
    expect(names).toEqual(
      expect.arrayContaining(['IMAP4rev1', 'LITERAL+', 'SASL-IR', 'AUTH=SCRAM-SHA-256', 'AUTH=PLAIN', 'IDLE', 'ID']),
    )
    expect(await peer.command('a', 'CAPABILITY')).toEqual([`* CAPABILITY ${list}`, 'a OK CAPABILITY completed'])
    const [ok] = await peer.command('b', `LOGIN ${user} secret`)
    expect(ok).toMatch(/^b OK \[CAPABILITY IMAP4rev1 /)
    expect(ok).not.toMatch(/\bAUTH=/)
    expect(/\[CAPABILITY ([^\]]*)\]/.exec(ok!)![1]!.split(' ')).toEqual(expect.arrayContaining(promised))
    // RFC 4314: of use behind the login only.
    expect(ok).toMatch(/ ACL RIGHTS=kxte\b/)
  })

  it('has room in 1,000 octets with every mechanism there is: some clients take no longer lines', () => {
    const offer = { passwords: true, mechanisms: mechanisms.map(({ name }) => name) }
    const always = { byAdministrator: true, gatewayMode: false, appendOctets: 268_435_456, offer }
    const lineOf = (circumstances: Circumstances) =>
      formatCapability([...commands.values()].flatMap((row) => row.capabilities?.(circumstances) ?? []))
    for (const loggedIn of [false, true])
      expect(lineOf({ ...always, loggedIn, canUpgrade: !loggedIn, isCompressed: false }).length).toBeLessThan(900)
  })

  it('RFC 2971 §7: logs what a client says of itself once, and not all of it', async () => {
    await using imapd = await startImapd([user])
    const peer = await Peer.open(imapd)
    await peer.line()
    for (const value of ['first', 'second'])
      expect(await peer.command('a', `ID ("name" "${value}${'x'.repeat(1000)}" "os" NIL)`)).toEqual([
        '* ID ("name" "Wherry")',
        'a OK ID completed',
      ])
    const records = imapd.records.filter(({ message }) => message === 'client identifies itself')
    expect(records.map(({ fields }) => fields.id)).toEqual([expect.stringMatching(/^name=firstx{490}$/)])
  })

  it('IMAP-08: with login_disabled no password is taken or offered without TLS', async () => {
    await using imapd = await startImapd([user], { login_disabled: true, ...tls() })
    const peer = await Peer.open(imapd)
    const greeting = await peer.line()
    expect(greeting).toContain(' LOGINDISABLED')
    expect(greeting).toContain(' STARTTLS')
    expect(greeting).not.toMatch(/AUTH=(PLAIN|LOGIN)/)
    expect(await peer.command('a', `LOGIN ${user} secret`)).toEqual([
      expect.stringMatching(/^a NO \[PRIVACYREQUIRED\] /),
    ])
    expect(await peer.command('b', `AUTHENTICATE PLAIN ${plain(`\0${user}\0secret`)}`)).toEqual([
      expect.stringMatching(/^b NO \[PRIVACYREQUIRED\] /),
    ])
    expect((await peer.command('c', 'STARTTLS'))[0]).toMatch(/^c OK /)
    const secure = await peer.startTls()
    const [again] = await secure.command('d', 'CAPABILITY')
    expect(again).not.toContain('LOGINDISABLED')
    expect(again).not.toContain('STARTTLS')
    // AUTH-09
    expect(again).toContain('AUTH=PLAIN')
    expect((await secure.command('e', `LOGIN ${user} secret`))[0]).toMatch(/^e OK /)
  })

  it('GW-14: in gateway mode a password wants TLS, unless the administrator gave that up', async () => {
    const says = async (settings: ConfigOverrides): Promise<readonly [string, string, string]> => {
      await using imapd = await startImapd([], { gateway_mode: true, ...tls(), ...settings })
      const peer = await Peer.open(imapd)
      const greeting = await peer.line()
      const [clear] = await peer.command('a', `LOGIN ${user} secret`)
      await peer.command('b', 'STARTTLS')
      const [secure] = await (await peer.startTls()).command('c', `LOGIN ${user} secret`)
      return [greeting, clear!, secure!]
    }
    // No ms_syncd runs: a login that may be tried ends there.
    const [greeting, clear, secure] = await says({ login_disabled: options.login_disabled.default })
    expect(greeting).toContain(' LOGINDISABLED')
    expect(clear).toMatch(/^a NO \[PRIVACYREQUIRED\] /)
    expect(secure).toMatch(/^c NO \[UNAVAILABLE\] /)
    const [open, taken] = await says({ login_disabled: false })
    expect(open).not.toContain('LOGINDISABLED')
    expect(taken).toMatch(/^a NO \[UNAVAILABLE\] /)
  })

  it('GW-13: in gateway mode AUTHENTICATE is neither offered nor taken', async () => {
    await using imapd = await startImapd([], { gateway_mode: true })
    const peer = await Peer.open(imapd)
    expect(await peer.line()).not.toMatch(/\bAUTH=|\bSASL-IR\b/)
    expect(await peer.command('a', 'AUTHENTICATE PLAIN')).toEqual([
      'a NO [CANNOT] AUTHENTICATE is not available in gateway mode, use LOGIN',
    ])
    expect(await peer.command('b', 'LOGIN anna@example.org secret')).toEqual([
      expect.stringMatching(/^b NO \[UNAVAILABLE\] /),
    ])
  })
})

describe('AUTHENTICATE', () => {
  it('takes PLAIN with and without initial response, and LOGIN', async () => {
    await using imapd = await startImapd([user])
    const scripts = [
      [`a AUTHENTICATE PLAIN ${plain(`\0${user}\0secret`)}`],
      ['a AUTHENTICATE PLAIN', plain(`${user}\0${user}\0secret`)],
      ['a AUTHENTICATE LOGIN', plain(user), plain('secret')],
      [`a authenticate login ${plain(user)}`, plain('secret')],
    ]
    for (const [first, ...responses] of scripts) {
      const peer = await Peer.open(imapd)
      await peer.line()
      peer.write(`${first}\r\n`)
      for (const response of responses) {
        expect(await peer.line()).toMatch(/^\+ /)
        peer.write(`${response}\r\n`)
      }
      expect(await peer.line(), first).toMatch(/^a OK \[CAPABILITY /)
      peer.destroy()
    }
  })

  it('H13: refuses what is cancelled, no base64, no PLAIN message, or for somebody else; the session goes on', async () => {
    await using imapd = await startImapd([user])
    const refused: [string, RegExp][] = [
      ['*', /^a BAD /],
      ['====', /^a BAD /],
      [plain('no NUL at all'), /^a BAD /],
      [plain(`boss@example.org\0${user}\0secret`), /^a NO \[AUTHORIZATIONFAILED\] /],
      [plain(`\0${user}\0wrong`), /^a NO \[AUTHENTICATIONFAILED\] /],
      [plain(`\0${user}\0`), /^a NO \[AUTHENTICATIONFAILED\] /],
    ]
    for (const [response, reply] of refused) {
      const peer = await Peer.open(imapd)
      await peer.line()
      peer.write('a AUTHENTICATE PLAIN\r\n')
      expect(await peer.line()).toBe('+ ')
      peer.write(`${response}\r\n`)
      expect(await peer.line()).toMatch(reply)
      expect((await peer.command('b', `LOGIN ${user} secret`)).at(-1)).toMatch(/^b OK /)
      peer.destroy()
    }
    expect(await firstReply(imapd, 'a AUTHENTICATE SCRAM-SHA-999')).toMatch(/^a NO \[CANNOT\] /)
  })
})

describe('LOGIN', () => {
  it('IMAP-02: makes the account and its INBOX; IMAP-07: tells the alert', async () => {
    await using imapd = await startImapd([user], { login_alert: 'System upgrade on April 8th' })
    const peer = await Peer.open(imapd)
    await peer.line()
    expect(await peer.command('a', `LOGIN ${user} {6+}\r\nsecret`)).toEqual([
      '* OK [ALERT] System upgrade on April 8th',
      expect.stringMatching(/^a OK /),
    ])
    expect(await peer.command('b', 'LIST "" *')).toEqual([
      '* LIST (\\HasNoChildren) "/" INBOX',
      expect.stringMatching(/^b OK /),
    ])
  })

  it('says the same of an unknown user and a wrong password, and ends a guessing session', async () => {
    await using imapd = await startImapd([user])
    const peer = await Peer.open(imapd)
    await peer.line()
    const [wrong] = await peer.command('a', `LOGIN ${user} wrong`)
    const [unknown] = await peer.command('a', 'LOGIN nobody@example.org wrong')
    expect(wrong).toBe('a NO [AUTHENTICATIONFAILED] Unknown user or wrong password')
    expect(unknown).toBe(wrong)
    await peer.command('a', `LOGIN ${user} wrong`)
    await peer.closed()
  })

  it('no password reaches a log record, an announcement or an event', async () => {
    await using imapd = await startImapd([user])
    for (const command of [
      `LOGIN ${user} secret`,
      `LOGIN ${user} hunter2`,
      `AUTHENTICATE PLAIN ${plain(`\0${user}\0secret`)}`,
    ]) {
      const peer = await Peer.open(imapd)
      await peer.line()
      await peer.command('a', command)
      const seen = JSON.stringify([imapd.records, [...imapd.bus.announced], imapd.bus.published])
      expect(seen).toContain(user)
      for (const secret of ['secret', 'hunter2', plain('secret'), plain(`\0${user}\0secret`)])
        expect(seen).not.toContain(secret)
      peer.destroy()
    }
  })
})

async function firstReply(imapd: { host: string; port: number }, command: string): Promise<string> {
  const peer = await Peer.open(imapd)
  await peer.line()
  peer.write(`${command}\r\n`)
  const line = await peer.line()
  peer.destroy()
  return line
}

describe('a name as its owner typed it', () => {
  it('keeps a backslash that quotes nothing: Outlook sends DOMAIN\\user so', async () => {
    await using imapd = await startImapd(['DOMAIN\\anna@example.org'])
    for (const name of ['"DOMAIN\\anna@example.org"', '"DOMAIN\\\\anna@example.org"']) {
      const peer = await Peer.open(imapd)
      await peer.line()
      expect((await peer.command('a', `LOGIN ${name} "secret"`)).at(-1)).toMatch(/^a OK /)
      peer.destroy()
    }
  })
})
