/** What SORT and THREAD go by. RFC 5256 §2, RFC 5051, RFC 5957 */
import { describe, expect, it } from 'vitest'
import { baseSubject } from '#src/mime/base-subject.ts'
import { sentTime } from '#src/mime/date.ts'
import { messageIds } from '#src/mime/message-id.ts'
import { orderKeys } from '#src/mime/order-keys.ts'
import { summarize } from '#src/mime/summary.ts'
import { unicodeCasemap } from '#src/mime/unicode-casemap.ts'

describe('base subject (RFC 5256 §2.1)', () => {
  it.each([
    ['alpha', 'alpha', false],
    ['Re: alpha', 'alpha', true],
    ['\tFWD \t[x] : Re[2]: alpha (fwd)\r\n (FWD) ', 'alpha', true],
    ['[list] alpha  beta', 'alpha beta', false],
    ['[list] [other]', '[other]', false],
    ['[a[b] c', '[a[b] c', false],
    ['[fwd: [list] Re: [fwd: alpha]]', 'alpha', true],
    ['[fwd: alpha] beta', 'beta', false],
    ['[fwd:]', '', true],
    ['rex: alpha', 'rex: alpha', false],
    ['re alpha', 're alpha', false],
    ['[a] re [b] [c]: alpha', 're [b] [c]: alpha', false],
    ['(fwd)', '', true],
    ['', '', false],
    // a lower case of another length
    ['Re: \u0130 (fwd)', '\u0130', true],
  ])('%j', (subject, text, isReply) => {
    expect(baseSubject(subject)).toEqual({ text, isReply })
  })

  it('takes time that grows with the subject only', () => {
    const count = 50_000
    for (const hostile of ['[a]', '[fwd:', 're: ', ' (fwd)', '[', 're[a]:']) {
      const before = performance.now()
      baseSubject(`${hostile.repeat(count)}x${']'.repeat(count)}`)
      expect(performance.now() - before).toBeLessThan(2000)
    }
  })
})

describe('i;unicode-casemap (RFC 5051 §2)', () => {
  it.each([
    ['Straße', 'STRAßE'],
    ['\u01c4', 'Dz\u030c'],
    ['\u01c6', 'Dz\u030c'],
    ['\u01c5', 'Dz\u030c'],
    ['é', 'E\u0301'],
    ['e\u0301', 'E\u0301'],
    ['ﬁ', 'fi'],
    ['\u1f80', '\u0391\u0313\u0345'],
    ['\u1f88', '\u0391\u0313\u0345'],
    ['\u1fb3', '\u0391\u0345'],
    ['\u10d0', '\u10d0'],
    ['ς', 'Σ'],
    ['\u0149', '\u02bcn'],
    ['①', '1'],
    ['각', '\u1100\u1161\u11a8'],
    ['\u{10428}', '\u{10400}'],
  ])('%s', (text, prepared) => {
    expect(unicodeCasemap(text)).toBe(prepared)
  })
})

describe('sent date (RFC 5256 §2.2)', () => {
  it.each([
    // The RFC's example.
    ['31 Dec 2000 16:01:33 -0800', '2001-01-01T00:01:33Z'],
    ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', '1997-11-21T15:55:06Z'],
    ['Mon Feb  7 21:52:25 1994', '1994-02-07T21:52:25Z'],
    ['Mon Feb  7 21:52:25 1994 EST', '1994-02-08T02:52:25Z'],
    ['7 Feb 94 21:52 GMT', '1994-02-07T21:52:00Z'],
    ['7 Feb 1994 10.00.00 +0100', '1994-02-07T09:00:00Z'],
    ['7 Feb 1994 10:00:00+0100 (CET)', '1994-02-07T09:00:00Z'],
    ['13 Feb 1969 23:32:54 -0330', '1969-02-14T03:02:54Z'],
    // No valid zone: UTC. No valid time: midnight.
    ['7 Feb 1994 10:00:00 +0199', '1994-02-07T10:00:00Z'],
    ['7 Feb 1994 10:00:00 QQQ', '1994-02-07T10:00:00Z'],
    ['7 Feb 1994 24:00:00 +0000', '1994-02-07T00:00:00Z'],
    ['7 Feb 1994', '1994-02-07T00:00:00Z'],
  ])('%s', (value, moment) => {
    expect(sentTime(value)).toBe(Date.parse(moment) / 1000)
  })

  it('is unknown without a day', () => {
    expect([sentTime(''), sentTime('10:00:00'), sentTime('31 Feb 2000 10:00:00')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('message ids (RFC 5256 §3)', () => {
  it('are normalised', () => {
    // The RFC's example.
    expect([...messageIds('<"01KF8JCEOCBS0045PS"@xxx.yyy.com> <01KF8JCEOCBS0045PS@xxx.yyy.com>')]).toEqual([
      '01KF8JCEOCBS0045PS@xxx.yyy.com',
      '01KF8JCEOCBS0045PS@xxx.yyy.com',
    ])
    expect([...messageIds('<1234   @   local(blah)  .machine .example>')]).toEqual(['1234@local.machine.example'])
  })

  it('are found among what is none', () => {
    expect([...messageIds('Your mail "x" of <> <a> <@b> <c@> <d@e> f@g <h@i')]).toEqual(['d@e'])
    expect([...messageIds('<a@b> <"from <c@d> <e@f>')]).toEqual(['a@b', 'c@d', 'e@f'])
  })

  it('take time that grows with the field only', () => {
    const before = performance.now()
    for (const hostile of ['<', '<"', '<(', '<a@b', '<"a"<']) for (const _ of messageIds(hostile.repeat(200_000)));
    expect(performance.now() - before).toBeLessThan(2000)
  })
})

describe('order keys', () => {
  const keysOf = (header: string) => orderKeys(summarize(Buffer.from(`${header}\r\n\r\n`, 'latin1')))

  it('display names (RFC 5957 §3)', () => {
    const display = (from: string) => keysOf(`From: ${from}`).texts.displayFrom
    expect(display('=?UTF-8?Q?=C3=84nne?= <a@b>')).toBe('A\u0308NNE')
    expect(display('"" <a@b>')).toBe('A@B')
    expect(display('a@b')).toBe('A@B')
    expect(display('A group: a@b, c@d;')).toBe('A GROUP')
    expect(keysOf('Subject: none').texts.displayFrom).toBe('')
  })

  it('take References, else the first id of In-Reply-To, and bound what is kept', () => {
    const references = (header: string) => keysOf(header).texts.references.split('\0')
    expect(references('References: <a@b>\r\n <c@d>\r\nIn-Reply-To: <e@f>')).toEqual(['a@b', 'c@d'])
    expect(references('References: none\r\nIn-Reply-To: Mail of <e@f> from <g@h>')).toEqual(['e@f'])
    const many = Array.from({ length: 5000 }, (_, index) => `<${index}@x>`).join('\r\n ')
    expect(references(`References: ${many}`)).toEqual(Array.from({ length: 1000 }, (_, index) => `${4000 + index}@x`))
  })
})
