/** What a user sees when the backend misbehaves: each trouble its own reply at both front ends, its own log line, and nothing lost. */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { type ScriptedMessage, type ScriptedPop3, scriptedPop3, stuffed } from '../support/pop3-script.ts'
import { RawImap } from '../support/raw-imap.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const message = (uidl: string): ScriptedMessage => ({
  uidl,
  octets: Buffer.from(`From: a@a.example\r\nSubject: ${uidl}\r\n\r\nbody of ${uidl}\r\n`),
})

describe('a backend that misbehaves', () => {
  /** One for each test, for its domain: what the gateway learned from one test's tricks it knows of the host. */
  let backends: readonly ScriptedPop3[]
  let backend: ScriptedPop3
  let wherry: Wherry
  let deadPort: number
  let next = 0
  /** A user that nobody heard of, so that no verdict of before is remembered. */
  let user: string

  beforeAll(async () => {
    backends = await Promise.all(
      Array.from({ length: 16 }, () =>
        scriptedPop3({ capabilities: ['UIDL', 'TOP', 'USER', 'RESP-CODES', 'PIPELINING'] }),
      ),
    )
    deadPort = await freePort()
    const users = backends.map(({ port }, index) => `<user frontend_id="@t${index}.example" port="${port}"/>`)
    wherry = await startWherry({
      options: {
        ms_syncd_host: '127.0.0.1',
        ms_sync_interval: 1,
        failed_logins_per_minute: 0,
      },
      userDatabase: `<xmldb><user frontend_id="@down.example" port="${deadPort}"/>${users.join('')}</xmldb>`,
    })
  })

  afterAll(async () => {
    await wherry?.stop()
    await Promise.all((backends ?? []).map((each) => each[Symbol.asyncDispose]()))
  })

  beforeEach(() => {
    user = `joe@t${next}.example`
    backend = backends[next++]!
    backend.messages = [message('one'), message('two'), message('three')]
  })

  /** The server's answer to an IMAP login. */
  const imapSays = async (password = 'pw', name = user) => {
    await using imap = await RawImap.connect(wherry.imapPort)
    imap.send(`a LOGIN ${name} ${password}\r\n`)
    return (await imap.until(/^a /)).text
  }

  const popSays = async (password = 'pw', name = user) => {
    const socket = connect(wherry.pop3Port, '127.0.0.1')
    try {
      const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
      await lines.next()
      socket.write(`USER ${name}\r\nPASS ${password}\r\n`)
      await lines.next()
      return (await lines.next()).value as string
    } finally {
      socket.destroy()
    }
  }

  const subjects = async () => {
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login(user, 'pw')
    await imap.command('EXAMINE INBOX')
    const lines = await imap.command('FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])').catch(() => [])
    return lines.flatMap(({ literals }) =>
      literals.map((literal) => literal.toString().trim().replace('Subject: ', '')),
    )
  }

  const loggedIn = (imap: RawImap) =>
    imap.command('STATUS INBOX (MESSAGES)').then(
      () => true,
      () => false,
    )

  it('wrong password, unknown user: [AUTHENTICATIONFAILED], [AUTH]; no account appears', async () => {
    expect(await imapSays('wrong')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(await popSays('wrong')).toMatch(/^-ERR \[AUTH\]/)
    expect(wherry.log()).toMatch(new RegExp(`refused.*${user}|${user}.*refused`))
  })

  it('down: [UNAVAILABLE], [SYS/TEMP]', async () => {
    expect(await imapSays('pw', 'joe@down.example')).toMatch(/^a NO \[UNAVAILABLE\]/)
    expect(await popSays('pw', 'joe@down.example')).toMatch(/^-ERR \[SYS\/TEMP\]/)
    expect(wherry.log()).toContain('ECONNREFUSED')
  })

  it('says OK to any password but shows no maildrop: nobody gets in', async () => {
    backend.on('PASS', () => '+OK\r\n')
    backend.on('STAT', () => '-ERR no such maildrop\r\n')
    expect(await imapSays('whatever')).toMatch(/^a NO \[(UNAVAILABLE|AUTHENTICATIONFAILED)\]/)
  })

  it('maildrop locked: [INUSE], [IN-USE]', async () => {
    backend.on('PASS', () => '-ERR [IN-USE] maildrop locked\r\n')
    expect(await imapSays()).toMatch(/^a NO \[(INUSE|IN-USE|UNAVAILABLE)\]/)
    expect(await popSays()).toMatch(/^-ERR \[IN-USE\]/)
  })

  it('asks for a pause: [LOGIN-DELAY] over POP3, a temporary refusal over IMAP', async () => {
    backend.on('PASS', () => '-ERR [LOGIN-DELAY] wait\r\n')
    expect(await imapSays()).toMatch(/^a NO \[(UNAVAILABLE|LIMIT|INUSE)\]/)
    expect(await popSays()).toMatch(/^-ERR \[LOGIN-DELAY\]/)
  })

  it('closes in the middle of a message: what came whole is kept, the rest comes later, once', async () => {
    let cut = true
    backend.on('RETR', ({ argument, socket }, usual) => {
      if (!cut || argument !== '2') return usual()
      socket.write('+OK\r\nFrom: a@a.exam')
      socket.destroySoon()
      return undefined
    })
    // a client that stays: what failed is tried again while somebody waits for it
    await using waiting = await RawImap.connect(wherry.imapPort)
    waiting.send(`a LOGIN ${user} pw\r\n`)
    await waiting.until(/^a /)
    cut = false
    if (!(await loggedIn(waiting))) await waiting.login(user, 'pw')
    await expect.poll(async () => (await subjects()).sort(), { timeout: 30_000 }).toEqual(['one', 'three', 'two'])
  })

  it('lies about sizes: the octets count', async () => {
    backend.messages = [
      { ...message('short'), size: 999_999 },
      { ...message('long'), size: 1 },
    ]
    expect(await subjects()).toEqual(['short', 'long'])
  })

  it('repeats and omits unique-ids: every message is there once, and stays once', async () => {
    backend.on('UIDL', () => '+OK\r\n1 same\r\n2 same\r\n.\r\n')
    expect((await subjects()).filter((subject) => subject !== 'three').sort()).toEqual(['one', 'two'])
    const again = await subjects()
    expect(again).toEqual([...new Set(again)])
  })

  it('is empty all of a sudden: nothing is deleted here', async () => {
    expect(await subjects()).toEqual(['one', 'two', 'three'])
    backend.messages = []
    expect(await subjects()).toEqual(['one', 'two', 'three'])
  })

  it('fails to list: nothing is deleted here', async () => {
    expect(await subjects()).toEqual(['one', 'two', 'three'])
    backend.on('UIDL', () => '-ERR [SYS/TEMP] index trouble\r\n')
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login(user, 'pw').catch(() => {})
    backend.on('UIDL', (_exchange, usual) => usual())
    expect(await subjects()).toEqual(['one', 'two', 'three'])
  })

  it('refuses one message: the others come, and a stub for it', async () => {
    for (const word of ['RETR', 'TOP'])
      backend.on(word, ({ argument }, usual) => (/^2\b/.test(argument) ? '-ERR message is corrupt\r\n' : usual()))
    expect(await subjects()).toEqual(['one', 'three', '[not available yet]'])
  })

  it('shows its dots as they were', async () => {
    const octets = Buffer.from('Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n')
    backend.messages = [{ uidl: 'dots', octets }]
    backend.on('RETR', () => Buffer.concat([Buffer.from('+OK\r\n'), stuffed(octets)]))
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login(user, 'pw')
    await imap.command('EXAMINE INBOX')
    expect((await imap.command('FETCH 1 (BODY.PEEK[])'))[0]?.literals[0]).toEqual(octets)
  })

  it('never finds a password in the log', () => {
    expect(wherry.log()).not.toMatch(/\bpw\b|whatever|\bwrong\b(?! password)/)
  })
})
