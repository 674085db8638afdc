/** Every command that a client sends in the examples of RFC 3501 §6 and the transcript of §8, and those of the extensions. */

import { describe, expect, it } from 'vitest'
import { AppendReader, readAppendMailbox } from '#src/proto/imap/append.ts'
import { readAuthenticateArgs, readAuthenticateResponse } from '#src/proto/imap/authenticate.ts'
import { readCopyArgs } from '#src/proto/imap/copy.ts'
import { readCreateArgs } from '#src/proto/imap/create.ts'
import { readEnableArgs } from '#src/proto/imap/enable.ts'
import { readUidExpungeArgs } from '#src/proto/imap/expunge.ts'
import { readFetchArgs } from '#src/proto/imap/fetch.ts'
import { readIdArgs } from '#src/proto/imap/id.ts'
import { readListArgs } from '#src/proto/imap/list.ts'
import { readLoginArgs } from '#src/proto/imap/login.ts'
import { readMailboxArgs } from '#src/proto/imap/mailbox-args.ts'
import { readNoArgs } from '#src/proto/imap/no-args.ts'
import { readRenameArgs } from '#src/proto/imap/rename.ts'
import { readSearchArgs } from '#src/proto/imap/search.ts'
import { readSelectArgs } from '#src/proto/imap/select.ts'
import { readStatusArgs } from '#src/proto/imap/status.ts'
import { readStoreArgs } from '#src/proto/imap/store.ts'
import type { TokenReader } from '#src/proto/imap/token-reader.ts'
import { octets, receive } from './receive.ts'

const mailbox = (name: string) => ({ mailbox: name })
const list = (reference: string, pattern: string) => ({ reference, pattern })
const one = (first: number, last = first) => [{ first, last }]
const login = (user: string, password: string) => ({ user, password: octets(password) })
const item = (...names: string[]) => names.map((name) => ({ item: name }))
const section = (label: string, text: string, fields: string[] = []) => ({
  item: 'section',
  label,
  peek: false,
  section: { part: [], text, fields },
  partial: undefined,
})
const day = (year: number, month: number, date: number) => Date.UTC(year, month - 1, date) / 86_400_000

type Row = readonly [command: string, read: (args: TokenReader) => unknown, expected: unknown]
const rows: readonly Row[] = [
  ['abcd CAPABILITY', readNoArgs, undefined],
  ['efgh STARTTLS', readNoArgs, undefined],
  ['a002 NOOP', readNoArgs, undefined],
  ['A023 LOGOUT', readNoArgs, undefined],
  ['a004 LOGIN joe password', readLoginArgs, login('joe', 'password')],
  ['A001 AUTHENTICATE GSSAPI', readAuthenticateArgs, { mechanism: 'GSSAPI', initialResponse: undefined }],
  ['a001 LOGIN SMITH SESAME', readLoginArgs, login('SMITH', 'SESAME')],
  ['A142 SELECT INBOX', readMailboxArgs, mailbox('INBOX')],
  ['A932 EXAMINE blurdybloop', readMailboxArgs, mailbox('blurdybloop')],
  ['A003 CREATE owatagusiam/', readCreateArgs, { mailbox: 'owatagusiam', uses: [] }],
  ['A004 CREATE owatagusiam/blurdybloop', readCreateArgs, { mailbox: 'owatagusiam/blurdybloop', uses: [] }],
  [
    't2 CREATE MySpecial (USE (\\Drafts \\Sent))',
    readCreateArgs,
    { mailbox: 'MySpecial', uses: ['\\Drafts', '\\Sent'] },
  ],
  ['A683 DELETE blurdybloop', readMailboxArgs, mailbox('blurdybloop')],
  ['A685 DELETE foo/bar', readMailboxArgs, mailbox('foo/bar')],
  ['A683 RENAME blurdybloop sarasoop', readRenameArgs, { from: 'blurdybloop', to: 'sarasoop' }],
  ['Z433 RENAME INBOX old-mail', readRenameArgs, { from: 'INBOX', to: 'old-mail' }],
  ['A002 SUBSCRIBE #news.comp.mail.mime', readMailboxArgs, mailbox('#news.comp.mail.mime')],
  ['A002 UNSUBSCRIBE #news.comp.mail.mime', readMailboxArgs, mailbox('#news.comp.mail.mime')],
  ['A682 LIST "" *', readListArgs, list('', '*')],
  ['A86 LIST "" %', readListArgs, list('', '%')],
  ['A101 LIST "" ""', readListArgs, list('', '')],
  ['A102 LIST #news.comp.mail.misc ""', readListArgs, list('#news.comp.mail.misc', '')],
  ['A103 LIST /usr/staff/jones ""', readListArgs, list('/usr/staff/jones', '')],
  ['A202 LIST ~/Mail/ %', readListArgs, list('~/Mail/', '%')],
  ['A002 LSUB "#news." "comp.mail.*"', readListArgs, list('#news.', 'comp.mail.*')],
  ['A003 LSUB "#news." "comp.%"', readListArgs, list('#news.', 'comp.%')],
  [
    'A042 STATUS blurdybloop (UIDNEXT MESSAGES)',
    readStatusArgs,
    { ...mailbox('blurdybloop'), items: ['UIDNEXT', 'MESSAGES'] },
  ],
  [
    'A003 APPEND saved-messages (\\Seen) {310}',
    (args) => [readAppendMailbox(args), ...new AppendReader().read(args, true)],
    [
      'saved-messages',
      { step: 'message', flags: ['\\Seen'], internalDate: undefined },
      { step: 'literal', isWhole: true, isUtf8: false },
    ],
  ],
  ['FXXZ CHECK', readNoArgs, undefined],
  ['A341 CLOSE', readNoArgs, undefined],
  ['A202 EXPUNGE', readNoArgs, undefined],
  [
    'A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
    readSearchArgs,
    {
      charset: undefined,
      key: {
        key: 'AND',
        keys: [
          { key: 'FLAG', flag: '\\Flagged', present: true },
          { key: 'SINCE', day: day(1994, 2, 1) },
          { key: 'NOT', child: { key: 'HEADER', field: 'from', value: octets('Smith') } },
        ],
      },
    },
  ],
  [
    'A283 SEARCH TEXT "string not in mailbox"',
    readSearchArgs,
    { charset: undefined, key: { key: 'TEXT', value: octets('string not in mailbox') } },
  ],
  [
    'A284 SEARCH CHARSET UTF-8 TEXT {6}\r\nXXXXXX',
    readSearchArgs,
    { charset: 'UTF-8', key: { key: 'TEXT', value: octets('XXXXXX') } },
  ],
  [
    'A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])',
    readFetchArgs,
    {
      set: one(2, 4),
      items: [...item('FLAGS'), section('BODY[HEADER.FIELDS (DATE FROM)]', 'HEADER.FIELDS', ['DATE', 'FROM'])],
    },
  ],
  [
    'A003 STORE 2:4 +FLAGS (\\Deleted)',
    readStoreArgs,
    { set: one(2, 4), mode: 'add', silent: false, flags: ['\\Deleted'] },
  ],
  ['A003 COPY 2:4 MEETING', readCopyArgs, { set: one(2, 4), ...mailbox('MEETING') }],
  ['A999 UID FETCH 4827313:4828442 FLAGS', readFetchArgs, { set: one(4827313, 4828442), items: item('FLAGS') }],
  // RFC 3501 §8
  ['a001 login mrc secret', readLoginArgs, login('mrc', 'secret')],
  ['a002 select inbox', readSelectArgs, { ...mailbox('INBOX'), condstore: false }],
  [
    'a003 fetch 12 full',
    readFetchArgs,
    { set: one(12), items: item('FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY') },
  ],
  ['a004 fetch 12 body[header]', readFetchArgs, { set: one(12), items: [section('BODY[HEADER]', 'HEADER')] }],
  ['a005 store 12 +flags \\deleted', readStoreArgs, { set: one(12), mode: 'add', silent: false, flags: ['\\Deleted'] }],
  ['a006 logout', readNoArgs, undefined],
  // extensions
  ['A002 IDLE', readNoArgs, undefined],
  ['A001 NAMESPACE', readNoArgs, undefined],
  ['A002 CREATE "INBOX.Sent Mail"', readCreateArgs, { mailbox: 'INBOX.Sent Mail', uses: [] }],
  ['A002 LIST "" "Other Users/%"', readListArgs, list('', 'Other Users/%')],
  ['A003 UID EXPUNGE 3000:3002', readUidExpungeArgs, { set: one(3000, 3002) }],
  ['a UID MOVE 42:69 foo', readCopyArgs, { set: one(42, 69), ...mailbox('foo') }],
  [
    'A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=',
    readAuthenticateArgs,
    { mechanism: 'PLAIN', initialResponse: octets('test\0test\0test') },
  ],
  ['A01 AUTHENTICATE EXTERNAL =', readAuthenticateArgs, { mechanism: 'EXTERNAL', initialResponse: Buffer.alloc(0) }],
  ['t2 ENABLE CONDSTORE X-GOOD-IDEA', readEnableArgs, { capabilities: ['CONDSTORE', 'X-GOOD-IDEA'] }],
  // RFC 7162
  ['A142 SELECT INBOX (CONDSTORE)', readSelectArgs, { ...mailbox('INBOX'), condstore: true }],
  [
    'A03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))',
    readSelectArgs,
    {
      ...mailbox('INBOX'),
      condstore: false,
      qresync: {
        uidValidity: 67890007,
        modSeq: Number.MAX_SAFE_INTEGER,
        knownUids: [...one(41, 211), ...one(214, 541)],
      },
    },
  ],
  [
    'B04 SELECT INBOX (QRESYNC (67890007 1234 1:29997 (5000,7500,9990:9999 15000,22500,29970:29979)))',
    readSelectArgs,
    {
      ...mailbox('INBOX'),
      condstore: false,
      qresync: {
        uidValidity: 67890007,
        modSeq: 1234,
        knownUids: one(1, 29997),
        matches: {
          numbers: [...one(5000), ...one(7500), ...one(9990, 9999)],
          uids: [...one(15000), ...one(22500), ...one(29970, 29979)],
        },
      },
    },
  ],
  [
    's100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)',
    readFetchArgs,
    { set: one(300, 500), items: item('FLAGS', 'MODSEQ'), changedSince: 12345, vanished: true },
  ],
  [
    'a103 UID STORE 6 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)',
    readStoreArgs,
    { set: one(6), mode: 'add', silent: true, flags: ['\\Deleted'], unchangedSince: 12121230045 },
  ],
  [
    'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338',
    readSearchArgs,
    { charset: undefined, key: { key: 'MODSEQ', least: 620162338 } },
  ],
  [
    'A042 STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ)',
    readStatusArgs,
    { ...mailbox('blurdybloop'), items: ['UIDNEXT', 'MESSAGES', 'HIGHESTMODSEQ'] },
  ],
  [
    'a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")',
    readIdArgs,
    {
      params: [
        ['name', 'sodr'],
        ['version', '19.34'],
        ['vendor', 'Pink Floyd Music Limited'],
      ],
    },
  ],
  ['a042 ID NIL', readIdArgs, { params: [] }],
]

describe('examples of the RFCs', () => {
  it.each(rows)('%s', (command, read, expected) => {
    const event = receive([octets(`${command}\r\n`)]).at(-1)
    if (event?.type !== 'command' && event?.type !== 'append') throw new Error('no command came')
    const [tag, first, second] = command.split(' ')
    const uid = first === 'UID'
    expect(event.command).toMatchObject({ tag, uid, name: (uid ? second : first)?.toUpperCase() })
    expect(read(event.command.args)).toEqual(expected)
  })

  it('lines behind AUTHENTICATE (RFC 3501 §6.2.2)', () => {
    const line =
      'YIIB+wYJKoZIhvcSAQICAQBuggHqMIIB5qADAgEFoQMCAQ6iBwMFACAAAACjggEmYYIBIjCCAR6gAwIBBaESGxB1Lndhc2hpbmd0b24uZWR1oi0wK6ADAgED'
    expect((readAuthenticateResponse(octets(line)) as Buffer).toString('base64')).toBe(line)
    expect(readAuthenticateResponse(octets(''))).toEqual(Buffer.alloc(0))
    expect(readAuthenticateResponse(octets('*'))).toBe('cancel')
    for (const bad of ['a', 'abc', 'ab=c', 'YQ=', 'YR==', 'YQ== ', '**', 'Y Q='])
      expect(() => readAuthenticateResponse(octets(bad)), bad).toThrow('base64')
  })
})
