/** What SEARCH needs: characters out of octets. */
import { describe, expect, it } from 'vitest'
import { charsetNames, decodeCharset, decodeUnlabelled, isKnownCharset } from '../../src/mime/charset.ts'
import { sentDay } from '../../src/mime/date.ts'
import { decodeEncodedWords } from '../../src/mime/encoded-word.ts'
import { fold } from '../../src/mime/fold.ts'
import { decodeTransfer } from '../../src/mime/transfer.ts'

const octets = (text: string) => Buffer.from(text, 'latin1')

describe('charsets', () => {
  it.each([
    ['UTF-8', '\xe2\x82\xac', '€'],
    ['iso-8859-15', '\xa4', '€'],
    ['windows-1251', '\xc4', 'Д'],
    ['ISO-2022-JP', '\x1b$B$"\x1b(B', 'あ'],
    ['gb18030', '\xc4\xe3', '你'],
    // only iconv-lite has these
    ['utf-7', '+IKw-', '€'],
    ['cp437', '\x80', 'Ç'],
    ['KOI8-T', '\x80', 'қ'],
  ])('%s', (charset, encoded, text) => {
    expect(decodeCharset(octets(encoded), charset)).toBe(text)
  })

  it('knows all that it names', () => {
    expect(charsetNames.filter((name) => !isKnownCharset(name) || !/^[A-Za-z0-9_-]+$/.test(name))).toEqual([])
  })

  it('knows what it does not know', () => {
    for (const name of [
      'X-UNKNOWN',
      'base64',
      'hex',
      'ba-se64',
      'iso-2022-kr',
      '',
      'x'.repeat(1000),
      '__proto__',
      'constructor',
    ])
      expect([name, isKnownCharset(name), decodeCharset(octets('a'), name)]).toEqual([name, false, undefined])
  })

  it('guesses at octets without a label', () => {
    expect([decodeUnlabelled(octets('\xc3\xa9')), decodeUnlabelled(octets('\xe9'))]).toEqual(['é', 'é'])
  })
})

it.each([
  ['abc', 'ABC', 'aBc'],
  ['\u00e9', 'e\u0301', '\u00c9', 'E\u0301'],
  ['stra\u00dfe', 'STRASSE', 'STRA\u1e9eE'],
  ['\u0130i', '\u0131I', 'i\u0307i'],
  ['\u03c3\u03c2', '\u03a3\u03a3'],
  ['\ufb01\uff21\u01c5', 'FIAd\u017d'],
  ['\uff83\uff77\uff7d\uff84', '\u30c6\u30ad\u30b9\u30c8'],
])('takes %s for the same as its kin', (text, ...kin) => {
  expect(kin.map(fold)).toEqual(kin.map(() => fold(text)))
  expect(fold(fold(text))).toBe(fold(text))
})

describe('transfer encodings (RFC 2045 §6)', () => {
  const decode = (encoding: string, text: string) => decodeTransfer(octets(text), encoding).toString('latin1')

  it('quoted-printable', () => {
    const example = "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."
    expect(decode('Quoted-Printable', example)).toBe("Now's the time for all folk to come to the aid of their country.")
    expect(decode('quoted-printable', 'a=E4=3D=0D=0a')).toBe('a\xe4=\r\n')
    expect(decode('quoted-printable', 'added by a relay \t\r\nsoft = \nend')).toBe('added by a relay\r\nsoft end')
    expect(decode('quoted-printable', 'broken =zz =4 = =')).toBe('broken =zz =4 = ')
  })

  it('base64', () => {
    expect(decode('BASE64', 'QWxh\r\nZGRp\r\nbjpv cGVu*IHNlc2FtZQ==\r\n')).toBe('Aladdin:open sesame')
    expect(decode('base64', 'YQ==\r\nYmM=\r\nZA')).toBe('abcd')
    expect(decode('base64', '=')).toBe('')
  })

  it('leaves others alone', () => {
    for (const encoding of ['7bit', '8bit', 'binary', 'x-unknown'])
      expect(decode(encoding, 'a=3D\xe4')).toBe('a=3D\xe4')
  })
})

describe('encoded words', () => {
  it.each([
    // RFC 2047 §8
    ['=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>', 'Keith Moore <moore@cs.utk.edu>'],
    ['=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>', 'Keld Jørn Simonsen <keld@dkuug.dk>'],
    [
      '=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=',
      'If you can read this you understand the example.',
    ],
    ['(=?ISO-8859-1?Q?a?=)', '(a)'],
    ['(=?ISO-8859-1?Q?a?= b)', '(a b)'],
    ['(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)', '(ab)'],
    ['(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)', '(ab)'],
    ['(=?ISO-8859-1?Q?a_b?=)', '(a b)'],
    ['(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)', '(a b)'],
    // RFC 2231 §5
    ['=?US-ASCII*EN?Q?Keith_Moore?=', 'Keith Moore'],
    // a character split between words, an unknown charset, no words at all, octets as they are
    ['=?utf-8?B?4oI=?= =?utf-8?B?rA==?=', '€'],
    ['=?x-unknown?Q?a?= b', '=?x-unknown?Q?a?= b'],
    ['=?utf-8?X?a?= =?', '=?utf-8?X?a?= =?'],
    ['na\xc3\xafve', 'naïve'],
  ])('%s', (value, text) => {
    expect(decodeEncodedWords(value)).toBe(text)
  })
})

describe('the day of a Date field', () => {
  it.each([
    // RFC 5322, Appendix A
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21'],
    ['Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)', '1969-02-13'],
    ['21 Nov 97 09:55:06 GMT', '1997-11-21'],
    ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', '1997-11-21'],
    // §4.3: years of two and three digits
    ['1 Jan 49 00:00 GMT', '2049-01-01'],
    ['1 Jan 50 00:00 GMT', '1950-01-01'],
    ['1 Jan 102 00:00 GMT', '2002-01-01'],
    // the zone does not count (RFC 9051 §6.4.4), nor does the time
    ['Tue, 1 Jul 2003 23:59:60 +1400', '2003-07-01'],
    // other writers
    ['Tue , 1 Jul 2003 10:52:37 +0200', '2003-07-01'],
    ['Mon Feb  2 10:00:00 2026', '2026-02-02'],
    ['2-Feb-2026 10:00:00', '2026-02-02'],
    ['2 February 2026', '2026-02-02'],
  ])('%s', (value, day) => {
    expect(sentDay(value)).toBe(Date.parse(`${day}T00:00:00Z`) / 86_400_000)
  })

  it.each(['', 'Whenever', '31 Feb 2026', 'Feb', '2026-02-02', '029 Apr 2019', '1 Jan 12345', '(1 Jan 2026'])(
    '%s is none',
    (value) => {
      expect(sentDay(value)).toBeUndefined()
    },
  )
})
