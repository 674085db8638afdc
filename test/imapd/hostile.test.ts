/** Octets that no honest client sends. Always: an answer with the right tag or BYE, and the daemon serves the next client. */
import { readdirSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { costRatio } from '#test/support/cpu.ts'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
let imapd: RunningImapd
beforeAll(async () => {
  imapd = await startImapd([user, 'ben@example.org', 'carl@example.org'])
})
afterAll(() => imapd.stop())

afterEach(async () => {
  const peer = await enter(user)
  expect((await peer.command('z', 'NOOP')).at(-1)).toBe('z OK NOOP completed')
  peer.destroy()
  expect(imapd.records.filter(({ message }) => message.includes('defect'))).toEqual([])
})

async function strange(): Promise<Peer> {
  const peer = await Peer.open(imapd)
  await peer.line()
  return peer
}

async function enter(name: string): Promise<Peer> {
  const peer = await strange()
  await peer.command('login', `LOGIN ${name} secret`)
  return peer
}

describe('before login', () => {
  it('H3: a line without end is cut at its limit', async () => {
    for (const octets of [
      'A'.repeat(20_000),
      '\0'.repeat(20_000),
      '\r'.repeat(20_000),
      '\n\n\n',
      'a\0 NOOP\r\n'.repeat(3),
    ]) {
      const peer = await strange()
      peer.write(octets)
      expect(await peer.line()).toMatch(/^(\*|a) BAD /)
      peer.destroy()
    }
  })

  it('H4, H5: no literal is allocated by its announcement, nor taken beyond the limits', async () => {
    const sizes = ['-1', '4294967296', '9007199254740993', `1${'0'.repeat(400)}`, '5x', '']
    for (const size of [...sizes, ...sizes.map((text) => `${text}+`), '4294967295+']) {
      const peer = await strange()
      peer.write(`a LOGIN {${size}}\r\n`)
      expect(await peer.line(), size).toMatch(/^(a|\*) (BAD|BYE) /)
      peer.destroy()
    }
    const peer = await strange()
    peer.write('{3}\r\nabc NOOP\r\n')
    expect(await peer.line()).toMatch(/^\* BAD /)
    peer.destroy()
  })

  it('closes after three commands that are none', async () => {
    const peer = await strange()
    for (const tag of ['a', 'b', 'c']) expect((await peer.command(tag, 'FROB'))[0]).toMatch(/ BAD /)
    expect(await peer.line()).toMatch(/^\* BYE /)
    await peer.closed()
  })

  it('answers whoever speaks HTTP, and closes', async () => {
    const peer = await strange()
    peer.write('GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n')
    expect(await peer.line()).toMatch(/ BAD /)
    await peer.closed()
  })
})

describe('in a mailbox', () => {
  it('H5: too many literals, or too large ones, are refused', async () => {
    const peer = await enter(user)
    await peer.command('a', 'SELECT INBOX')
    const many = 'SUBJECT {1+}\r\nx '.repeat(1001)
    expect((await peer.command('b', `SEARCH ${many}ALL`)).at(-1)).toMatch(/^b BAD /)
    expect((await peer.command('c', `SEARCH SUBJECT {200000+}\r\n${'x'.repeat(200_000)}`)).at(-1)).toMatch(/^c BAD /)
    peer.destroy()
  })

  it('H6: what is nested too deep is BAD', async () => {
    const peer = await enter(user)
    await peer.command('a', 'SELECT INBOX')
    const nested = [
      '('.repeat(30_000),
      ')'.repeat(30_000),
      `${'('.repeat(20_000)}ALL${')'.repeat(20_000)}`,
      `${'NOT '.repeat(15_000)}ALL`,
      `${'OR '.repeat(10_000)}${'ALL '.repeat(10_000)}ALL`,
    ]
    for (const [index, text] of nested.entries())
      expect((await peer.command(`b${index}`, `SEARCH ${text}`)).at(-1)).toMatch(/ BAD /)
    peer.destroy()
  })

  it('H7: work follows the mailbox, not the numbers', async () => {
    const peer = await enter('ben@example.org')
    await peer.command('a', 'APPEND INBOX {14+}\r\nSubject: x\r\n\r\n')
    await peer.command('b', 'SELECT INBOX')
    const everything = '1:4294967295,'.repeat(4000)
    expect((await peer.command('c', `UID FETCH ${everything}1 FLAGS`)).slice(0, -1)).toEqual([
      '* 1 FETCH (UID 1 FLAGS (\\Recent))',
    ])
    expect((await peer.command('d', `UID SEARCH UID ${everything}*`)).slice(0, -1)).toEqual(['* SEARCH 1'])
    expect(await peer.command('e', 'UID FETCH *:4294967295 UID')).toEqual([
      '* 1 FETCH (UID 1)',
      'e OK UID FETCH completed',
    ])
    for (const [index, set] of ['0', '1:4294967295', '4294967296', '1,,2', ':', '*:'].entries())
      expect((await peer.command(`f${index}`, `FETCH ${set} UID`)).at(-1), set).toMatch(/ BAD /)
    // Linear in what was sent: 8. Each number looked at would be 2^32 times the numbers of sets.
    const ask = (sets: number) => () => peer.command('g', `UID SEARCH UID ${'1:4294967295,'.repeat(sets)}*`)
    expect(await costRatio(ask(500), ask(4000))).toBeLessThan(32)
    peer.destroy()
  })

  it('H9: a pattern of wildcards is cheap', async () => {
    const peer = await enter('ben@example.org')
    for (let i = 0; i < 5; i++) await peer.command('a', `CREATE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa${i}`)
    const list = (wildcards: number) => () => peer.command('b', `LIST "" "${'*a%'.repeat(wildcards)}b"`)
    expect(await costRatio(list(100), list(800))).toBeLessThan(32)
    peer.destroy()
  })

  it('H18: names never leave the account', async () => {
    const peer = await enter('ben@example.org')
    const names = [
      '..',
      '../../x',
      'a/../b',
      '/x',
      'a//b',
      '.',
      `${'x'.repeat(2000)}`,
      '"a\\\\b"',
      'tmp',
      'msg',
      'log',
      'snap',
      'cache',
      'CON',
    ]
    for (const [index, name] of names.entries()) {
      const [reply] = await peer.command(`c${index}`, `CREATE ${name}`)
      if (reply!.includes(' OK ')) {
        const listed = await peer.command(`l${index}`, 'LIST "" *')
        expect(
          listed.some((line) => line.endsWith(` ${name}`)),
          name,
        ).toBe(true)
      } else expect(reply, name).toMatch(/ (NO|BAD) /)
    }
    for (const name of ['a&b', '&AGE-', 'x&', '"a\0b"', '{3+}\r\na\r\n'])
      expect((await peer.command('d', `CREATE ${name}`)).at(-1)).toMatch(/ (BAD|NO) /)
    expect(readdirSync(imapd.root).sort()).toEqual(['accounts', 'user'])
    peer.destroy()
  })

  it('20 commands one after another that are none end the session', async () => {
    const peer = await enter(user)
    for (let i = 0; i < 25; i++) {
      expect((await peer.command(`b${i}`, 'FROB'))[0]).toMatch(/ BAD /)
      expect((await peer.command(`c${i}`, i % 2 === 0 ? 'NOOP' : 'SELECT nothing'))[0]).toMatch(/ (OK|NO) /)
    }
    for (let i = 0; i < 20; i++) expect((await peer.command(`a${i}`, 'FROB'))[0]).toMatch(/ BAD /)
    expect(await peer.line()).toMatch(/^\* BYE /)
    await peer.closed()
  })
})

describe('APPEND', () => {
  it('of nothing, of too much and of something malformed stores nothing', async () => {
    const peer = await enter('carl@example.org')
    expect((await peer.command('a', 'APPEND INBOX {0+}\r\n')).at(-1)).toMatch(/^a NO /)
    peer.write('b APPEND INBOX {300000000}\r\n')
    expect(await peer.line()).toMatch(/^b NO \[TOOBIG\] /)
    expect((await peer.command('c', 'APPEND INBOX (\\Recent) {3+}\r\nabc')).at(-1)).toMatch(/^c BAD /)
    expect((await peer.command('d', 'APPEND INBOX {3+}\r\nabcX')).at(-1)).toMatch(/^d BAD /)
    expect((await peer.command('e', 'APPEND INBOX "not a date" {3+}\r\nabc')).at(-1)).toMatch(/^e BAD /)
    expect((await peer.command('f', 'STATUS INBOX (MESSAGES)'))[0]).toBe('* STATUS INBOX (MESSAGES 0)')
    peer.destroy()
  })

  it('with more flags than a mailbox can have is refused before all of it has come', async () => {
    const peer = await enter('ben@example.org')
    const flags = (from: number) => Array.from({ length: 200 }, (_, index) => `keyword${from + index}`).join(' ')
    const messages = [0, 200, 400, 600, 800].map((from) => ` (${flags(from)}) {1+}\r\nx`).join('')
    await peer.command('c', 'CREATE Flags')
    peer.write(`a APPEND Flags${messages} (onemore) {1}\r\n`)
    expect(await peer.line()).toMatch(/^a NO \[LIMIT\]/)
    expect((await peer.command('b', 'STATUS Flags (MESSAGES)'))[0]).toBe('* STATUS Flags (MESSAGES 0)')
    await peer.command('d', 'DELETE Flags')
    peer.destroy()
  })

  it('cut off in the middle stores nothing', async () => {
    const peer = await enter('carl@example.org')
    peer.write('a APPEND INBOX {100+}\r\nSubject: half')
    peer.destroy()
    const next = await enter('carl@example.org')
    expect((await next.command('f', 'STATUS INBOX (MESSAGES)'))[0]).toBe('* STATUS INBOX (MESSAGES 0)')
    next.destroy()
  })
})

describe('a message that can not be read', () => {
  it('is left out with an untagged NO, and the others are served', async () => {
    const peer = await enter('carl@example.org')
    await peer.command('a', 'CREATE damaged')
    for (const text of ['one', 'two', 'three'])
      await peer.command('b', `APPEND damaged {${text.length + 4}+}\r\n\r\n${text}\r\n`)
    await peer.command('c', 'SELECT damaged')
    truncateSync(messageFile('damaged', 'S=7', 1), 3)
    const lines = await peer.command('d', 'FETCH 1:3 BODY[TEXT]')
    expect(lines.filter((line) => line.includes('BODY')).length).toBe(2)
    expect(lines).toContainEqual(expect.stringMatching(/^\* NO Message \d \(UID \d\) can not be read/))
    expect(lines.at(-1)).toMatch(/^d NO \[CORRUPTION\] /)
    peer.destroy()
  })

  it('because another session removed it is answered NO [EXPUNGEISSUED]', async () => {
    const [one, two] = [await enter('carl@example.org'), await enter('carl@example.org')]
    await one.command('a', 'CREATE gone')
    for (const text of ['first', 'second!'])
      await one.command('b', `APPEND gone {${text.length + 4}+}\r\n\r\n${text}\r\n`)
    for (const peer of [one, two]) await peer.command('c', 'SELECT gone')
    await one.command('d', 'STORE 1 +FLAGS.SILENT (\\Deleted)')
    await one.command('e', 'EXPUNGE')
    unlinkSync(messageFile('gone', 'S=9', 0))
    const lines = await two.command('f', 'FETCH 1:2 BODY.PEEK[]')
    expect(lines[0]).toBe('* 2 FETCH (BODY[] {11}\r\n\r\nsecond!\r\n)')
    expect(lines.at(-1)).toMatch(/^f NO \[EXPUNGEISSUED\] /)
    expect(await two.command('g', 'COPY 1:2 INBOX')).toContainEqual(expect.stringMatching(/^g NO \[EXPUNGEISSUED\] /))
    for (const peer of [one, two]) peer.destroy()
  })
})

/** The nth message file of a mailbox whose name has this in it. */
function messageFile(mailbox: string, part: string, nth: number): string {
  const names = readdirSync(imapd.root, { recursive: true, encoding: 'utf8' })
  return join(imapd.root, names.filter((name) => name.includes(`/${mailbox}/msg/`) && name.includes(part)).sort()[nth]!)
}

describe('names and identifiers of access control lists', () => {
  const names = [
    'Other Users/',
    'Other Users//x',
    'Other Users/@',
    'Other Users/@/INBOX',
    'Other Users/ben@example.org/',
    'Other Users/ben@example.org/../carl@example.org/INBOX',
    'Other Users/../ben@example.org/INBOX',
    'Other Users/.@example.org/INBOX',
    'Other Users/ben@example.org/INBOX/../INBOX',
    `Other Users/${'x'.repeat(400)}@example.org/INBOX`,
    `Other Users/${'a/'.repeat(200)}b@example.org/INBOX`,
    'Other Users/anna@example.org/INBOX',
    'Other Users/ben@example.org@example.org/INBOX',
    'Shared Folders/../x',
    'Shared Folders/x/../../user',
  ]
  const commands = ['SELECT', 'DELETE', 'GETACL', 'MYRIGHTS', 'CREATE', 'GETQUOTAROOT']

  it('whatever they look like, nothing is found and nothing made', async () => {
    const peer = await enter(user)
    for (const name of names)
      for (const command of commands)
        expect((await peer.command('x', `${command} "${name}"`)).at(-1), `${command} ${name}`).toMatch(/^x NO /)
    expect(await peer.command('x', 'LIST "" *')).toEqual(['* LIST (\\HasNoChildren) "/" INBOX', expect.anything()])
  })

  it('identifiers that can be nobody are BAD, and none is too much', async () => {
    const peer = await enter(user)
    const none = [
      '""',
      '-',
      '--ben',
      '"a b"',
      'ben@',
      '@example.org',
      'a@b@c',
      'group:',
      'x'.repeat(70),
      '{3+}\r\n\xff\xfe\xfd',
    ]
    for (const identifier of none) {
      // Twenty one after another would end the session.
      await peer.command('n', 'NOOP')
      for (const command of ['SETACL INBOX', 'DELETEACL INBOX', 'LISTRIGHTS INBOX']) {
        const rights = command.startsWith('SET') ? ' lr' : ''
        expect((await peer.command('x', `${command} ${identifier}${rights}`)).at(-1), identifier).toMatch(/^x BAD /)
      }
    }
    for (const rights of ['lz', '"l r"', '++r', 'L', '1', `${'x'.repeat(5000)}y`])
      expect((await peer.command('x', `SETACL INBOX ben ${rights}`)).at(-1), rights).toMatch(/^x BAD /)
    expect((await peer.command('x', `SETACL INBOX group:${'%'.repeat(200)} lr`)).at(-1)).toMatch(/^x (OK|NO|BAD) /)
    expect((await peer.command('x', 'GETACL INBOX'))[0]).toMatch(/^\* ACL INBOX anna@example.org lrswipkxteacd/)
  })
})
