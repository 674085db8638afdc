import { describe, expect, it } from 'vitest'
import { scan } from '../../../src/mime/scan.ts'
import { formatBodyStructure } from '../../../src/proto/imap/body-structure.ts'

const format = (text: string, extended: boolean) =>
  formatBodyStructure(scan(Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')), { extended })

describe('BODY and BODYSTRUCTURE (RFC 9051 §7.5.2)', () => {
  const twoParts = `MIME-Version: 1.0
Content-Type: MULTIPART/MIXED; BOUNDARY=x

--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

one
two
--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"
Content-ID: <960723163407.20117h@cac.washington.edu>
Content-Description: Compiler diff
Content-Transfer-Encoding: BASE64
Content-MD5: Q2hlY2s=
Content-Disposition: attachment; filename="cc.diff"
Content-Language: en, de
Content-Location: http://example.org/cc.diff

T25l

--x--
`

  it('of the two-part example', () => {
    expect(format(twoParts, false)).toBe(
      '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 8 1)' +
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 6 1) "MIXED")',
    )
  })

  it('with extension data in the defined order', () => {
    expect(format(twoParts, true)).toBe(
      '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 8 1 NIL NIL NIL NIL)' +
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 6 1 ' +
        '"Q2hlY2s=" ("attachment" ("filename" "cc.diff")) ("en" "de") "http://example.org/cc.diff") "MIXED" ("BOUNDARY" "x") NIL NIL NIL)',
    )
  })

  it('of a message in a message', () => {
    expect(format('Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: image/gif\n\nGIF\n', true)).toBe(
      '("message" "rfc822" NIL NIL NIL "7bit" 48 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ' +
        '("image" "gif" NIL NIL NIL "7bit" 5 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)',
    )
  })

  it('names the default charset of text (RFC 2045 §5.2)', () => {
    expect(format('\nbody\n', false)).toBe('("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1)')
  })

  it('gives a multipart without parts an empty one, for the grammar wants one', () => {
    const empty = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
    expect(format('Content-Type: multipart/mixed; boundary=x\n\nnothing\n', false)).toBe(`(${empty}) "mixed")`)
    expect(format('Content-Type: multipart/mixed; boundary=x\n\nnothing\n', true)).toBe(
      `(${empty} NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`,
    )
  })
})
