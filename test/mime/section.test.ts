import { describe, expect, it } from 'vitest'
import { scan } from '../../src/mime/scan.ts'
import { findSection, selectFields, splitHeader } from '../../src/mime/section.ts'

describe('sections', () => {
  /** The message that RFC 9051 §6.4.5.1 gives part specifiers of, every part with its own name as content. */
  const message = Buffer.from(
    `Subject: outer
Content-Type: multipart/mixed; boundary=a

--a
X-Part: 1

one
--a
Content-Type: application/octet-stream

two
--a
Content-Type: message/rfc822

Subject: third
Content-Type: multipart/mixed; boundary=b

--b

three.one
--b
Content-Type: application/octet-stream

three.two
--b--

--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

four.one
--c
Content-Type: message/rfc822

Subject: fourth

four.two
--c--

--a--
`.replaceAll('\n', '\r\n'),
  )
  const root = scan(message)
  const section = (part: number[], text?: 'HEADER' | 'TEXT' | 'MIME') => {
    const range = findSection(root, { part, text })
    return range && message.toString('latin1', range.start, range.end)
  }

  it.each([
    [[1], undefined, 'one'],
    [[2], undefined, 'two'],
    [[3, 1], undefined, 'three.one'],
    [[3, 2], undefined, 'three.two'],
    [[4, 1], undefined, 'four.one'],
    [[4, 2, 1], undefined, 'four.two'],
    [[4, 2], 'TEXT', 'four.two'],
    [[4, 2], 'HEADER', 'Subject: fourth\r\n\r\n'],
    [[4, 2], undefined, 'Subject: fourth\r\n\r\nfour.two'],
    [[3], 'HEADER', 'Subject: third\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'],
    [[1], 'MIME', 'X-Part: 1\r\n\r\n'],
    [[4, 1], 'MIME', 'Content-Type: image/gif\r\n\r\n'],
    [[], 'HEADER', 'Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n'],
  ] as const)('%j %s', (part, text, octets) => {
    expect(section([...part], text)).toBe(octets)
  })

  it('knows what is not there', () => {
    const missing = [[5], [1, 1], [2, 1], [3, 3], [4, 3], [4, 2, 2], [4, 1, 1]]
    expect(missing.map((part) => section(part))).toEqual(missing.map(() => undefined))
    // Only a message has HEADER and TEXT, only a part has MIME.
    expect([section([1], 'HEADER'), section([4], 'TEXT'), section([], 'MIME')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('has the whole message, and part 1 of one that is no multipart', () => {
    expect(section([])).toBe(message.toString('latin1'))
    const plain = Buffer.from('Subject: x\r\n\r\nbody')
    expect(findSection(scan(plain), { part: [1], text: undefined })).toEqual({ start: 14, end: 18 })
    expect(findSection(scan(plain), { part: [2], text: undefined })).toBeUndefined()
  })
})

describe('chosen header fields', () => {
  const header = Buffer.from('Subject: one\r\n two\r\nTO : a\r\nX: \xe9\r\nSubject: three\r\n\r\n', 'latin1')

  it('keeps them as they stand, all of a name, and the empty line', () => {
    expect(selectFields(splitHeader(header), ['SUBJECT', 'to'], true).toString('latin1')).toBe(
      'Subject: one\r\n two\r\nTO : a\r\nSubject: three\r\n\r\n',
    )
    expect(selectFields(splitHeader(header), ['none'], true).toString('latin1')).toBe('\r\n')
  })

  it('leaves them out', () => {
    expect(selectFields(splitHeader(header), ['subject', 'To'], false).toString('latin1')).toBe('X: \xe9\r\n\r\n')
  })

  it('ends the last line of a header that was cut off', () => {
    expect(selectFields(splitHeader(Buffer.from('A: b\r\nC: d')), ['c'], true).toString()).toBe('C: d\r\n\r\n')
  })
})
