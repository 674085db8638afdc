import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decimal, noArgument, parseCommand, words } from '#src/proto/pop3/command.ts'
import { DotStuffer } from '#src/proto/pop3/dot-stuffing.ts'
import { LineReader } from '#src/proto/pop3/line-reader.ts'
import { err, ok } from '#src/proto/pop3/response.ts'
import { TopCutter } from '#src/proto/pop3/top.ts'
import { UniqueIds } from '#src/proto/pop3/uidl.ts'

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const pieces = (octets: Buffer, sizes: readonly number[]): Buffer[] => {
  const all: Buffer[] = []
  for (let at = 0, i = 0; at < octets.length; i++) {
    const size = sizes[i % sizes.length]!
    all.push(octets.subarray(at, at + size))
    at += size
  }
  return all
}
const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })
/** Octets with many of those that matter. */
const message = fc
  .array(fc.constantFrom('.', '\r', '\n', '\r\n', 'a', '\r\n.', 'b: c'), { maxLength: 60 })
  .map((parts) => latin1(parts.join('')))

describe('lines and commands (RFC 1939 §3)', () => {
  it('reads the same lines from any partition, CRLF or LF', () => {
    fc.assert(
      fc.property(sizes, (split) => {
        const reader = new LineReader()
        const lines: string[] = []
        for (const piece of pieces(latin1('USER joe\r\nPASS a b \nQUIT\r\nNO'), split)) {
          reader.push(Buffer.from(piece))
          for (let line = reader.next(); line; line = reader.next()) lines.push(line.toString('latin1'))
        }
        expect(lines).toEqual(['USER joe', 'PASS a b ', 'QUIT'])
        expect(reader.pending).toBe(2)
      }),
    )
  })

  it('refuses a line of 1 MB before it is complete (H26)', () => {
    const reader = new LineReader()
    expect(() => {
      for (let i = 0; i < 1024; i++) {
        reader.push(Buffer.alloc(1024, 'x'))
        reader.next()
      }
    }).toThrow('8192 octets')
    expect(reader.pending).toBeLessThan(10_000)
  })

  it('splits the keyword from its argument', () => {
    expect(parseCommand(latin1('list'))).toEqual({ keyword: 'LIST', argument: undefined })
    expect(parseCommand(latin1('PASS  two  spaces '))).toEqual({ keyword: 'PASS', argument: latin1(' two  spaces ') })
    expect(parseCommand(latin1('PASS \xff\x00')).argument).toEqual(Buffer.from([0xff, 0]))
    for (const line of ['', ' USER joe', '\x00\x01', 'AB', '{}', 'x'.repeat(5000), 'USER\tjoe'])
      expect(() => parseCommand(latin1(line))).toThrow('keyword')
  })

  it('reads words and numbers with their limits', () => {
    expect(words(latin1('1  2 '), 1, 2)).toEqual(['1', '2'])
    expect(() => words(latin1('1 2 3'), 1, 2)).toThrow('1 to 2 arguments')
    expect(() => words(undefined, 1, 1)).toThrow('1 argument')
    expect(() => noArgument(latin1('1'))).toThrow('no argument')
    noArgument(undefined)
    expect(decimal('0010000000')).toBe(10_000_000)
    for (const word of ['-1', '+1', '1.5', '1e3', '', '10000000000', 'one', '0x10'])
      expect(() => decimal(word)).toThrow('number')
  })

  it('writes one line of at most 512 octets whatever the text', () => {
    expect(ok('2 messages')).toBe('+OK 2 messages\r\n')
    expect(err('a\r\n+OK b\x1b[2J\xe4', 'SYS/TEMP')).toBe('-ERR [SYS/TEMP] a??+OK b?[2J?\r\n')
    expect(ok('x'.repeat(9999))).toHaveLength(512)
  })
})

describe('dot-stuffing (RFC 1939 §3)', () => {
  const stuff = (octets: Buffer, split: readonly number[]): string => {
    const stuffer = new DotStuffer()
    return Buffer.concat([...pieces(octets, split).map((piece) => stuffer.push(piece)), stuffer.end()]).toString(
      'latin1',
    )
  }

  it.each([
    ['a\r\n', 'a\r\n.\r\n'],
    ['.\r\n', '..\r\n.\r\n'],
    ['a\r\n.\r\n..b\r\n', 'a\r\n..\r\n...b\r\n.\r\n'],
    ['no end', 'no end\r\n.\r\n'],
    ['half an end\r', 'half an end\r\r\n.\r\n'],
    ['LF end\n', 'LF end\n\r\n.\r\n'],
    ['a\n.\nb\r\n', 'a\n..\nb\r\n.\r\n'],
    ['a.b\r\n\r.c\r\n', 'a.b\r\n\r.c\r\n.\r\n'],
    ['', '.\r\n'],
  ])('%j becomes %j', (octets, expected) => {
    for (const split of [[1], [2], [3], [1000]]) expect(stuff(latin1(octets), split)).toBe(expected)
  })

  it('comes back equal from a reader of lines, and ends nowhere early', () => {
    fc.assert(
      fc.property(message, sizes, (octets, split) => {
        const sent = stuff(octets, split)
        const lines = sent.split('\n')
        const end = lines.findIndex((line) => line === '.\r' || line === '.')
        expect(end).toBe(lines.length - 2)
        const received = lines
          .slice(0, end)
          .map((line) => `${line.replace(/^\./, '')}\n`)
          .join('')
        const complete = octets.length === 0 || octets.subarray(-2).equals(latin1('\r\n'))
        expect(received).toBe(octets.toString('latin1') + (complete ? '' : '\r\n'))
      }),
      { numRuns: 500 },
    )
  })

  it('passes what needs no dot without a copy', () => {
    const chunk = Buffer.alloc(65536, 'x')
    expect(new DotStuffer().push(chunk)).toBe(chunk)
  })
})

describe('TOP (RFC 1939 §7)', () => {
  const top = (octets: Buffer, lines: number, split: readonly number[]): string => {
    const cutter = new TopCutter(lines)
    const out: Buffer[] = []
    for (const piece of pieces(octets, split)) {
      if (cutter.done) break
      out.push(cutter.push(piece))
    }
    return Buffer.concat(out).toString('latin1')
  }

  it.each([
    ['a: b\r\n\r\none\r\ntwo\r\n', 0, 'a: b\r\n\r\n'],
    ['a: b\r\n\r\none\r\ntwo\r\n', 1, 'a: b\r\n\r\none\r\n'],
    ['a: b\r\n\r\none\r\ntwo\r\n', 9, 'a: b\r\n\r\none\r\ntwo\r\n'],
    ['a: b\r\n\r\n\r\n\r\ntwo', 2, 'a: b\r\n\r\n\r\n\r\n'],
    ['a: b\n\none\ntwo\n', 1, 'a: b\n\none\n'],
    ['a: b\r\n \r\n\r\none\r\n', 0, 'a: b\r\n \r\n\r\n'],
    ['a: b\r\nc: d', 3, 'a: b\r\nc: d'],
    ['\r\nbody\r\n', 0, '\r\n'],
    ['a: b\r\n\r', 1000000000, 'a: b\r\n\r'],
    ['\r\r\n.', 0, '\r\r\n.'],
  ])('of %j with %d lines is %j', (octets, lines, expected) => {
    for (const split of [[1], [2], [3], [5], [1000]]) expect(top(latin1(octets), lines, split)).toBe(expected)
  })

  it('does not depend on the partition', () => {
    fc.assert(
      fc.property(message, fc.nat(5), sizes, (octets, lines, split) => {
        expect(top(octets, lines, split)).toBe(top(octets, lines, [10_000]))
      }),
      { numRuns: 2000 },
    )
  })
})

const uniqueIds = (uidValidity: number, messages: readonly { uid: number; uidl: string | undefined }[]) => {
  const ids = new UniqueIds(uidValidity, {
    length: messages.length,
    uidAt: (index) => messages[index]!.uid,
    uidlAt: (index) => messages[index]!.uidl,
  })
  while (!ids.look(3));
  return messages.map((_, index) => ids.at(index))
}

describe('unique-ids (RFC 1939 §7)', () => {
  it("are the origin's where there is one", () => {
    const messages = [
      { uid: 1, uidl: 'whqtswO00WBw418f9t5JxYwZ' },
      { uid: 17, uidl: undefined },
      { uid: 18, uidl: 'with space' },
      { uid: 19, uidl: 'x'.repeat(71) },
    ]
    expect(uniqueIds(0x5f3a, messages)).toEqual([
      'whqtswO00WBw418f9t5JxYwZ',
      '00005f3a-00000011',
      '00005f3a-00000012',
      '00005f3a-00000013',
    ])
  })

  it('are unique and within 70 octets whatever the backends say', () => {
    const uidl = fc.option(fc.constantFrom('a', 'b', 'x'.repeat(70), 'a:00000001-00000002', '00000001-00000003'), {
      nil: undefined,
    })
    fc.assert(
      fc.property(fc.array(uidl), (uidls) => {
        const ids = uniqueIds(
          1,
          uidls.map((given, index) => ({ uid: index + 1, uidl: given })),
        )
        expect(new Set(ids).size).toBe(ids.length)
        for (const id of ids) expect(id).toMatch(/^[\x21-\x7e]{1,70}$/)
      }),
    )
  })
})
