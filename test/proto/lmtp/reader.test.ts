import { describe, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { DotUnstuffer } from '#src/proto/lmtp/dot-unstuffing.ts'
import { LmtpReader, maxLineOctets } from '#src/proto/lmtp/reader.ts'

/** Everything that the reader makes of octets that come in these pieces: a message behind each line `DATA`, so many octets behind `BDAT n`. */
function read(pieces: readonly Buffer[]): readonly string[] {
  const reader = new LmtpReader()
  const found: string[] = []
  let content = ''
  for (const piece of pieces) {
    reader.push(piece)
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (next.kind === 'content') content += next.octets.toString('latin1')
      else if (next.kind === 'end') {
        found.push(`message ${JSON.stringify(content)}`)
        content = ''
      } else {
        const line = next.octets.toString('latin1')
        found.push(`line ${line}`)
        if (line === 'DATA') reader.expectMessage()
        else if (line.startsWith('BDAT ')) reader.expectChunk(Number(line.slice(5)))
      }
    }
  }
  return content === '' ? found : [...found, `open ${JSON.stringify(content)}`]
}

/** In one piece, octet by octet, and cut in two at every place: the same each time. */
function readAnyhow(text: string): readonly string[] {
  const octets = Buffer.from(text, 'latin1')
  const whole = read([octets])
  expect(read([...octets].map((octet) => Buffer.from([octet])))).toEqual(whole)
  for (let at = 1; at < octets.length; at++)
    expect(read([octets.subarray(0, at), octets.subarray(at)]), `cut at ${at}`).toEqual(whole)
  return whole
}

describe('a message behind DATA', () => {
  it('ends with CR LF dot CR LF, which is also an empty one (RFC 5321 §4.1.1.4)', () => {
    expect(readAnyhow('DATA\r\na\r\nb\r\n.\r\nNOOP\r\n')).toEqual([
      'line DATA',
      'message "a\\r\\nb\\r\\n"',
      'line NOOP',
    ])
    expect(readAnyhow('DATA\r\n.\r\nNOOP\r\n')).toEqual(['line DATA', 'message ""', 'line NOOP'])
    expect(readAnyhow('DATA\r\n\r\n.\r\nDATA\r\n.\r\n')).toEqual([
      'line DATA',
      'message "\\r\\n"',
      'line DATA',
      'message ""',
    ])
  })

  it('loses the first dot of a line that has more (§4.5.2)', () => {
    expect(readAnyhow('DATA\r\n..\r\n...x\r\n.y\r\na.b\r\n.\r\n')).toEqual([
      'line DATA',
      'message ".\\r\\n..x\\r\\ny\\r\\na.b\\r\\n"',
    ])
  })

  // Every way of ending a message that some mail server took for one and others did not: SMTP smuggling.
  for (const end of [
    '\n.\n',
    '\n.\r\n',
    '\r.\r',
    '\r.\r\n',
    '\r\n.\n',
    '\r\n.\r',
    '\n\n.\r\n',
    '\r\n.\r\r\n',
    '\r\n.\0\r\n',
    '\r\n .\r\n',
    '\0\r\n.\r',
  ])
    it(`goes on behind ${JSON.stringify(end)}: nothing is smuggled`, () => {
      const found = readAnyhow(`DATA\r\nx${end}MAIL FROM:<evil@example.org>\r\n.\r\nNOOP\r\n`)
      expect(found).toHaveLength(3)
      expect(found[1]).toContain('MAIL FROM')
      expect(found[2]).toBe('line NOOP')
    })

  it('keeps bare CR, bare LF, NUL and 8 bits as they are', () => {
    const text = 'a\nb\rc\0d\xffe\r\r\n\n.f\r.g\r\n'
    expect(readAnyhow(`DATA\r\n${text}.\r\n`)).toEqual(['line DATA', `message ${JSON.stringify(text)}`])
  })

  it('is as it was for everything that is made of what matters', () => {
    // All texts of 6 of these, stuffed as a client does it.
    const alphabet = ['\r', '\n', '.', 'x']
    for (let number = 0; number < 4 ** 6; number++) {
      const text = Array.from({ length: 6 }, (_, place) => alphabet[Math.floor(number / 4 ** place) % 4]).join('')
      const unstuffer = new DotUnstuffer()
      const { octets, endsAt } = unstuffer.push(
        Buffer.from(`${`\r\n${text}`.replaceAll('\r\n.', '\r\n..').slice(2)}\r\n.\r\nQ`),
      )
      if (octets.toString() !== `${text}\r\n` || endsAt === undefined) expect(octets.toString()).toBe(`${text}\r\n`)
    }
  })
})

describe('a chunk behind BDAT', () => {
  it('is so many octets, whatever they are (RFC 3030 §2)', () => {
    expect(readAnyhow('BDAT 7\r\n\r\n.\r\nQUNOOP\r\n')).toEqual([
      'line BDAT 7',
      'message "\\r\\n.\\r\\nQU"',
      'line NOOP',
    ])
    expect(readAnyhow('BDAT 0\r\nBDAT 1\r\n\nNOOP\r\n')).toEqual([
      'line BDAT 0',
      'message ""',
      'line BDAT 1',
      'message "\\n"',
      'line NOOP',
    ])
  })
})

describe('a line', () => {
  it('ends with CR LF, and nothing behind a bare LF is a command', () => {
    expect(() => read([Buffer.from('NOOP\nQUIT\r\n')])).toThrow(SyntaxFault)
  })

  it('has a limit, also before its end has come', () => {
    expect(read([Buffer.from(`${'x'.repeat(maxLineOctets - 2)}\r\n`)])).toHaveLength(1)
    expect(() => read([Buffer.from(`${'x'.repeat(maxLineOctets - 1)}\r\n`)])).toThrow(SyntaxFault)
    expect(() => read([Buffer.alloc(maxLineOctets + 1)])).toThrow(SyntaxFault)
  })
})
