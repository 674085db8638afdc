import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatDateTime, parseDate, parseDateTime } from '#src/proto/imap/date-time.ts'

describe('date-time and date (RFC 9051 §9)', () => {
  it.each([
    ['17-Jul-1996 02:44:25 -0700', Date.UTC(1996, 6, 17, 9, 44, 25)],
    [' 7-feb-1994 22:43:04 -0800', Date.UTC(1994, 1, 8, 6, 43, 4)],
    ['7-Feb-1994 22:43:04 -0800', Date.UTC(1994, 1, 8, 6, 43, 4)],
    ['07-Feb-1994 22:43:04 +0530', Date.UTC(1994, 1, 7, 17, 13, 4)],
    ['29-Feb-2000 00:00:00 +0000', Date.UTC(2000, 1, 29)],
    ['31-Dec-1969 23:59:59 +0000', -1000],
    ['30-Jun-2015 23:59:60 +0000', Date.UTC(2015, 6, 1)],
  ])('%s', (text, ms) => expect(parseDateTime(text)).toBe(ms / 1000))

  it.each([
    '-Feb-1994 22:43:04 -0800',
    '29-Feb-1900 00:00:00 +0000',
    '31-Apr-2000 00:00:00 +0000',
    '00-Jan-2000 00:00:00 +0000',
    '01-Foo-2000 00:00:00 +0000',
    '01-Jan-2000 24:00:00 +0000',
    '01-Jan-2000 00:60:00 +0000',
    '01-Jan-2000 00:00:00 0000',
    '01-Jan-2000 00:00:00 +0060',
    '01-Jan-2000 00:00:00 GMT',
    '01-Jan-00 00:00:00 +0000',
    '',
  ])('%j is none', (text) => expect(parseDateTime(text)).toBeUndefined())

  it('comes back from its own text', () => {
    const first = Date.UTC(0, 0, 1) / 1000
    fc.assert(
      fc.property(fc.integer({ min: first, max: 253402300799 }), (seconds) => {
        const text = formatDateTime(seconds)
        expect(text).toMatch(/^"[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d \+0000"$/)
        expect(parseDateTime(text.slice(1, -1))).toBe(seconds)
      }),
    )
    expect(formatDateTime(837596665)).toBe('"17-Jul-1996 09:44:25 +0000"')
  })

  it('dates are whole days', () => {
    expect(parseDate('1-Feb-1994')).toBe(Date.UTC(1994, 1, 1) / 86_400_000)
    expect(parseDate('01-FEB-1994')).toBe(parseDate('1-Feb-1994'))
    expect(['1-Feb-94', '32-Jan-2000', '30-Feb-2000', '1 Feb 1994', ''].map(parseDate)).toEqual(
      Array(5).fill(undefined),
    )
  })
})
