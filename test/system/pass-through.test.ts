/** Users whose sessions are passed through to the old server (Dovecot) until they are moved: real services, real clients. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { filesIn, mbsyncFor } from '../support/mbsync.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3, uidlsOf } from '../support/raw-pop3.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const run = promisify(execFile)
const names = ['joe', 'ann', 'mia', 'tom', 'pat', 'kim', 'eve']
const domain = 'gateway.example'

describe('migration_routing proxy', () => {
  let dovecot: Dovecot
  let wherry: Wherry
  const msadm = (...words: string[]) =>
    run(resolve(import.meta.dirname, '../../bin/msadm'), ['-c', wherry.configFile, ...words])

  beforeAll(async () => {
    dovecot = await startDovecot({ users: Object.fromEntries(names.map((name) => [name, 'secret'])), tls: true })
    for (const name of names) await dovecot.fill(name, sampleMessages(8))
    const record = (name: string, protocol: string, port: number) =>
      `<user frontend_id='${name}@${domain}' backend_id='${name}' host='127.0.0.1' port='${port}' protocol='${protocol}'/>`
    wherry = await startWherry({
      options: {
        gateway_mode: false,
        auto_migrate: true,
        migration_routing: 'proxy',
        ms_syncd_host: '127.0.0.1',
        ms_syncd_protocol: 'imap',
        ms_syncd_port: dovecot.imapPort,
      },
      userDatabase: `<xmldb>${record('pat', 'pop', dovecot.pop3Port)}${record('kim', 'pop', dovecot.pop3Port)}</xmldb>`,
    })
  }, 120_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  it('imapd: after LOGIN everything is the old server’s, what was sent behind it too, and nothing is made here', async () => {
    await using joe = await RawImap.connect(wherry.imapPort)
    const text = 'Subject: new\r\n\r\nthere\r\n'
    // All at once: the commands behind the login reach the old server, literals too.
    joe.send(
      `a LOGIN {3+}\r\njoe "secret"\r\nb APPEND INBOX {${text.length}+}\r\n${text}\r\nc SELECT INBOX\r\nd FETCH 9 BODY.PEEK[]\r\n`,
    )
    const { text: answer } = await joe.line()
    expect(answer).toMatch(/^a OK \[CAPABILITY IMAP4REV1 /)
    // Dovecot's words: neither what this imapd alone has, nor what is behind us.
    expect(answer).not.toContain('URLAUTH=BINARY')
    expect(answer).not.toMatch(/STARTTLS|AUTH=|COMPRESS/)
    expect((await joe.until(/^b /)).text).toMatch(/^b OK \[APPENDUID /)
    expect((await joe.until(/^c /)).text).toMatch(/^c OK/)
    expect((await joe.until(/FETCH/)).literals[0]!.toString()).toBe(text)
    await joe.until(/^d OK/)
    joe.send('e LOGOUT\r\n')
    await joe.until(/^\* BYE/)
    await joe.until(/^e OK/)
    await expect(joe.line()).rejects.toThrow('closed')
    await using old = await RawImap.connect(dovecot.imapPort)
    await old.login('joe', 'secret')
    expect((await old.command('STATUS INBOX (MESSAGES)'))[0]!.text).toContain('MESSAGES 9')
    expect(JSON.parse((await msadm('--json', 'list')).stdout || '[]')).toEqual([])

    await using wrong = await RawImap.connect(wherry.imapPort)
    await expect(wrong.login('joe', 'wrong')).rejects.toThrow(/AUTHENTICATIONFAILED/)
    // The old server of this one speaks POP3.
    await using other = await RawImap.connect(wherry.imapPort)
    await expect(other.login('pat', 'secret')).rejects.toThrow(/AUTHORIZATIONFAILED/)
    await vi.waitFor(
      () => expect(wherry.log()).toContain('a session of imap can not be passed through to an old server that'),
      10_000,
    )
  })

  it('mbsync and curl work through it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-passed-'))
    try {
      const { maildir, sync } = mbsyncFor({ port: wherry.imapPort, user: 'mia', password: 'secret', directory })
      expect(await sync()).toContain('far side: 8 messages')
      // mbsync passes over none of these.
      expect((await filesIn(maildir)).length).toBeGreaterThanOrEqual(7)
      const through = async (url: string, user: string) =>
        (await run('curl', ['-s', '--user', `${user}:secret`, url], { encoding: 'latin1' })).stdout
      const path = (port: number) => `imap://127.0.0.1:${port}/INBOX;MAILINDEX=3`
      expect(await through(path(wherry.imapPort), 'mia')).toBe(await through(path(dovecot.imapPort), 'mia'))
      const pop = (port: number) => `pop3://127.0.0.1:${port}/5`
      expect(await through(pop(wherry.pop3Port), 'kim')).toBe(await through(pop(dovecot.pop3Port), 'kim'))
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  it('pop3d: CAPA, UIDL and DELE are the old server’s', async () => {
    const uidls = (port: number) => uidlsOf(port, 'pat', 'secret')
    const there = await uidls(dovecot.pop3Port)
    expect(await uidls(wherry.pop3Port)).toEqual(there)
    {
      await using pop = await RawPop3.login(wherry.pop3Port, 'pat', 'secret')
      await pop.command('DELE 1')
      await pop.command('QUIT')
    }
    expect(await uidls(dovecot.pop3Port)).toEqual(there.slice(1))
    await expect(RawPop3.login(wherry.pop3Port, 'pat', 'wrong')).rejects.toThrow(/AUTH/)
  })

  it('MIG-08: an account that waits (msadm add -m) is passed through; when it was migrated, live sessions are told to log in again, and the next is here', async () => {
    await msadm('add', '-m', 'ann')
    await using ann = await RawImap.connect(wherry.imapPort)
    await ann.login('ann', 'secret')
    await ann.command('SELECT INBOX')
    const goodbye = ann.until(/^\* BYE/)
    await msadm('migrate', '-q', '-p', 'secret', 'ann')
    expect((await goodbye).text).toBe('* BYE Please log in again')
    await expect(ann.line()).rejects.toThrow('closed')
    await using next = await RawImap.connect(wherry.imapPort)
    await next.login('ann', 'secret')
    const lines = await next.command('CAPABILITY')
    expect(lines[0]!.text).toContain('URLAUTH=BINARY')
    expect((await next.command('STATUS INBOX (MESSAGES)'))[0]!.text).toContain('MESSAGES 8')
  }, 60_000)

  it('whatever the old server said OK to while its user was migrated is here afterwards', async () => {
    await using eve = await RawImap.connect(wherry.imapPort)
    await eve.login('eve', 'secret')
    const migrated = msadm('migrate', '-q', '-p', 'secret', 'eve')
    let accepted = 0
    const append = async () => {
      const text = `Subject: ${accepted}\r\n\r\nmeanwhile\r\n`
      await eve.command(`APPEND INBOX {${text.length}+}\r\n${text}`)
      accepted++
    }
    // What follows comes behind a pass that got all that there was; a session in which something happens is not ended.
    while (!/synchronised.*eve@/.test(wherry.log())) await append()
    for (let more = 0; more < 5; more++) await append()
    expect((await eve.until(/^\* BYE/)).text).toBe('* BYE Please log in again')
    await migrated
    await using next = await RawImap.connect(wherry.imapPort)
    await next.login('eve', 'secret')
    expect((await next.command('STATUS INBOX (MESSAGES)'))[0]!.text).toContain(`MESSAGES ${8 + accepted}`)
  }, 60_000)

  it('a client that reads slowly holds the old server back, and a stop says goodbye between responses', async () => {
    await using tom = await RawImap.connect(wherry.imapPort)
    await tom.login('tom', 'secret')
    const big = Buffer.alloc(3_000_000, 'x')
    await tom.command(`APPEND Big {${big.length}+}\r\n${big.toString()}`).catch(() => {})
    await tom.command('CREATE Big')
    await tom.command(`APPEND Big {${big.length}+}\r\n${big.toString()}`)
    await tom.command('SELECT Big')
    const [fetched] = await tom.command('FETCH 1 BODY.PEEK[]')
    expect(fetched!.literals[0]!.length).toBeGreaterThanOrEqual(big.length)
    const goodbye = tom.until(/^\* BYE/)
    await wherry.stop()
    expect((await goodbye).text).toMatch(/^\* BYE /)
  }, 60_000)
})
