/** The octets of ManageSieve, RFC 5804 §4: what comes in, in any pieces, and what goes out. */
import { describe, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { commandOf } from '#src/proto/managesieve/arguments.ts'
import { LineReader, maxLineOctets, OutOfStep, TooLarge } from '#src/proto/managesieve/line-reader.ts'
import { formatCapability, formatResponse, formatString } from '#src/proto/managesieve/response.ts'
import { parseSieveUrl } from '#src/proto/managesieve/url.ts'

const limits = { literalOctets: 100, forgottenOctets: 1_000 }

/** Lines as texts; faults by their class. */
function linesOf(octets: Buffer, pieces: readonly number[]): string[] {
  const reader = new LineReader(limits)
  const found: string[] = []
  let at = 0
  for (const end of [...pieces, octets.length]) {
    reader.push(Buffer.from(octets.subarray(at, end)))
    at = end
    for (;;) {
      try {
        const line = reader.next()
        if (line === undefined) break
        found.push(
          line
            .map((token) => (token.type !== 'string' ? token.text : JSON.stringify(token.octets.toString())))
            .join('|'),
        )
      } catch (error) {
        if (!(error instanceof SyntaxFault)) throw error
        found.push(error.constructor.name)
        if (error instanceof OutOfStep) return found
      }
    }
  }
  return found
}

describe('lines', () => {
  const dialogue = [
    ['CAPABILITY\r\n', 'CAPABILITY'],
    ['putscript "a\\"b\\\\" {5+}\r\nkeep;\r\n', 'putscript|"a\\"b\\\\"|"keep;"'],
    ['HAVESPACE {0+}\r\n 4294967295\r\n', 'HAVESPACE|""|4294967295'],
    ['PUTSCRIPT {2}\r\n\r\n {3+}\r\n{1+\r\n', 'PUTSCRIPT|"\\r\\n"|"{1+"'],
    ['"YWJj"\r\n', '"YWJj"'],
    ['\r\n', ''],
    ['NOOP\n', 'NOOP'],
    ['NOOP "é𝄞"\r\n', 'NOOP|"é𝄞"'],
    // Not taken, with whatever literal is in it: the next command is where the client thinks.
    ['NOOP  "two spaces"\r\n', 'SyntaxFault'],
    ['NOOP "open\r\n', 'SyntaxFault'],
    ['NOOP "a\\b"\r\n', 'SyntaxFault'],
    ['NOOP ((( {14+}\r\nLOGOUT\r\nNOOP\r\n\r\n', 'SyntaxFault'],
    ['NOOP {5+}\r\nabcdefg\r\n', 'SyntaxFault'],
    ['NOOP {02+}\r\nxx\r\n', 'SyntaxFault'],
    ['NOOP \r\n', 'SyntaxFault'],
    [`PUTSCRIPT "a" {101+}\r\n${'x'.repeat(101)} {4+}\r\nNOOP\r\n`, 'TooLarge'],
    [`PUTSCRIPT {60+}\r\n${'x'.repeat(60)} {60+}\r\n${'y'.repeat(60)}\r\n`, 'TooLarge'],
    [`A${' "x"'.repeat(16)}\r\n`, 'SyntaxFault'],
    ['LOGOUT\r\n', 'LOGOUT'],
  ] as const
  const octets = Buffer.from(dialogue.map(([sent]) => sent).join(''))
  const expected = dialogue.map(([, read]) => read)

  it('are the same whatever pieces they come in', () => {
    expect(linesOf(octets, [])).toEqual(expected)
    expect(
      linesOf(
        octets,
        Array.from({ length: octets.length }, (_, at) => at),
      ),
    ).toEqual(expected)
    for (let at = 0; at < octets.length; at += 1) expect(linesOf(octets, [at])).toEqual(expected)
  })

  it('end the connection where nobody can tell any more where a command begins', () => {
    expect(linesOf(Buffer.from('PUTSCRIPT {1001+}\r\n'), [])).toEqual(['OutOfStep'])
    expect(linesOf(Buffer.from('A {9999999999+}\r\n'), [])).toEqual(['OutOfStep'])
    expect(linesOf(Buffer.alloc(maxLineOctets + 1, 'x'), [])).toEqual(['OutOfStep'])
    expect(linesOf(Buffer.from(`A "${'x'.repeat(maxLineOctets)}"\r\n`), [])).toEqual(['OutOfStep'])
  })

  it('hold no more than the limits, and tell what was too large', () => {
    const reader = new LineReader(limits)
    reader.push(Buffer.from('PUTSCRIPT "name" {200+}\r\n'))
    expect(reader.next()).toBeUndefined()
    for (let sent = 0; sent < 200; sent += 50) {
      reader.push(Buffer.alloc(50))
      expect(reader.next()).toBeUndefined()
      expect(reader.pending).toBe(0)
    }
    reader.push(Buffer.from('\r\n'))
    expect(() => reader.next()).toThrow(TooLarge)
  })
})

describe('arguments', () => {
  const read = (line: string) => {
    const reader = new LineReader(limits)
    reader.push(Buffer.from(line, 'latin1'))
    return commandOf(reader.next()!)
  }

  it('are strings, numbers below 2^32, and no more than there should be', () => {
    const { word, args } = read('havespace "a" 4294967295\r\n')
    expect([word, args.text('a name'), args.number('a size'), args.isAtEnd]).toEqual([
      'HAVESPACE',
      'a',
      4294967295,
      true,
    ])
    for (const number of ['4294967296', '01', '-1', '"1"', '1x', '99999999999'])
      expect(() => read(`A ${number}\r\n`).args.number('a size')).toThrow(/a size is expected, as a number/)
    expect(() => read('A b\r\n').args.string('a name')).toThrow(/a name is expected, as a string/)
    expect(() => read('A "\xff"\r\n').args.text('a name')).toThrow(/UTF-8/)
    expect(() => read('A "b"\r\n').args.end()).toThrow(/too many/)
    expect(() => read('"A"\r\n')).toThrow(SyntaxFault)
    expect(() => read('\r\n')).toThrow(SyntaxFault)
  })
})

describe('responses', () => {
  it('quote what can be quoted, and send the rest as literals', () => {
    expect(formatString('a"\\b é').toString()).toBe('"a\\"\\\\b é"')
    expect(formatString('two\r\nlines é').toString()).toBe('{13}\r\ntwo\r\nlines é')
    expect(formatString('\0').toString()).toBe('{1}\r\n\0')
    expect(formatString('x'.repeat(1_024)).length).toBe(1_026)
    expect(formatString('x'.repeat(1_025)).toString()).toMatch(/^\{1025\}\r\n/)
    expect(formatString('').toString()).toBe('""')
  })

  it('have their codes and texts as in the examples of the RFC', () => {
    expect(formatResponse('OK').toString()).toBe('OK\r\n')
    expect(formatResponse('NO', 'Quota exceeded', 'QUOTA/MAXSIZE').toString()).toBe(
      'NO (QUOTA/MAXSIZE) "Quota exceeded"\r\n',
    )
    expect(formatResponse('OK', 'Done', { tag: Buffer.from('x"y') }).toString()).toBe('OK (TAG "x\\"y") "Done"\r\n')
    expect(formatCapability('STARTTLS').toString()).toBe('"STARTTLS"\r\n')
    expect(formatCapability('SASL', '').toString()).toBe('"SASL" ""\r\n')
  })
})

describe('Sieve URLs (§3)', () => {
  const url = { user: undefined, host: 'example.com', port: 4190, owner: undefined, script: undefined }

  it('name a server, its scripts, or one', () => {
    expect(parseSieveUrl('sieve://example.com')).toEqual(url)
    expect(parseSieveUrl('SIEVE://example.com/')).toEqual(url)
    expect(parseSieveUrl('sieve://example.com/script')).toEqual({ ...url, script: 'script' })
    expect(parseSieveUrl('sieve://example.com//script')).toEqual({ ...url, owner: '', script: 'script' })
    expect(parseSieveUrl('sieve://j%C3%B6rg@[2001:db8::1]:2000/anna@example.org/a%2Fb%20%3B')).toEqual({
      user: 'jörg',
      host: '2001:db8::1',
      port: 2000,
      owner: 'anna@example.org',
      script: 'a/b ;',
    })
  })

  it('are refused when they are none', () => {
    for (const wrong of [
      'imap://example.com',
      'sieve:example.com',
      'sieve://',
      'sieve://a b/',
      'sieve://example.com:99999/',
      'sieve://example.com/a/b/c',
      'sieve://example.com/a/',
      'sieve://example.com/a;b',
      'sieve://example.com/a=b',
      'sieve://example.com/%zz',
      'sieve://example.com/%ff',
      'sieve://example.com/é',
      `sieve://example.com/${'x'.repeat(5_000)}`,
    ])
      expect(() => parseSieveUrl(wrong), wrong).toThrow(SyntaxFault)
  })
})
