import { describe, expect, it } from 'vitest'
import { headerDigest, headerLimit, internalDateOf, parseDateTime } from '#gateway/sync/header.ts'

describe('date-time', () => {
  // RFC 5322 §3.3 and appendix A; obsolete forms §4.3.
  it.each([
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21T15:55:06Z'],
    ['21 Nov 97 09:55:06 GMT', '1997-11-21T09:55:06Z'],
    ['Tue, 1 Jul 2003 10:52:37 +0200', '2003-07-01T08:52:37Z'],
    ['Thu, 13 Feb 1969 23:32 -0330', '1969-02-14T03:02:00Z'],
    ['Thu,  5 Sep 2002 11:29:28 EDT', '2002-09-05T15:29:28Z'],
    ['Mon, 29 Feb 2016 23:59:60 +0000 (UTC)', '2016-03-01T00:00:00Z'],
  ])('%s', (text, iso) => expect(parseDateTime(text)).toBe(Date.parse(iso) / 1_000))

  it.each(['', 'yesterday', '32 Jan 2020 10:00:00 +0000', '1 Foo 2020 10:00 +0000', `${'1 '.repeat(10_000)}`])(
    'no date in %j',
    (text) => expect(parseDateTime(text)).toBeUndefined(),
  )
})

describe('INTERNALDATE (D18)', () => {
  const now = Date.parse('2026-11-22T00:00:00Z') / 1_000
  const of = (header: string) => new Date(internalDateOf(Buffer.from(header), now) * 1_000).toISOString()
  const received = 'Received: from a (b; c)\r\n\tby d with ESMTP\r\n\t; Tue, 1 Jul 2003 10:52:37 +0200\r\n'
  const older = 'Received: from x by y; Mon, 30 Jun 2003 10:52:37 +0200\r\n'
  const date = 'Date: Sun, 29 Jun 2003 10:00:00 +0000\r\n'
  it('is the topmost Received', () => expect(of(`${received}${older}${date}\r\nx`)).toBe('2003-07-01T08:52:37.000Z'))
  it('else Date', () =>
    expect(of(`${date}\r\nReceived: x; 1 Jul 2003 10:52:37 +0200`)).toBe('2003-06-29T10:00:00.000Z'))
  it('else now: nothing, nonsense, the future', () => {
    for (const header of ['', 'Subject: x\r\n\r\n', 'Date: soon\r\n\r\n', 'Date: 1 Jan 2030 00:00:00 +0000\r\n\r\n'])
      expect(of(header)).toBe('2026-11-22T00:00:00.000Z')
  })
})

describe('header digest', () => {
  it('does not see what servers add by themselves, nor the body', () => {
    const digest = headerDigest(Buffer.from('Subject: a\r\nFrom: b\r\n\r\nbody'))
    expect(headerDigest(Buffer.from('Subject: a\r\nStatus: RO\r\nX-UIDL: 7\r\nFrom: b\r\n\r\n'))).toBe(digest)
    expect(headerDigest(Buffer.from('Subject: a\r\nFrom: c\r\n\r\nbody'))).not.toBe(digest)
  })

  it('sees as much of a header as is looked at, in however large pieces it came', () => {
    const long = Buffer.from(`Subject: a\r\nX-Long: ${'x'.repeat(200_000)}\r\n\r\n`)
    expect(headerDigest(long.subarray(0, headerLimit))).toBe(headerDigest(long))
    expect(headerDigest(long.subarray(0, headerLimit + 777))).toBe(headerDigest(long))
  })
})
