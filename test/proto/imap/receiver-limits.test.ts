import { describe, expect, it } from 'vitest'
import { readAppendMailbox } from '#src/proto/imap/append.ts'
import { authenticatedLimits, preAuthLimits, type ReceiverLimits } from '#src/proto/imap/limits.ts'
import { readLoginArgs } from '#src/proto/imap/login.ts'
import { CommandReceiver } from '#src/proto/imap/receiver.ts'
import type { ReceiverEvent } from '#src/proto/imap/receiver-events.ts'
import { argsOf, limits, octets, receive, shown } from './receive.ts'

const kib = 1024

/** Pushes `chunk` until the receiver gives up or `most` octets went in. */
function flood(
  chunk: Buffer,
  most: number,
  by: ReceiverLimits,
  start = '',
): { pushed: number; held: number; events: ReceiverEvent[] } {
  const receiver = new CommandReceiver(by)
  const events: ReceiverEvent[] = []
  let pushed = 0
  let held = 0
  const push = (piece: Buffer) => {
    receiver.push(piece)
    pushed += piece.length
    for (let event = receiver.next(); event !== undefined; event = receiver.next()) events.push(event)
    held = Math.max(held, receiver.pending)
  }
  if (start !== '') push(octets(start))
  while (pushed < most && !events.some((event) => event.type === 'fault' && event.close)) push(chunk)
  return { pushed, held, events }
}

describe('H3: lines without end', () => {
  for (const [name, chunk] of [
    ['text', Buffer.alloc(kib, 'x')],
    ['NUL', Buffer.alloc(kib)],
    ['CR', Buffer.alloc(kib, '\r')],
    ['8-bit', Buffer.alloc(kib, 0xff)],
    ['UTF-16', Buffer.from('a NOOP '.repeat(73), 'utf16le')],
  ] as const)
    it(`${name}: one BAD after 8 KiB, the end of the connection soon after, nothing kept`, () => {
      const { pushed, held, events } = flood(chunk, 1_000_000, preAuthLimits)
      expect(events.map((event) => event.type === 'fault' && [event.status, event.close])).toEqual([
        ['BAD', false],
        ['BAD', true],
      ])
      expect(held).toBeLessThanOrEqual(9 * kib)
      expect(pushed).toBeLessThanOrEqual(80 * kib)
    })

  it('only LF: a fault for each, nothing kept', () => {
    expect(receive([Buffer.alloc(50, '\n')], preAuthLimits).map((event) => event.type)).toEqual(Array(50).fill('fault'))
  })

  it('an overlong line is answered with its tag and skipped to its end', () => {
    for (const size of [8 * kib - 8, 8 * kib - 7, 20 * kib]) {
      const events = shown(receive([octets(`a NOOP ${'x'.repeat(size - 1)}`), octets('\r\nb NOOP\r\n')], preAuthLimits))
      const fits = size - 1 + 'a NOOP \r\n'.length <= 8 * kib
      expect(events[0]).toMatch(fits ? /^command a NOOP/ : /^fault a BAD - go on: command: longer than 8192 octets/)
      expect(events.at(-1)).toBe('command b NOOP []')
    }
  })

  it('the limit counts all text of the command, between literals too', () => {
    const line = ` ${'x'.repeat(3000)} {1+}\r\ny`
    const events = shown(receive([octets(`a FETCH${line.repeat(3)}\r\nb NOOP\r\n`)], preAuthLimits))
    expect(events).toEqual(['fault a BAD - go on: command: longer than 8192 octets', 'command b NOOP []'])
  })

  it('accepts 64 KiB after authentication', () => {
    const set = Array.from({ length: 10_000 }, (_, index) => 10_000 + 2 * index).join(',')
    expect(argsOf(`a FETCH ${set} FLAGS`).peek()).toBe(' ')
  })
})

describe('H4: announced sizes', () => {
  const announced = (text: string, by = limits) => shown(receive([octets(`a LOGIN ${text}\r\n`)], by))
  it('0 and leading zeros are numbers', () => {
    expect(shown(receive([octets('a LOGIN {0+}\r\n {003+}\r\nabc\r\n')]))).toEqual([
      'command a LOGIN [" ",""," ","abc"]',
    ])
  })
  for (const size of ['2147483648', '4294967296', '9007199254740993', '99999999999999999999', '1'.padEnd(401, '0')]) {
    it(`${size.slice(0, 21)}: a synchronising one is refused, nothing allocated`, () => {
      expect(announced(`{${size}}`)).toEqual(['fault a BAD - go on: literal: larger than 102400 octets'])
    })
    it(`${size.slice(0, 21)}: a non-synchronising one that can't be skipped ends the connection`, () => {
      expect(announced(`{${size}+}`)).toEqual([
        'fault a BAD - go on: literal: larger than 102400 octets',
        'fault * BAD - close: too much data behind a refused command',
      ])
    })
  }
  for (const text of ['{-1}', '{5', '{}', '{+}', '{ 5}', '{5}}', '{5-}', '{0x5}'])
    it(`${text} is no literal: the command ends there and its reader refuses it`, () => {
      expect(() => readLoginArgs(argsOf(`a LOGIN ${text}`))).toThrow('userid: expected a quoted string or a literal')
    })
  it('literal8, but for messages, is refused by name, skipped when it follows anyway', () => {
    expect(announced('~{5}')).toEqual([expect.stringMatching(/^fault a BAD - go on: literal8/)])
    expect(shown(receive([octets('a LOGIN ~{3+}\r\na\0b\r\nb NOOP\r\n')]))).toEqual([
      expect.stringMatching(/^fault a BAD - go on: literal8/),
      'command b NOOP []',
    ])
  })
})

describe('H5: many and large literals', () => {
  it('LITERAL+ of 4 GB before login: nothing kept, the connection ends', () => {
    const { held, pushed, events } = flood(
      Buffer.alloc(64 * kib),
      10_000_000,
      preAuthLimits,
      'a LOGIN x {4294967295+}\r\n',
    )
    expect(events.at(-1)).toMatchObject({ type: 'fault', close: true })
    expect([held, pushed]).toEqual([0, 'a LOGIN x {4294967295+}\r\n'.length])
  })

  it('a literal just above the limit is skipped and the session goes on', () => {
    const events = shown(receive([octets(`a LOGIN x {4097+}\r\n${'y'.repeat(4097)}\r\nb NOOP\r\n`)], preAuthLimits))
    expect(events).toEqual(['fault a BAD - go on: literal: larger than 4096 octets', 'command b NOOP []'])
  })

  it('100,000 literals in one SEARCH: BAD at the 1,001st, the rest skipped', () => {
    const events = shown(receive([octets(`a SEARCH${' TEXT {1+}\r\nx'.repeat(4000)}\r\nb NOOP\r\n`)]))
    expect(events).toEqual(['fault a BAD - go on: literal: more than 1000 in one command', 'command b NOOP []'])
  })

  it('1 MiB for all literals of a command', () => {
    const literal = ` TEXT {100000+}\r\n${'x'.repeat(100_000)}`
    const events = shown(receive([octets(`a SEARCH${literal.repeat(11)}\r\nb NOOP\r\n`)]))
    expect(events).toEqual([
      "fault a BAD - go on: literal: the command's literals are larger than 1048576 octets together",
      'command b NOOP []',
    ])
  })

  it('a literal in the tag position', () => {
    expect(shown(receive([octets('{4+}\r\nNOOP NOOP\r\nb NOOP\r\n')]))).toEqual([
      'fault * BAD - go on: literal: not allowed before tag and command',
      'command b NOOP []',
    ])
    expect(shown(receive([octets('{4}\r\nb NOOP\r\n')])).at(-1)).toBe('command b NOOP []')
  })
})

describe("APPEND's message", () => {
  it('above the limit: NO [TOOBIG], a non-synchronising one is read away (RFC 7888 §4, RFC 7889)', () => {
    const by = authenticatedLimits(10)
    const refused = 'fault a NO TOOBIG go on: message is larger than 10 octets'
    expect(shown(receive([octets('a APPEND INBOX {11}\r\nb NOOP\r\n')], by))).toEqual([refused, 'command b NOOP []'])
    expect(shown(receive([octets('a APPEND INBOX {11+}\r\nb NOOP\r\nabc\r\nb NOOP\r\n')], by))).toEqual([
      refused,
      'command b NOOP []',
    ])
  })

  it('passes through without being collected', () => {
    const receiver = new CommandReceiver(authenticatedLimits(1_000_000_000))
    receiver.push(octets('a APPEND INBOX {100000000}\r\n'))
    const event = receiver.next()
    expect(event?.type === 'append' && readAppendMailbox(event.command.args)).toBe('INBOX')
    receiver.accept()
    const chunk = Buffer.alloc(64 * kib)
    let passed = 0
    for (let pushed = 0; pushed < 10_000_000; pushed += chunk.length) {
      receiver.push(chunk)
      const part = receiver.next()
      expect(part?.type === 'octets' && part.octets.buffer).toBe(chunk.buffer)
      passed += part?.type === 'octets' ? part.octets.length : 0
      expect([receiver.next(), receiver.pending]).toEqual([undefined, 0])
    }
    expect(passed).toBeGreaterThanOrEqual(10_000_000)
  })

  for (const [when, taken] of [
    ['at once', 0],
    ['in its middle', 3],
    ['behind its last octet', 10],
  ] as const)
    it(`refused ${when}, it is skipped with what follows up to the end of the command`, () => {
      const receiver = new CommandReceiver(limits)
      receiver.push(octets('a APPEND INBOX {10+}\r\n'))
      expect(receiver.next()).toMatchObject({ type: 'append', literal: { synchronising: false } })
      const body = 'b NOOP\r\nxx'
      if (taken > 0) receiver.accept()
      receiver.push(octets(body.slice(0, taken)))
      if (taken > 0) expect(receiver.next()).toEqual({ type: 'octets', octets: octets(body.slice(0, taken)) })
      receiver.refuse()
      receiver.push(octets(`${body.slice(taken)} {3+}\r\nabc\r\nc NOOP\r\n`))
      expect(receiver.next()).toMatchObject({ type: 'command', command: { tag: 'c', name: 'NOOP' } })
    })

  it('refused while synchronising, nothing of it comes', () => {
    const receiver = new CommandReceiver(limits)
    receiver.push(octets('a APPEND INBOX {10}\r\nc NOOP\r\n'))
    expect(receiver.next()).toMatchObject({ type: 'append', literal: { synchronising: true } })
    receiver.refuse()
    expect(receiver.next()).toMatchObject({ type: 'command', command: { tag: 'c' } })
  })

  it('must be followed by CRLF or another message', () => {
    expect(shown(receive([octets('a APPEND INBOX {1+}\r\nxx\r\nb NOOP\r\n')])).slice(-2)).toEqual([
      'append-text bad: SP: expected a space at octet 0, done',
      'command b NOOP []',
    ])
    expect(shown(receive([octets('a APPEND INBOX {1+}\r\nx (\\Seen) ~{3+}\r\na\0b {1+}\r\nz\r\nb NOOP\r\n')]))).toEqual(
      [
        'append a INBOX message [[],null], literal 1 non-sync',
        'octets "x"',
        'append-text end, message [["\\\\Seen"],null], literal8 3 non-sync',
        'octets "a\\u0000b"',
        'append-text end, message [[],null], literal 1 non-sync',
        'octets "z"',
        'append-text end, done',
        'command b NOOP []',
      ],
    )
  })

  it('a later one above the limit ends the command, and the rest of it is skipped (RFC 3502, RFC 7889)', () => {
    const rest = ' {2+}\r\nyy {11+}\r\nb NOOP\r\nabc {1+}\r\nx\r\nb NOOP\r\n'
    expect(shown(receive([octets(`a APPEND INBOX {1+}\r\nx${rest}`)], authenticatedLimits(10))).slice(-2)).toEqual([
      'fault a NO TOOBIG go on: message is larger than 10 octets',
      'command b NOOP []',
    ])
  })

  it('of CATENATE, texts pass through and URLs are collected, also where the mailbox is called so (RFC 4469 §5)', () => {
    const command = 'a APPEND URL CATENATE (URL {4+}\r\n/x/y URL "/z" TEXT {2+}\r\nhi URL {2}\r\n/u) {3+}\r\nabc\r\n'
    expect(shown(receive([octets(command)]))).toEqual([
      'append a URL message [[],null], url /x/y, url /z, literal 2 non-sync',
      'octets "hi"',
      'continuation',
      'append-text url /u, end, message [[],null], literal 3 non-sync',
      'octets "abc"',
      'append-text end, done',
    ])
    for (const mailbox of ['URL', '{3+}\r\nURL', '"(URL "', `"${'x'.repeat(300)} URL "`])
      expect(shown(receive([octets(`a APPEND ${mailbox} {2+}\r\nhi\r\n`)])).slice(-2)).toEqual([
        'octets "hi"',
        'append-text end, done',
      ])
  })
})

describe('raw lines', () => {
  it('have the limit of a command line', () => {
    const receiver = new CommandReceiver(preAuthLimits)
    receiver.push(octets('a AUTHENTICATE PLAIN\r\n'))
    receiver.next()
    receiver.expectLine()
    receiver.push(Buffer.alloc(9000, 'x'))
    expect(receiver.next()).toMatchObject({ type: 'fault', tag: undefined, close: false })
    receiver.push(octets('{5+}\r\nb NOOP\r\n'))
    expect(receiver.next()).toMatchObject({ type: 'command', command: { tag: 'b' } })
  })
})
