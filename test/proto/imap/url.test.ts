/** URLs of RFC 5092, RFC 4467 and RFC 3986. */
import { describe, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { formatImapUrl, parseImapUrl, resolveImapUrl } from '#src/proto/imap/url.ts'

const whole = { part: [], text: undefined, fields: [] }
const section = (...part: number[]) => ({ ...whole, part })

describe('IMAP URLs', () => {
  it.each([
    [
      'imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024',
      {
        host: 'minbari.example.org',
        mailbox: 'gray-council',
        uidValidity: 385759045,
        uid: 20,
        section: whole,
        partial: { offsetOctets: 0, lengthOctets: 1024 },
      },
    ],
    [
      'imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97',
      { host: 'psicorp.example.org', mailbox: '~peter/日本語/台北', uid: undefined },
    ],
    [
      'imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;uid=20/;section=1.2',
      { user: undefined, auth: 'GSSAPI', mailbox: 'gray-council', uid: 20, section: section(1, 2) },
    ],
    [
      'imap://;AUTH=*@minbari.example.org/gray%20council?SUBJECT%20shadows',
      { auth: '*', mailbox: 'gray council', search: 'SUBJECT shadows', uid: undefined },
    ],
    [
      'imap://john;AUTH=*@minbari.example.org/babylon5/personel?charset%20UTF-8%20SUBJECT%20%7B14+%7D%0D%0A%D0%98%D0%B2%D0%B0%D0%BD%D0%BE%D0%B2%D0%B0',
      {
        user: 'john',
        auth: '*',
        mailbox: 'babylon5/personel',
        search: `charset UTF-8 SUBJECT {14+}\r\n${Buffer.from('Иванова').toString('latin1')}`,
      },
    ],
    ['imap://[2001:db8::1]:1143', { host: '[2001:db8::1]', port: 1143, mailbox: undefined }],
    ['imap://example.org/inbox', { mailbox: 'INBOX' }],
    [
      'imap://u@h/a/;UID=1/;SECTION=2.HEADER.FIELDS%20(DATE%20FROM)/;PARTIAL=7',
      {
        section: { part: [2], text: 'HEADER.FIELDS', fields: ['DATE', 'FROM'] },
        partial: { offsetOctets: 7, lengthOctets: Number.MAX_SAFE_INTEGER },
      },
    ],
  ])('RFC 5092 §9: %s', (url, expected) => {
    expect(parseImapUrl(url)).toMatchObject(expected)
  })

  it('are written as they are read', () => {
    for (const url of [
      'imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024',
      'imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97',
      'imap://;AUTH=*@minbari.example.org/gray%20council?SUBJECT%20shadows',
      'imap://a%40b@h:1143/%2E%2E/x%3By%3F;UIDVALIDITY=1/;UID=2/;PARTIAL=5',
      'imap://h/',
    ]) {
      const { section: _, ...parsed } = parseImapUrl(url)
      expect(formatImapUrl(parsed)).toBe(url)
    }
    expect(formatImapUrl({ host: 'h', mailbox: 'a', uid: 1, section: '1.HEADER.FIELDS (DATE)' })).toBe(
      'imap://h/a/;UID=1/;SECTION=1.HEADER.FIELDS%20(DATE)',
    )
  })

  it('of URLAUTH, RFC 4467 §7: who may fetch, until when, and what the token is made of', () => {
    const rump =
      'imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2006-09-29T12:00:00-07:00;urlauth=submit+fred'
    expect(parseImapUrl(`${rump}:internal:91354a473744909de610943775f92038`)).toMatchObject({
      user: 'joe',
      mailbox: 'INBOX',
      uid: 20,
      section: section(1, 2),
      expire: Date.UTC(2006, 8, 29, 19),
      access: { kind: 'submit', user: 'fred' },
      verifier: { mechanism: 'INTERNAL', token: '91354a473744909de610943775f92038', rump },
    })
    expect(parseImapUrl(rump)).toMatchObject({ access: { kind: 'submit', user: 'fred' }, verifier: undefined })
    for (const [text, access] of [
      ['user+a%40b', { kind: 'user', user: 'a@b' }],
      ['AuthUser', { kind: 'authuser' }],
      ['anonymous', { kind: 'anonymous' }],
    ] as const)
      expect(parseImapUrl(`imap://joe@example.com/INBOX/;uid=20;URLAUTH=${text}`).access).toEqual(access)
  })

  it.each([
    'http://h/a',
    'imap:/a',
    'imap://',
    'imap://@h/a',
    'imap://a:b@h/a',
    'imap://h:123456/a',
    'imap://h/;UID=1',
    'imap://h/a;UID=1',
    'imap://h/a/;UIDVALIDITY=1/;UID=1',
    'imap://h/a/;UID=0',
    'imap://h/a/;UID=4294967296',
    'imap://h/a/;UID=1/;SECTION=0',
    'imap://h/a/;UID=1/;SECTION=1x',
    'imap://h/a/;UID=1/;SECTION=',
    'imap://h/a/;UID=1;SECTION=1',
    'imap://h/a/;UID=1/;PARTIAL=1.2.3',
    'imap://h/a/;UID=1/;PARTIAL=0/;SECTION=1',
    'imap://h/a;URLAUTH=anonymous',
    'imap://h/a/;UID=1;EXPIRE=2006-09-29T12:00:00Z',
    'imap://h/a/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous',
    'imap://h/a/;UID=1;URLAUTH=nobody',
    'imap://h/a/;UID=1;URLAUTH=user+',
    'imap://h/a/;UID=1;URLAUTH=anonymous:internal',
    'imap://h/a/;UID=1;URLAUTH=anonymous:internal:1234',
    'imap://h/a/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038:x',
    'imap://h/a/;UID=1?ALL',
    'imap://h/%',
    'imap://h/%ff',
    'imap://h/a b',
    'imap://h/ü',
    `imap://h/${'a'.repeat(5000)}`,
  ])('%s is none', (url) => {
    expect(() => parseImapUrl(url)).toThrow(SyntaxFault)
  })
})

describe('relative URLs', () => {
  it.each([
    ['/foo/;UID=20/..', 'imap://joe@h/bar', 'imap://joe@h/foo/'],
    [';UID=20', 'imap://joe@h/foo', 'imap://joe@h/foo/;UID=20'],
    [';UID=20', 'imap://joe@h/foo/;UID=19', 'imap://joe@h/foo/;UID=20'],
    [';section=1.4', 'imap://h/gray/;uid=20/;section=1.2', 'imap://h/gray/;uid=20/;section=1.4'],
    ['..;UIDVALIDITY=385759045/;UID=20', 'imap://h/foo', 'imap://h/..;UIDVALIDITY=385759045/;UID=20'],
    ['//other/foo', 'imap://h/bar', 'imap://other/foo'],
    ['', 'imap://h/bar', 'imap://h/bar'],
    ['imap://h/x', 'imap://g/y', 'imap://h/x'],
    ['?ALL', 'imap://h/bar?SEEN', 'imap://h/bar?ALL'],
    ['../c/./d', 'imap://h/a/b/x', 'imap://h/a/c/d'],
    ['../../../g', 'imap://h/b/c/d', 'imap://h/g'],
    ['/Drafts/;UID=1/;section=1', 'imap://joe@h/', 'imap://joe@h/Drafts/;UID=1/;section=1'],
  ])('%j, in %s, is %s', (reference, base, absolute) => {
    expect(resolveImapUrl(reference, base)).toBe(absolute)
  })

  it('RFC 5092 §9.1: </foo/;UID=20/..> is </foo>', () => {
    expect(parseImapUrl(resolveImapUrl('/foo/;UID=20/..', 'imap://h/')).mailbox).toBe('foo')
  })
})
