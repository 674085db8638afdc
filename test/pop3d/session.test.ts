import { describe, expect, it, vi } from 'vitest'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { MessageContent } from '#src/store/types.ts'
import { announce, deliver } from '../store/actions.ts'
import { Client, password, serve, user, withInbox } from './support/served.ts'

const one = 'Subject: one\r\n\r\nfirst\r\n'
const two = 'Subject: two\r\n\r\n.dot\r\n..\r\nlast'

describe('a session of RFC 1939 §10', () => {
  it('lists, retrieves, deletes and quits', async () => {
    const served = await serve()
    await served.deliver(one, two)
    const client = await Client.connect(served)
    expect(await client.line()).toMatch(/^\+OK [^<>]*$/)
    expect(await client.say(`USER ${user}`)).toMatch(/^\+OK/)
    expect(await client.say(`PASS ${password}`)).toBe('+OK maildrop has 2 messages (53 octets)')
    expect(await client.say('STAT')).toBe('+OK 2 53')
    expect(await client.sayMany('LIST')).toEqual(['+OK 2 messages (53 octets)', '1 23', '2 30'])
    expect(await client.sayMany('RETR 1')).toEqual(['+OK 23 octets', 'Subject: one', '', 'first'])
    expect(await client.say('DELE 1')).toBe('+OK message 1 deleted')
    expect(await client.sayMany('RETR 2')).toEqual(['+OK 30 octets', 'Subject: two', '', '..dot', '...', 'last'])
    expect(await client.say('STAT')).toBe('+OK 1 30')
    expect(await client.say('QUIT')).toBe('+OK goodbye, 1 messages removed')
    expect(await client.line()).toBe('closed')
    expect((await served.stored()).map(String)).toEqual([two])
  })

  it('tells of a message from an old server, which came since the login, the octets that it has', async () => {
    const served = await serve()
    const account = served.store.account(user as UserId)
    await account.ensure()
    const mailbox = await account.open('INBOX')
    await announce(mailbox, [{ origin: 'imap://u@old/7/1', internalDate: 1, sizeOctets: 99 }])
    const client = await Client.login(served)
    expect(await client.sayMany('LIST')).toEqual(['+OK 1 messages (99 octets)', '1 99'])
    const uidl = await client.sayMany('UIDL')
    await deliver(mailbox, one, { origin: 'imap://u@old/7/1' })
    expect(await client.sayMany('RETR 1')).toEqual(['+OK 23 octets', 'Subject: one', '', 'first'])
    const later = await Client.login(served)
    expect(await later.sayMany('UIDL')).toEqual(uidl)
    await mailbox.close()
  })

  it('answers every command of the TRANSACTION state as §5 and §7 have it', async () => {
    const served = await serve()
    await served.deliver(one, two, one)
    const client = await Client.login(served)
    expect(await client.say('LIST 2')).toBe('+OK 2 30')
    expect(await client.say('LIST 4')).toBe('-ERR no such message, only 3 messages in maildrop')
    expect(await client.sayMany('TOP 2 1')).toEqual(['+OK top of message follows', 'Subject: two', '', '..dot'])
    expect(await client.sayMany('TOP 2 0')).toEqual(['+OK top of message follows', 'Subject: two', ''])
    for (const noop of ['NOOP', 'NOOP x']) expect(await client.say(noop)).toMatch(/^\+OK/)
    expect(await client.say('DELE 2')).toMatch(/^\+OK/)
    expect(await client.say('DELE 2')).toBe('-ERR message 2 is deleted')
    expect(await client.say('RETR 2')).toBe('-ERR message 2 is deleted')
    expect(await client.say('UIDL 2')).toBe('-ERR message 2 is deleted')
    expect(await client.sayMany('LIST')).toEqual(['+OK 2 messages (46 octets)', '1 23', '3 23'])
    expect(await client.say('RSET')).toBe('+OK maildrop has 3 messages (76 octets)')
    expect(await client.say('LIST 2')).toBe('+OK 2 30')
    expect(await client.say('QUIT now')).toBe('+OK goodbye')
    expect(await served.stored()).toHaveLength(3)
  })

  it('makes INBOX at the first login, and says of an empty maildrop that it is one (POP-02)', async () => {
    const served = await serve()
    const client = await Client.login(served)
    expect(await client.say('STAT')).toBe('+OK 0 0')
    expect(await client.sayMany('LIST')).toEqual(['+OK 0 messages (0 octets)'])
    expect(await client.sayMany('UIDL')).toEqual(['+OK unique-id listing follows'])
    await using inbox = await served.inbox()
    expect([...inbox.messages]).toEqual([])
  })

  it("shows the origin's unique-ids where there are any (RFC 1939 §7)", async () => {
    const served = await serve()
    const octets = Buffer.from(one)
    await served.deliver(
      { octets, uidl: 'whqtswO00WBw418f9t5JxYwZ', origin: 'a' },
      { octets },
      { octets, uidl: 'whqtswO00WBw418f9t5JxYwZ', origin: 'b' },
    )
    await using inbox = await served.inbox()
    const validity = inbox.uidValidity.toString(16).padStart(8, '0')
    const listing = [
      '1 whqtswO00WBw418f9t5JxYwZ',
      `2 ${validity}-00000002`,
      `3 whqtswO00WBw418f9t5JxYwZ:${validity}-00000003`,
    ]
    for (let session = 0; session < 2; session++) {
      const client = await Client.login(served)
      expect(await client.sayMany('UIDL')).toEqual(['+OK unique-id listing follows', ...listing])
      expect(await client.say('UIDL 1')).toBe(`+OK ${listing[0]}`)
      await client.say('QUIT')
    }
  })
})

describe('the maildrop is what it was at the login (RFC 1939 §4, §8)', () => {
  it('shows new mail in the next session only', async () => {
    const served = await serve()
    await served.deliver(one)
    const client = await Client.login(served)
    await served.deliver(two)
    expect(await client.say('STAT')).toBe('+OK 1 23')
    expect(await client.sayMany('UIDL')).toHaveLength(2)
    const next = await Client.login(served)
    expect(await next.say('STAT')).toBe('+OK 2 53')
  })

  it('lets two sessions delete the same message (H26)', async () => {
    const served = await serve()
    await served.deliver(one, two)
    const [first, second] = [await Client.login(served), await Client.login(served)]
    for (const client of [first, second]) expect(await client.say('DELE 1')).toMatch(/^\+OK/)
    expect(await first.say('QUIT')).toMatch(/^\+OK/)
    expect(await second.say('DELE 2')).toMatch(/^\+OK/)
    expect(await second.say('QUIT')).toMatch(/^\+OK/)
    expect(await served.stored()).toEqual([])
  })

  it.each([
    ['closes without QUIT', (client: Client) => client.socket.end()],
    ['resets the connection', (client: Client) => client.socket.resetAndDestroy()],
    ['sends half of QUIT', (client: Client) => client.socket.end('QUI')],
  ])('keeps everything when the client %s (H26)', async (_what, leave) => {
    const served = await serve()
    await served.deliver(one)
    const client = await Client.login(served)
    expect(await client.say('DELE 1')).toMatch(/^\+OK/)
    leave(client)
    await client.closed
    await served.stop()
    expect(await served.stored()).toHaveLength(1)
  })

  it('says -ERR to QUIT, and removes nothing, when UIDs mean other messages now', async () => {
    const served = await serve()
    await served.deliver(one, two)
    const client = await Client.login(served)
    expect(await client.say('DELE 1')).toMatch(/^\+OK/)
    const other = await serve({ directory: served.directory })
    await other.deliver(one)
    const { globSync, writeFileSync } = await import('node:fs')
    writeFileSync(globSync(`${served.directory}/user/*/INBOX/log/*/[0-9]*`).sort().at(-1)!, '')
    expect(await client.say('QUIT')).toMatch(/^-ERR \[SYS\/TEMP\] deleted messages not removed/)
    expect(await served.stored()).toHaveLength(3)
  })

  it('says -ERR to QUIT, and claims nothing, when the removal fails', async () => {
    const expunge = () => async () => Promise.reject(new StoreError('unavailable', 'disk full'))
    const served = await serve({ store: withInbox({ expunge }) })
    await served.deliver(one)
    const client = await Client.login(served)
    await client.say('DELE 1')
    expect(await client.say('QUIT')).toMatch(/^-ERR \[SYS\/TEMP\] .*not removed/)
    expect(await client.line()).toBe('closed')
    expect(await served.stored()).toHaveLength(1)
  })
})

describe('login', () => {
  it('takes the password to the end of the line (RFC 1939 §7)', async () => {
    const served = await serve()
    const client = await Client.login(served)
    expect(await client.say('STAT')).toMatch(/^\+OK/)
    expect(served.logins.map((request) => request.password.toString())).toEqual([password])
    // What the record of the login needs. AUTH-14
    expect(served.logins[0]).toMatchObject({
      service: 'pop',
      sessionId: expect.stringMatching(/\.\d+$/),
      secure: false,
    })
  })

  it.each([
    ['bad-credentials', '[AUTH]'],
    ['denied', '[AUTH]'],
    ['unavailable', '[SYS/TEMP]'],
    ['login-delay', '[LOGIN-DELAY]'],
    ['in-use', '[IN-USE]'],
  ] as const)('answers %s with %s (RFC 2449 §8, RFC 3206)', async (kind, code) => {
    const served = await serve({ fail: () => new AuthError(kind, 'internal words') })
    const client = await Client.connect(served)
    await client.line()
    await client.say('USER joe')
    const answer = await client.say('PASS x')
    expect(answer.startsWith(`-ERR ${code} `)).toBe(true)
    expect(answer).not.toContain('internal')
    expect(await client.say('STAT')).toBe('-ERR log in first')
    expect(await client.say('PASS x')).toBe('-ERR USER comes first')
  })

  it('waits longer after each wrong password and ends the connection at the fifth', async () => {
    const served = await serve()
    const client = await Client.connect(served)
    await client.line()
    for (let i = 0; i < 5; i++) {
      await client.say('USER joe')
      expect(await client.say('PASS wrong')).toMatch(/^-ERR \[AUTH\]/)
    }
    expect(await client.line()).toBe('closed')
    expect(served.pausesMs).toEqual([250, 500, 1000, 2000, 4000])
  })

  it('refuses passwords without TLS when login_disabled is set (POP-04)', async () => {
    const served = await serve({ config: { login_disabled: true }, tls: true })
    const client = await Client.connect(served)
    await client.line()
    const capabilities = await client.sayMany('CAPA')
    expect(capabilities).not.toContain('USER')
    expect(capabilities).toContain('SASL SCRAM-SHA-256 SCRAM-SHA-1')
    expect(capabilities).toContain('STLS')
    for (const command of ['USER joe', 'PASS x', 'AUTH PLAIN', 'AUTH LOGIN am9l'])
      expect(await client.say(command)).toMatch(/^-ERR \[AUTH\] .*STLS/)
    expect(served.logins).toEqual([])
  })

  it('takes AUTH PLAIN and LOGIN, with and without initial response (RFC 5034, POP-05)', async () => {
    const served = await serve()
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const plain = base64(`\0${user}\0${password}`)
    const start = async () => {
      const client = await Client.connect(served)
      await client.line()
      return client
    }
    let client = await start()
    expect(await client.say(`AUTH PLAIN ${plain}`)).toMatch(/^\+OK maildrop/)
    client = await start()
    expect(await client.say('auth plain')).toBe('+ ')
    expect(await client.say(plain)).toMatch(/^\+OK maildrop/)
    client = await start()
    expect(await client.say('AUTH LOGIN')).toBe(`+ ${base64('User Name\0')}`)
    expect(await client.say(base64(user))).toBe(`+ ${base64('Password\0')}`)
    expect(await client.say(base64(password))).toMatch(/^\+OK maildrop/)
    expect(await client.say(`AUTH PLAIN ${plain}`)).toBe('-ERR already logged in')
  })

  it('refuses broken SASL exchanges and goes on (H13)', async () => {
    const served = await serve()
    const client = await Client.connect(served)
    await client.line()
    expect(await client.say('AUTH PLAIN')).toBe('+ ')
    expect(await client.say('*')).toMatch(/^-ERR .*cancelled/)
    expect(await client.say('AUTH CRAM-MD5')).toMatch(/^-ERR/)
    const other = Buffer.from(`ann@example.org\0${user}\0${password}`).toString('base64')
    expect(await client.say(`AUTH PLAIN ${other}`)).toMatch(/^-ERR \[AUTH\]/)
    expect(await client.say('AUTH PLAIN !!!!')).toMatch(/^-ERR/)
    expect(await client.say(`AUTH PLAIN ${Buffer.from('no nul').toString('base64')}`)).toMatch(/^-ERR/)
    expect(served.logins).toEqual([])
  })

  it('lists the mechanisms for a bare AUTH, however often', async () => {
    const client = await Client.connect(await serve())
    await client.line()
    for (let i = 0; i < 4; i++)
      expect(await client.sayMany('AUTH')).toEqual([
        '+OK mechanisms follow',
        'SCRAM-SHA-256',
        'SCRAM-SHA-1',
        'PLAIN',
        'LOGIN',
      ])
  })

  it('has no AUTH in gateway mode', async () => {
    const served = await serve({ config: { gateway_mode: true } })
    const client = await Client.connect(served)
    await client.line()
    expect((await client.sayMany('CAPA')).join()).not.toContain('SASL')
    for (let i = 0; i < 4; i++) expect(await client.say('AUTH')).toMatch(/^-ERR .*USER and PASS/)
    expect(await client.say('AUTH PLAIN')).toMatch(/^-ERR .*USER and PASS/)
    expect(await client.say(`USER ${user}`)).toMatch(/^\+OK/)
    expect(await client.say(`PASS ${password}`)).toMatch(/^\+OK/)
  })
})

describe('CAPA (RFC 2449 §5)', () => {
  it('is truthful before and after the login', async () => {
    const served = await serve({ tls: true })
    const client = await Client.connect(served)
    await client.line()
    const always = ['TOP', 'UIDL', 'PIPELINING', 'RESP-CODES', 'AUTH-RESP-CODE', 'EXPIRE NEVER']
    expect(new Set((await client.sayMany('CAPA')).slice(1))).toEqual(
      new Set([...always, 'USER', 'SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN', 'STLS']),
    )
    await client.say(`USER ${user}`)
    await client.say(`PASS ${password}`)
    expect(new Set((await client.sayMany('CAPA')).slice(1))).toEqual(new Set([...always, 'IMPLEMENTATION Wherry']))
  })
})

describe('pipelining (RFC 2449 §6.8)', () => {
  it('answers in order whatever the pieces', async () => {
    const served = await serve()
    await served.deliver(one, two)
    for (const size of [1, 7, 10_000]) {
      const client = await Client.connect(served)
      const script = `USER ${user}\r\nPASS ${password}\r\nSTAT\r\nRETR 1\r\nFOO\r\nTOP 2 0\r\nUIDL 9\r\nNOOP\r\nQUIT\r\n`
      for (let at = 0; at < script.length; at += size) client.send(script.slice(at, at + size))
      const lines: string[] = []
      for (let line = await client.line(); line !== 'closed'; line = await client.line()) lines.push(line)
      expect(lines.slice(3)).toEqual([
        '+OK 2 53',
        ...['+OK 23 octets', 'Subject: one', '', 'first', '.'],
        '-ERR unknown command',
        ...['+OK top of message follows', 'Subject: two', '', '.'],
        '-ERR no such message, only 2 messages in maildrop',
        '+OK nothing done',
        '+OK goodbye',
      ])
    }
  })

  it('does not run ahead of a client that does not read, and answers all when it does', async () => {
    const body = Buffer.alloc(4 << 20, 'line of text\r\n')
    let streamed = 0
    const served = await serve({
      store: withInbox({
        content: (mailbox) => async (record) => {
          const content = await mailbox.content(record)
          return Object.assign(Object.create(content) as MessageContent, {
            async *stream() {
              for await (const chunk of content.stream()) {
                streamed += chunk.length
                yield chunk
              }
            },
            [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
          })
        },
      }),
    })
    await served.deliver(Buffer.concat([Buffer.from('a: b\r\n\r\n'), body]))
    const client = await Client.login(served)
    client.socket.pause()
    client.send('RETR 1\r\n'.repeat(20))
    client.send('QUIT\r\n')
    let last = -1
    await vi.waitFor(
      () => {
        const before = last
        last = streamed
        expect(streamed).toBe(before)
        expect(streamed).toBeGreaterThan(0)
      },
      { interval: 200, timeout: 20_000 },
    )
    expect(streamed).toBeLessThan(16 << 20)
    let received = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    client.socket.resume()
    await client.closed
    expect(streamed).toBe(20 * (body.length + 8))
    expect(received).toBeGreaterThan(streamed)
  })
})

describe('bad input (H26)', () => {
  it.each([
    'RETR 0',
    'RETR -1',
    'RETR 10000000000',
    'RETR 99999999999999999999999999',
    'RETR',
    'RETR 1 2',
    'RETR one',
    'TOP 1',
    'TOP 1 -1',
    'DELE 3',
    'LIST 0',
    'UIDL x',
    'STAT 1',
    'APOP joe c4c9334bac560ecc979e58001b3e22fb',
    'LAST',
    'XTND XMIT',
    '\x00\x01\x02',
    'STLS',
    'PASS x',
    'USER joe',
  ])('refuses %j after the login and goes on', async (command) => {
    const served = await serve()
    await served.deliver(one, two)
    const client = await Client.login(served)
    expect(await client.say(command)).toMatch(/^-ERR /)
    expect(await client.say('STAT')).toBe('+OK 2 53')
  })

  it('takes TOP 1 10^9', async () => {
    const served = await serve()
    await served.deliver(one)
    const client = await Client.login(served)
    expect(await client.sayMany('TOP 1 1000000000')).toEqual([
      '+OK top of message follows',
      'Subject: one',
      '',
      'first',
    ])
  })

  it.each(['STAT', 'LIST', 'RETR 1', 'DELE 1', 'NOOP', 'RSET', 'TOP 1 1', 'UIDL'])(
    'refuses %s before the login',
    async (command) => {
      const served = await serve()
      const client = await Client.connect(served)
      await client.line()
      expect(await client.say(command)).toBe('-ERR log in first')
    },
  )

  it('closes on a line of 1 MB without reading it to its end', async () => {
    const served = await serve()
    const client = await Client.login(served)
    client.send(Buffer.alloc(1 << 20, 'x'))
    expect(await client.line()).toMatch(/^-ERR .*8192/)
    expect(await client.line()).toBe('closed')
  })

  it('answers other protocols a few times at most, then closes (H30)', async () => {
    const served = await serve()
    const client = await Client.connect(served)
    await client.line()
    client.send('GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nUser-Agent: x\r\n\r\n')
    const lines: string[] = []
    for (let line = await client.line(); line !== 'closed'; line = await client.line()) lines.push(line)
    expect(lines).toHaveLength(3)
    expect(lines.every((line) => line.startsWith('-ERR '))).toBe(true)
  })

  it('closes after 20 commands one after another that are none', async () => {
    const served = await serve()
    const client = await Client.login(served)
    for (let i = 0; i < 25; i++) {
      expect(await client.say('XTND XMIT')).toMatch(/^-ERR /)
      expect(await client.say('STAT')).toBe('+OK 0 0')
    }
    for (let i = 0; i < 20; i++) expect(await client.say('XTND XMIT')).toMatch(/^-ERR /)
    expect(await client.line()).toBe('closed')
  })

  it('answers -ERR for a message that is gone or unreadable, and goes on', async () => {
    const served = await serve()
    await served.deliver(one, two)
    const client = await Client.login(served)
    await using inbox = await served.inbox()
    const { rm } = await import('node:fs/promises')
    const { globSync } = await import('node:fs')
    const file = globSync(`**/${inbox.messages.at(0)!.file}`, { cwd: served.directory })
    expect(file).toHaveLength(1)
    await rm(`${served.directory}/${file[0]}`)
    expect(await client.say('RETR 1')).toMatch(/^-ERR /)
    expect(await client.sayMany('RETR 2')).toHaveLength(6)
  })

  it('closes a connection that does not log in', async () => {
    const served = await serve({ loginWaitMs: 300 })
    const client = await Client.connect(served)
    await client.line()
    expect(await client.line()).toBe('closed')
    expect(served.log.records.map((record) => record.message)).toContain('idle for too long')
  })

  it('closes an idle session when the daemon stops, and removes nothing', async () => {
    const served = await serve()
    await served.deliver(one)
    const client = await Client.login(served)
    await client.say('DELE 1')
    const stopped = served.stop()
    expect(await client.line()).toBe('closed')
    await stopped
    expect(await served.stored()).toHaveLength(1)
  })

  it('writes no password to the log', async () => {
    const served = await serve()
    const client = await Client.connect(served)
    await client.line()
    await client.say('USER joe')
    await client.say('PASS hunter2')
    await client.say('XXXX hunter2')
    const other = await Client.login(served)
    await other.say('QUIT')
    await vi.waitFor(() => expect(served.log.records.length).toBeGreaterThan(0))
    const records = JSON.stringify(served.log.records)
    expect(records).not.toContain('hunter2')
    expect(records).not.toContain(password)
  })
})
