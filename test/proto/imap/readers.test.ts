import { describe, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { AppendReader, readAppendMailbox } from '#src/proto/imap/append.ts'
import { readAuthenticateArgs } from '#src/proto/imap/authenticate.ts'
import { readCommand } from '#src/proto/imap/command-head.ts'
import { readCopyArgs } from '#src/proto/imap/copy.ts'
import { readEnableArgs } from '#src/proto/imap/enable.ts'
import { readFetchArgs } from '#src/proto/imap/fetch.ts'
import { readIdArgs } from '#src/proto/imap/id.ts'
import { readListArgs } from '#src/proto/imap/list.ts'
import { readLoginArgs } from '#src/proto/imap/login.ts'
import { readMailboxArgs } from '#src/proto/imap/mailbox-args.ts'
import { MailboxNameFault } from '#src/proto/imap/mailbox-name.ts'
import { readNoArgs } from '#src/proto/imap/no-args.ts'
import { readSearchArgs, type SearchKey } from '#src/proto/imap/search.ts'
import { readSelectArgs } from '#src/proto/imap/select.ts'
import { readSortArgs } from '#src/proto/imap/sort.ts'
import { readStatusArgs } from '#src/proto/imap/status.ts'
import { readStoreArgs } from '#src/proto/imap/store.ts'
import { readThreadArgs } from '#src/proto/imap/thread.ts'
import type { TokenReader } from '#src/proto/imap/token-reader.ts'
import { argsOf, octets } from './receive.ts'

const readAppend = (args: TokenReader, literalFollows = true) => {
  readAppendMailbox(args)
  new AppendReader().read(args, literalFollows)
}
const readAppendAlone = (args: TokenReader) => readAppend(args, false)

/** What is thrown must be a SyntaxFault: anything else is a defect. */
function faultOf(command: string, read: (args: TokenReader) => unknown): SyntaxFault {
  try {
    read(argsOf(command))
  } catch (error) {
    if (error instanceof SyntaxFault) return error
    throw error
  }
  throw new Error(`accepted: ${command}`)
}

describe('what does not follow the grammar names rule and octet', () => {
  it('NOOP alone, which is a tag', () => {
    expect(() => readCommand({ pieces: ['NOOP'], literals: [] })).toThrow(
      'command: expected a space and a command behind the tag at octet 4',
    )
  })

  const rows: readonly (readonly [string, (args: TokenReader) => unknown, string])[] = [
    ['a NOOP ', readNoArgs, 'CRLF: expected the end of the command at octet 6'],
    ['a SELECT', readMailboxArgs, 'SP: expected a space and a further argument at octet 8'],
    ['a SELECT  x', readMailboxArgs, 'mailbox: expected an atom, a quoted string or a literal at octet 9'],
    ['a SELECT x y', readMailboxArgs, 'CRLF: expected the end of the command at octet 10'],
    ['a SELECT "x', readMailboxArgs, 'mailbox: expected a closing quote on the same line at octet 10'],
    ['a SELECT "\0"', readMailboxArgs, 'mailbox: expected no NUL, CR or LF in quotes at octet 10'],
    ['a SELECT "\r"', readMailboxArgs, 'mailbox: expected no NUL, CR or LF in quotes at octet 10'],
    ['a SELECT {1+}\r\n\0', readMailboxArgs, 'mailbox: expected a literal without NUL at octet 9'],
    ['a SELECT a%b', readMailboxArgs, 'CRLF: expected the end of the command at octet 10'],
    ['a SELECT caf\xe9', readMailboxArgs, 'CRLF: expected the end of the command at octet 12'],
    ['a LIST "" (x)', readListArgs, 'list-mailbox: expected a mailbox name, maybe with % or * at octet 10'],
    ['a LOGIN x', readLoginArgs, 'SP: expected a space and a further argument at octet 9'],
    ['a LOGIN {2+}\r\n\xff\xfe y', readLoginArgs, 'userid: expected UTF-8 at octet 8'],
    ['a AUTHENTICATE PLAIN YQ', readAuthenticateArgs, 'initial-resp: expected base64'],
    ['a COPY 0 x', readCopyArgs, 'sequence-set: expected message numbers such as 1:3,5 or * at octet 7'],
    ['a COPY 1, x', readCopyArgs, 'sequence-set: expected message numbers'],
    [
      'a STORE 1 FLAG (x)',
      readStoreArgs,
      'store-att-flags: expected FLAGS or FLAGS.SILENT, maybe with + or -, at octet 10',
    ],
    [
      'a STORE 1 FLAGS (\\Recent)',
      readStoreArgs,
      'flag: expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft or a keyword at octet 18',
    ],
    ['a STORE 1 FLAGS (x  y)', readStoreArgs, 'flag: expected an atom at octet 19'],
    ['a STORE 1 FLAGS (x"y")', readStoreArgs, 'flag-list: expected ")" or a space and another item at octet 18'],
    ['a STATUS x ()', readStatusArgs, 'status-att: expected a word at octet 12'],
    [
      'a STATUS x (SIZ)',
      readStatusArgs,
      'status-att: expected MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, DELETED-STORAGE',
    ],
    [
      'a SELECT x (CONDSTORE FOO)',
      readSelectArgs,
      'select-param: expected CONDSTORE or QRESYNC, each once, at octet 22',
    ],
    ['a SELECT x (QRESYNC (1 1 1:*))', readSelectArgs, 'known-uids: expected no * in the set'],
    [
      'a SELECT x (QRESYNC (1 1 (1:3 1:2)))',
      readSelectArgs,
      'seq-match-data: expected as many UIDs as sequence numbers',
    ],
    ['a SELECT x (QRESYNC (1 1 (2,1 3,4)))', readSelectArgs, 'known-sequence-set: expected numbers in ascending order'],
    ['a FETCH 1 UID (VANISHED)', readFetchArgs, 'fetch-modifier: expected CHANGEDSINCE beside VANISHED'],
    ['a FETCH 1 UID (FOO)', readFetchArgs, 'fetch-modifier: expected CHANGEDSINCE, PARTIAL or VANISHED at octet 15'],
    ['a STORE 1 (FOO 1) FLAGS ()', readStoreArgs, 'store-modifier: expected UNCHANGEDSINCE, once at octet 11'],
    ['a ENABLE', readEnableArgs, 'SP: expected a space and a further argument at octet 8'],
    ['a ID "x"', readIdArgs, 'id-params-list: expected NIL or a list at octet 5'],
    ['a ID ("x")', readIdArgs, 'SP: expected a space at octet 9'],
    ['a FETCH 1 ()', readFetchArgs, 'fetch-att: expected a word at octet 11'],
    ['a FETCH 1 (ALL)', readFetchArgs, 'fetch-att: expected an item such as FLAGS or BODY.PEEK[] at octet 11'],
    ['a FETCH 1 BODY.PEEK', readFetchArgs, 'fetch-att: expected an item'],
    [
      'a FETCH 1 BODY[MIME]',
      readFetchArgs,
      'section-text: expected a section such as HEADER, TEXT or 1.MIME at octet 15',
    ],
    ['a FETCH 1 BODY[1.]', readFetchArgs, 'section-text: expected a word at octet 17'],
    ['a FETCH 1 BODY[0]', readFetchArgs, 'section-part: expected a number from 1'],
    ['a FETCH 1 BODY[HEADER.FIELDS]', readFetchArgs, 'SP: expected a space'],
    ['a FETCH 1 BODY[HEADER.FIELDS ()]', readFetchArgs, 'header-fld-name: expected'],
    [
      'a FETCH 1 BODY[HEADER.FIELDS ("a\tb")]',
      readFetchArgs,
      'header-fld-name: expected a header field name at octet 30',
    ],
    ['a FETCH 1 BODY[TEXT', readFetchArgs, 'section: expected "]" at octet 19'],
    ['a FETCH 1 BODY[]<0>', readFetchArgs, 'partial: expected "."'],
    ['a FETCH 1 BODY[]<0.0>', readFetchArgs, 'partial: expected a number from 1 to 9223372036854775807 at octet 19'],
    ['a FETCH 1 BODY[]<9223372036854775808.1>', readFetchArgs, 'partial: expected a number from 0'],
    ['a SEARCH', readSearchArgs, 'SP: expected a space'],
    ['a SEARCH FOO', readSearchArgs, 'search-key: expected a search key such as ALL, UNSEEN, FROM or SINCE at octet 9'],
    ['a SEARCH ALL ', readSearchArgs, 'search-key: expected a word'],
    ['a SEARCH (ALL', readSearchArgs, 'search-key: expected ")"'],
    ['a SEARCH ALL)', readSearchArgs, 'CRLF: expected'],
    ['a SEARCH OR ALL', readSearchArgs, 'SP: expected a space'],
    ['a SEARCH ON 30-Feb-2020', readSearchArgs, 'date: expected a date such as 1-Feb-1994 at octet 12'],
    ['a SEARCH LARGER -1', readSearchArgs, 'number64: expected a number from 0'],
    ['a SEARCH KEYWORD \\Seen', readSearchArgs, 'flag-keyword: expected an atom'],
    ['a SEARCH UNRECENT', readSearchArgs, 'search-key: expected'],
    ['a SEARCH CHARSET', readSearchArgs, 'SP: expected a space'],
    [
      'a SORT (DATE) ALL',
      readSortArgs,
      'search-criteria: expected a charset such as UTF-8, and then a search key at octet 14',
    ],
    ['a THREAD REFS ALL', readThreadArgs, 'search-criteria: expected a charset such as UTF-8'],
    ['a APPEND x ("x") {1}', readAppend, 'flag: expected an atom'],
    [
      'a APPEND x "1-Jan-2020" {1}',
      readAppend,
      'date-time: expected a date such as "17-Jul-1996 02:44:25 -0700" at octet 11',
    ],
    [
      'a APPEND x "01-Jan-2020 00:00:00 +0000" (x) {1}',
      readAppend,
      'append: expected flags in parentheses, a quoted date or the message as a literal at octet 40',
    ],
    ['a APPEND x(x) {1}', readAppend, 'SP: expected a space'],
    ['a APPEND x "y"', readAppendAlone, 'date-time: expected'],
    ['a APPEND x ', readAppendAlone, 'append: expected the message as a literal at octet 11'],
  ]
  it.each(rows)('%j', (command, read, message) => {
    const fault = faultOf(command, read)
    expect(fault.message.slice(0, message.length)).toBe(message)
    expect(fault.rule).toBe(message.split(':')[0])
  })
})

describe('FETCH (RFC 3501 §6.4.5)', () => {
  const items = (text: string) => readFetchArgs(argsOf(`a FETCH 1 ${text}`)).items
  const names = (text: string) => items(text).map((item) => (item.item === 'section' ? item.label : item.item))

  it('macros and all items', () => {
    expect(names('ALL')).toEqual(['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'])
    expect(names('fast')).toEqual(['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'])
    const every = [
      'BODY',
      'BODYSTRUCTURE',
      'ENVELOPE',
      'FLAGS',
      'INTERNALDATE',
      'RFC822',
      'RFC822.HEADER',
      'RFC822.SIZE',
      'RFC822.TEXT',
      'UID',
    ]
    expect(names(`(${every.join(' ')})`)).toEqual(every)
    for (const name of every) expect(names(name)).toEqual([name])
  })

  it.each([
    ['BODY[]', 'BODY[]', { part: [], text: undefined, fields: [] }],
    ['body.peek[text]', 'BODY[TEXT]', { part: [], text: 'TEXT', fields: [] }],
    ['BODY[4.2.2.1]', 'BODY[4.2.2.1]', { part: [4, 2, 2, 1], text: undefined, fields: [] }],
    ['BODY[4.1.mime]', 'BODY[4.1.MIME]', { part: [4, 1], text: 'MIME', fields: [] }],
    ['BODY[3.HEADER]', 'BODY[3.HEADER]', { part: [3], text: 'HEADER', fields: [] }],
    [
      'BODY[1.HEADER.FIELDS.NOT ("To" x-y)]',
      'BODY[1.HEADER.FIELDS.NOT (To x-y)]',
      { part: [1], text: 'HEADER.FIELDS.NOT', fields: ['To', 'x-y'] },
    ],
    [
      'BODY[HEADER.FIELDS ({4+}\r\nDate)]',
      'BODY[HEADER.FIELDS (Date)]',
      { part: [], text: 'HEADER.FIELDS', fields: ['Date'] },
    ],
  ])('%j', (text, label, section) => {
    const peek = text.toLowerCase().startsWith('body.peek')
    expect(items(text)).toEqual([{ item: 'section', label, peek, section, partial: undefined }])
  })

  it('partials name their origin only', () => {
    expect(items('BODY.PEEK[1]<2048.9223372036854775807>')).toMatchObject([
      { label: 'BODY[1]<2048>', partial: { offsetOctets: 2048, lengthOctets: Number.MAX_SAFE_INTEGER } },
    ])
  })

  it('each response name once; BODY[x] wins over BODY.PEEK[x]', () => {
    expect(names('(UID UID FLAGS uid)')).toEqual(['UID', 'FLAGS'])
    expect(items('(BODY.PEEK[] BODY[] BODY.PEEK[])')).toMatchObject([{ label: 'BODY[]', peek: false }])
    expect(names('(BODY[]<0.5> BODY[]<0.6>)')).toEqual(['BODY[]<0>', 'BODY[]<0>'])
  })
})

describe('SEARCH (RFC 3501 §6.4.4)', () => {
  const key = (text: string) => readSearchArgs(argsOf(`a SEARCH ${text}`)).key
  const flag = (name: string, present: boolean): SearchKey => ({ key: 'FLAG', flag: name, present })
  const header = (field: string, value: string): SearchKey => ({ key: 'HEADER', field, value: octets(value) })

  it.each([
    ['all', { key: 'ALL' }],
    ['ANSWERED', flag('\\Answered', true)],
    ['DELETED', flag('\\Deleted', true)],
    ['DRAFT', flag('\\Draft', true)],
    ['FLAGGED', flag('\\Flagged', true)],
    ['SEEN', flag('\\Seen', true)],
    ['UNANSWERED', flag('\\Answered', false)],
    ['UNDELETED', flag('\\Deleted', false)],
    ['UNDRAFT', flag('\\Draft', false)],
    ['UNFLAGGED', flag('\\Flagged', false)],
    ['UNSEEN', flag('\\Seen', false)],
    ['RECENT', flag('\\Recent', true)],
    ['OLD', flag('\\Recent', false)],
    ['NEW', { key: 'AND', keys: [flag('\\Recent', true), flag('\\Seen', false)] }],
    ['KEYWORD $Forwarded', flag('$Forwarded', true)],
    ['UNKEYWORD x', flag('x', false)],
    ['BCC a', header('bcc', 'a')],
    ['CC "a b"', header('cc', 'a b')],
    ['FROM {3+}\r\na"b', header('from', 'a"b')],
    ['SUBJECT ""', header('subject', '')],
    ['TO a@b', header('to', 'a@b')],
    ['HEADER Message-ID ""', header('message-id', '')],
    ['BODY x', { key: 'BODY', value: octets('x') }],
    ['TEXT "caf\xc3\xa9"', { key: 'TEXT', value: Buffer.from('café') }],
    ['BEFORE 2-Jan-1970', { key: 'BEFORE', day: 1 }],
    ['ON "02-Jan-1970"', { key: 'ON', day: 1 }],
    ['SINCE 2-jan-1970', { key: 'SINCE', day: 1 }],
    ['SENTBEFORE 2-Jan-1970', { key: 'SENTBEFORE', day: 1 }],
    ['SENTON 2-Jan-1970', { key: 'SENTON', day: 1 }],
    ['SENTSINCE 31-Dec-1969', { key: 'SENTSINCE', day: -1 }],
    ['LARGER 0', { key: 'LARGER', sizeOctets: 0 }],
    ['SMALLER 4294967296', { key: 'SMALLER', sizeOctets: 4294967296 }],
    ['UID 1:*', { key: 'UID', set: [{ first: 1, last: Number.POSITIVE_INFINITY }] }],
    [
      '2,*',
      {
        key: 'SEQUENCE',
        set: [
          { first: 2, last: 2 },
          { first: Number.POSITIVE_INFINITY, last: Number.POSITIVE_INFINITY },
        ],
      },
    ],
    ['(SEEN)', flag('\\Seen', true)],
    ['NOT (SEEN DRAFT)', { key: 'NOT', child: { key: 'AND', keys: [flag('\\Seen', true), flag('\\Draft', true)] } }],
    [
      'OR SEEN OR DRAFT NOT ALL',
      { key: 'OR', keys: [flag('\\Seen', true), flag('\\Draft', true), { key: 'NOT', child: { key: 'ALL' } }] },
    ],
  ] as const)('%s', (text, expected) => expect(key(text)).toEqual(expected))

  it('charset as atom or quoted, before the keys only', () => {
    expect(readSearchArgs(argsOf('a SEARCH CHARSET "iso-8859-1" ALL')).charset).toBe('ISO-8859-1')
    expect(() => readSearchArgs(argsOf('a SEARCH ALL CHARSET UTF-8'))).toThrow(SyntaxFault)
  })
})

describe('H6: depth', () => {
  const deep = (text: string) => faultOf(`a SEARCH ${text}`, readSearchArgs).message
  it('10^5 of anything is one fault, never a RangeError', () => {
    expect(deep(`${'('.repeat(60_000)}`)).toContain('at most 64 parentheses inside one another')
    expect(deep(`${')'.repeat(60_000)}`)).toContain('search-key')
    expect(deep(`${'NOT '.repeat(16_000)}ALL`)).toContain('at most 500 keys inside one another')
    expect(deep(`${'OR ALL '.repeat(9000)}ALL`)).toContain('at most 500 keys')
    expect(deep(`${'OR '.repeat(10_000)}ALL${' ALL'.repeat(5000)}`)).toContain('at most 500 keys')
    expect(faultOf(`a FETCH 1 ${'('.repeat(60_000)}`, readFetchArgs).rule).toBe('fetch-att')
    expect(faultOf(`a ID ${'('.repeat(60_000)}`, readIdArgs).rule).toBe('id-params-list')
    expect(faultOf(`a STORE 1 FLAGS ${'('.repeat(60_000)}`, readStoreArgs).rule).toBe('flag')
  })
  it('64 parentheses and 400 alternatives pass', () => {
    expect(readSearchArgs(argsOf(`a SEARCH ${'('.repeat(64)}ALL${')'.repeat(64)}`)).key).toEqual({ key: 'ALL' })
    expect(readSearchArgs(argsOf(`a SEARCH ${'OR ALL '.repeat(400)}ALL`)).key).toMatchObject({ key: 'OR' })
    expect(() => readSearchArgs(argsOf(`a SEARCH ${'('.repeat(65)}ALL${')'.repeat(65)}`))).toThrow('64 parentheses')
  })
})

describe('other arguments', () => {
  it('LOGIN keeps the octets of a password and decodes the name', () => {
    expect(readLoginArgs(argsOf('a LOGIN "j\xc3\xb6rg\\"" {5+}\r\n\xff\r\n "'))).toEqual({
      user: 'jörg"',
      password: octets('\xff\r\n "'),
    })
    expect(readLoginArgs(argsOf('a LOGIN [x] ""'))).toEqual({ user: '[x]', password: Buffer.alloc(0) })
  })
  it('mailbox names are Unicode, INBOX folded, as atom, quoted and literal', () => {
    for (const text of ['R&AOk-sum&AOk-', '"R&AOk-sum&AOk-"', '{14+}\r\nR&AOk-sum&AOk-'])
      expect(readMailboxArgs(argsOf(`a SELECT ${text}`))).toEqual({ mailbox: 'Résumé' })
    expect(readMailboxArgs(argsOf('a SELECT "inBox/a b"'))).toEqual({ mailbox: 'INBOX/a b' })
    for (const unknown of ['a LIST "" R&D*', 'a LIST &AGE- *']) expect(readListArgs(argsOf(unknown))).toBeUndefined()
    expect(readListArgs(argsOf('a LIST inbox &AOk-%*]'))).toEqual({ reference: 'INBOX', pattern: 'é%*]' })
  })
  it('STORE: modes, silent, flags with and without parentheses, each once', () => {
    const store = (text: string) => readStoreArgs(argsOf(`a STORE 1 ${text}`))
    expect(store('flags ()')).toMatchObject({ mode: 'set', silent: false, flags: [] })
    expect(store('-Flags.Silent \\SEEN $Junk \\seen $junk')).toMatchObject({
      mode: 'remove',
      silent: true,
      flags: ['\\Seen', '$junk'],
    })
  })
  it('STATUS items once, in order', () => {
    expect(readStatusArgs(argsOf('a STATUS x (unseen RECENT UNSEEN)')).items).toEqual(['UNSEEN', 'RECENT'])
  })
  it('ID: NIL values, limits of RFC 2971 §3.3', () => {
    expect(readIdArgs(argsOf('a ID ("name" NIL)')).params).toEqual([['name', undefined]])
    expect(readIdArgs(argsOf('a ID ()')).params).toEqual([])
    const pairs = (count: number) => Array.from({ length: count }, (_, index) => `"f${index}" "v"`).join(' ')
    expect(readIdArgs(argsOf(`a ID (${pairs(30)})`)).params).toHaveLength(30)
    expect(() => readIdArgs(argsOf(`a ID (${pairs(31)})`))).toThrow('at most 30 fields')
    expect(() => readIdArgs(argsOf(`a ID ("x" "${'y'.repeat(1025)}")`))).toThrow('values up to 1024 octets')
  })
  it('a backslash before anything but a quote or a backslash stands for itself', () => {
    const { user, password } = readLoginArgs(argsOf('a LOGIN "DOMAIN\\user" "se\\cr\\"e\\\\t"'))
    expect([user, password.toString()]).toEqual(['DOMAIN\\user', 'se\\cr"e\\t'])
  })

  it('a mailbox name in no modified UTF-7 is a fault of its own kind, behind the name', () => {
    expect(faultOf('a SELECT "caf\xc3\xa9"', readMailboxArgs)).toBeInstanceOf(MailboxNameFault)
    expect(faultOf('a SELECT R&D', readMailboxArgs)).toBeInstanceOf(MailboxNameFault)
    expect(faultOf('a SELECT {3+}\r\nR&D', readMailboxArgs)).toBeInstanceOf(MailboxNameFault)
  })

  it('a fault never repeats what the client sent', () => {
    for (const command of ['a SELECT "geheim', 'a LOGIN geheim', 'a LOGIN x "geheim\\"', 'a STORE 1 geheim x'])
      expect(faultOf(command, command.includes('STORE') ? readStoreArgs : readLoginArgs).message).not.toContain(
        'geheim',
      )
  })
})
