import { describe, expect, it } from 'vitest'
import { costRatio } from '#test/support/cpu.ts'
import { mimeLimits } from '../../src/base/limits.ts'
import { Scanner, scan } from '../../src/mime/scan.ts'
import type { Part } from '../../src/mime/types.ts'
import { fixtureMessages, sampleMessages } from '../support/messages.ts'

const crlf = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')

/** "multipart/mixed[text/plain, message/rfc822[text/html]]" */
function outline({ type, subtype, children }: Part): string {
  return `${type}/${subtype}${children.length > 0 ? `[${children.map(outline).join(', ')}]` : ''}`.toLowerCase()
}

const bodyOf = (message: Buffer, { bodyStart, end }: Part) => message.toString('latin1', bodyStart, end)

describe('the tree of parts', () => {
  const complex = crlf(
    `MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

This is the preamble area of a multipart message.

--unique-boundary-1

  ... Some text appears here ...

--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

This could have been part of the previous part

--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

  ... base64-encoded audio data goes here ...

--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

  ... base64-encoded image data goes here ...

--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>

--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

  ... Additional text in ISO-8859-1 goes here ...

--unique-boundary-1--
`,
  )

  it('of the complex example of RFC 2049, Appendix A', () => {
    const root = scan(complex)
    expect(outline(root)).toBe(
      'multipart/mixed[text/plain, text/plain, multipart/parallel[audio/basic, image/jpeg], text/enriched, message/rfc822[text/plain]]',
    )
    const [first, , parallel, , message] = root.children
    expect(bodyOf(complex, first!)).toBe('  ... Some text appears here ...\r\n')
    expect(bodyOf(complex, parallel!.children[1]!)).toBe('  ... base64-encoded image data goes here ...\r\n')
    expect(parallel!.children[0]!.encoding).toBe('base64')
    expect(message!.children[0]!.envelope?.subject).toBe('(subject in US-ASCII)')
    expect(message!.children[0]!.start).toBe(message!.bodyStart)
    expect(message!.children[0]!.encoding).toBe('Quoted-printable')
    expect(message!.envelope).toBeUndefined()
  })

  it('of a digest, whose parts are messages by default (RFC 2046 §5.1.5)', () => {
    const message = crlf(
      'Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\none\n--x\nContent-Type: text/plain\n\ntwo\n--x--\n',
    )
    expect(outline(scan(message))).toBe('multipart/digest[message/rfc822[text/plain], text/plain]')
  })

  it('gives the line end before a delimiter to the delimiter (RFC 2046 §5.1.1)', () => {
    const message = crlf(
      'Content-Type: multipart/mixed; boundary="simple boundary"\n\npreamble\n--simple boundary\n\nno end\n--simple boundary\nContent-type: text/plain; charset=us-ascii\n\nwith end\n\n--simple boundary--\n\nepilogue\n',
    )
    const [first, second] = scan(message).children
    expect([bodyOf(message, first!), first!.lines]).toEqual(['no end', 0])
    expect([bodyOf(message, second!), second!.lines]).toEqual(['with end\r\n', 1])
  })

  it('takes the longer of two boundaries, and the outer when the inner never closes', () => {
    const inside = (inner: string, outer: string) =>
      outline(
        scan(
          crlf(
            `Content-Type: multipart/mixed; boundary=${outer}\n\n--${outer}\nContent-Type: multipart/related; boundary=${inner}\n\n--${inner}\n\none\n--${outer}\n\ntwo\n--${outer}--\n`,
          ),
        ),
      )
    const expected = 'multipart/mixed[multipart/related[text/plain], text/plain]'
    expect(inside('xy', 'x')).toBe(expected)
    expect(inside('x', 'xy')).toBe(expected)
  })

  it.each(fixtureMessages())('of $name holds together', ({ octets }) => {
    const parts: [Part, Part | undefined][] = [[scan(octets), undefined]]
    for (const [part, parent] of parts) {
      expect(part.start).toBeLessThanOrEqual(part.bodyStart)
      expect(part.bodyStart).toBeLessThanOrEqual(part.end)
      expect(part.end).toBeLessThanOrEqual(parent?.end ?? octets.length)
      expect(part.start).toBeGreaterThanOrEqual(parent?.bodyStart ?? 0)
      expect(part.lines).toBe(bodyOf(octets, part).split('\n').length - 1)
      for (const child of part.children) parts.push([child, part])
    }
  })

  it('does not depend on where the chunks are cut', () => {
    const messages = [complex, ...fixtureMessages().map(({ octets }) => octets), ...sampleMessages(17)]
    for (const message of messages)
      for (const size of [1, 2, 3, 7, 64, 1021]) {
        const scanner = new Scanner()
        // The chunk is overwritten behind the scanner's back, as a reader that reuses its buffer would.
        const chunk = Buffer.alloc(size)
        for (let at = 0; at < message.length; at += size) {
          const length = message.copy(chunk, 0, at, at + size)
          scanner.push(chunk.subarray(0, length))
          chunk.fill('-')
        }
        expect(scanner.end()).toEqual(scan(message))
      }
  })
})

describe('limits, by count', () => {
  const nestedMultiparts = (depth: number) =>
    crlf(
      `${Array.from({ length: depth }, (_, level) => `Content-Type: multipart/mixed; boundary=b${level}-\n\n--b${level}-\n`).join('')}\ninnermost\n`,
    )
  const nestedMessages = (depth: number) => crlf(`${'Content-Type: message/rfc822\n\n'.repeat(depth)}\ninnermost\n`)
  const depthOf = (part: Part): number => 1 + (part.children[0] === undefined ? 0 : depthOf(part.children[0]))

  it.each([
    ['multiparts', nestedMultiparts(1000)],
    ['messages', nestedMessages(1000)],
  ])('H21: %s 1,000 deep end in an opaque leaf', (_, message) => {
    const root = scan(message)
    expect(depthOf(root)).toBe(mimeLimits.depth)
    let leaf = root
    while (leaf.children[0] !== undefined) leaf = leaf.children[0]
    expect(outline(leaf)).toBe('application/octet-stream')
    expect(message.toString('latin1', leaf.bodyStart, leaf.end)).toContain('innermost')
  })

  it('stays below the limits with what is allowed', () => {
    expect(outline(scan(nestedMessages(mimeLimits.depth - 1))).match(/rfc822/g)).toHaveLength(mimeLimits.depth - 1)
  })

  it('H21: of 100,000 parts the last that is allowed has the rest', () => {
    const message = crlf(`Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\na\n'.repeat(100_000)}--x--\n`)
    const root = scan(message)
    expect(root.children).toHaveLength(mimeLimits.parts - 1)
    expect(root.children.at(-1)!.end).toBe(message.length)
    expect(root.children.at(-2)!.end - root.children.at(-2)!.bodyStart).toBe(1)
  })

  it('H21: a part limit that is reached by an embedded message is no trouble', () => {
    const parts = '--x\nContent-Type: message/rfc822\n'.repeat(mimeLimits.parts)
    const root = scan(crlf(`Content-Type: multipart/mixed; boundary=x\n\n${parts}--x--\n`))
    let count = 0
    const open: Part[] = [root]
    for (let part = open.pop(); part !== undefined; part = open.pop()) {
      count++
      open.push(...part.children)
    }
    expect(count).toBe(mimeLimits.parts)
  })

  it('H21: a header is read up to its limit, and its end is found behind', () => {
    const filler = `X-Filler: ${'x'.repeat(mimeLimits.headerOctets)}\n`
    const message = crlf(`Subject: seen\n${filler}To: not@seen\nContent-Type: text/html\n\nbody\n`)
    const root = scan(message)
    expect([root.envelope?.subject, root.envelope?.to, outline(root)]).toEqual(['seen', undefined, 'text/plain'])
    expect(bodyOf(message, root)).toBe('body\r\n')
  })

  it('H21: all headers together have a limit', () => {
    const part = `--x\nX-Filler: ${'x'.repeat(1_000_000)}\nContent-Type: text/html\n\n`
    const root = scan(crlf(`Content-Type: multipart/mixed; boundary=x\n\n${part.repeat(10)}--x--\n`))
    expect(root.children.map(outline)).toEqual([...Array(8).fill('text/html'), ...Array(2).fill('text/plain')])
  })

  it('H21: an empty boundary and one that is too long are none', () => {
    const long = 'b'.repeat(mimeLimits.boundaryOctets + 1)
    for (const boundary of ['', long])
      expect(
        scan(crlf(`Content-Type: multipart/mixed; boundary="${boundary}"\n\n--${boundary}\n\na\n`)).children,
      ).toEqual([])
    const longest = 'b'.repeat(mimeLimits.boundaryOctets)
    expect(
      scan(crlf(`Content-Type: multipart/mixed; boundary="${longest}"\n\n--${longest}\n\na\n`)).children,
    ).toHaveLength(1)
  })
})

describe('H21, P18: cost grows no faster than the octets', () => {
  const levels = Array.from(
    { length: 90 },
    (_, level) => `Content-Type: multipart/mixed; boundary=${'b'.repeat(level + 1)}x\n\n--${'b'.repeat(level + 1)}x\n`,
  )
  const bombs: Readonly<Record<string, (size: number) => string>> = {
    'one field of addresses': (n) => `To: ${'a@b,'.repeat(n)}\n\n`,
    'many fields of addresses': (n) => `${'To: a@b\n'.repeat(n)}\n`,
    'groups without end': (n) => `To: ${'g:a@b,'.repeat(n)}\n\n`,
    'empty groups': (n) => `To: ${'g:;,'.repeat(n)}\n\n`,
    semicolons: (n) => `To: g:${';'.repeat(n)}\n\n`,
    'words without an address': (n) => `To: ${'word "string" '.repeat(n)}\n\n`,
    'comments in comments': (n) => `To: ${'('.repeat(n)}${')'.repeat(n)} a@b\n\n`,
    'comments without an end': (n) => `To: ${'a (b\\'.repeat(n)}\n\n`,
    'strings without an end': (n) => `To: ${'"a\\" <b> '.repeat(n)}\n\n`,
    routes: (n) => `To: <${'@a,'.repeat(n)}:b@c>\n\n`,
    parameters: (n) => `Content-Type: text/plain${'; a*0=b'.repeat(n)}\n\n`,
    'broken parameters': (n) => `Content-Type: text/plain${'; "'.repeat(n)}\n\n`,
    'folded lines': (n) => `Subject: a\n${' \n'.repeat(n)}\n`,
    'lines without a colon': (n) => `${'a\n'.repeat(n)}\n`,
    languages: (n) => `Content-Language: ${'en,'.repeat(n)}\n\n`,
    'empty lines': (n) => `\n${'\n'.repeat(n)}`,
    'one line': (n) => `\n${'x'.repeat(n)}`,
    'carriage returns': (n) => `\n${'\r'.repeat(n)}`,
    parts: (n) => `Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\n'.repeat(n)}`,
    'lines that almost are delimiters of 90 multiparts': (n) =>
      `${levels.join('')}\n${`--${'b'.repeat(88)}\n`.repeat(n / 30)}`,
    'messages in messages': (n) => 'Content-Type: message/rfc822\n\n'.repeat(n / 10),
  }
  const small = 20_000
  const factor = 16

  it.each(Object.keys(bombs))('%s', async (name) => {
    const [less, more] = [small, small * factor].map((size) => Buffer.from(bombs[name]!(size), 'latin1'))
    // Linear is 16, quadratic would be 256.
    const ratio = await costRatio(
      () => scan(less!),
      () => scan(more!),
      3,
    )
    expect(ratio).toBeLessThan(factor * 4)
  })
})
