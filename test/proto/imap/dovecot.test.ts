/** The same commands to our readers and to Dovecot: who answers BAD to what? Differences are listed, each with its reason. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { AppendReader, readAppendMailbox } from '#src/proto/imap/append.ts'
import { readCopyArgs } from '#src/proto/imap/copy.ts'
import { readFetchArgs } from '#src/proto/imap/fetch.ts'
import { readIdArgs } from '#src/proto/imap/id.ts'
import { readListArgs } from '#src/proto/imap/list.ts'
import { readMailboxArgs } from '#src/proto/imap/mailbox-args.ts'
import { readNoArgs } from '#src/proto/imap/no-args.ts'
import type { Command } from '#src/proto/imap/receiver-events.ts'
import { readSearchArgs } from '#src/proto/imap/search.ts'
import { type MessageSet, namesMissing, parseSequenceSet, savedResult } from '#src/proto/imap/sequence-set.ts'
import { readStatusArgs } from '#src/proto/imap/status.ts'
import { readStoreArgs } from '#src/proto/imap/store.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { octets, receive } from './receive.ts'

const present = 3
const inSet = (set: MessageSet, uid: boolean) => {
  if (set !== savedResult && !uid && namesMissing(set, present)) throw new SyntaxFault('message is not there')
}
const readers: Readonly<Record<string, (command: Command) => void>> = {
  NOOP: ({ args }) => readNoArgs(args),
  CHECK: ({ args }) => readNoArgs(args),
  APPEND: ({ args }) => {
    readAppendMailbox(args)
    new AppendReader().read(args, true)
  },
  COPY: ({ args, uid }) => inSet(readCopyArgs(args).set, uid),
  FETCH: ({ args, uid }) => inSet(readFetchArgs(args).set, uid),
  STORE: ({ args, uid }) => inSet(readStoreArgs(args).set, uid),
  ID: ({ args }) => readIdArgs(args),
  LIST: ({ args }) => readListArgs(args),
  LSUB: ({ args }) => readListArgs(args),
  // numbers above EXISTS just match nothing here
  SEARCH: ({ args }) => readSearchArgs(args),
  STATUS: ({ args }) => readStatusArgs(args),
  SUBSCRIBE: ({ args }) => readMailboxArgs(args),
}

/** Commands on which both agree. Non-synchronising literals only: nothing waits. */
const agreed = [
  'NOOP',
  'check',
  'BLURDYBLOOP',
  'UID NOOP2',
  'FETCH 1 ALL',
  'FETCH 1 (ALL)',
  'FETCH 1 (FLAGS UID)',
  'FETCH 1 FLAGS UID',
  'FETCH 1 (FLAGS',
  'FETCH 1:3 FAST',
  'FETCH 1:* FULL',
  'FETCH 0 FLAGS',
  'FETCH 1:0 FLAGS',
  'FETCH 4 FLAGS',
  'FETCH 2:4 FLAGS',
  'FETCH 4:* FLAGS',
  'FETCH 4:5 FLAGS',
  'SEARCH 4',
  'SEARCH 2:4',
  'SEARCH NOT 4:*',
  'FETCH a FLAGS',
  'FETCH 4294967296 FLAGS',
  'UID FETCH 4294967295 FLAGS',
  'UID FETCH 999:* FLAGS',
  'FETCH *:1 FLAGS',
  'FETCH 1 BODY',
  'FETCH 1 BODY.PEEK',
  'FETCH 1 BODY[]',
  'FETCH 1 BODY[1.MIME]',
  'FETCH 1 BODY[MIME]',
  'FETCH 1 BODY[1.]',
  'FETCH 1 BODY[1.2.3.4.5.6.7]',
  'FETCH 1 body.peek[header.fields ("to" from)]<0.1>',
  'FETCH 1 BODY[HEADER.FIELDS {4+}\r\nDate]',
  'FETCH 1 BODY[HEADER.FIELDS ({4+}\r\nDate)]',
  'FETCH 1 BODY[HEADER.FIELDS]',
  'FETCH 1 BODY[TEXT]<-1.5>',
  'FETCH 1 RFC822.PEEK',
  'FETCH 1 (RFC822.SIZE RFC822.HEADER RFC822.TEXT RFC822)',
  'STORE 1 FLAGS (x)',
  'STORE 1 FLAGS x y',
  'STORE 1 -FLAGS.SILENT \\seen',
  'STORE 1 FLAGS \\Foo',
  'STORE 1 FLAGS \\Recent',
  'STORE 1 FLAG (x)',
  'COPY 1 Nowhere',
  'COPY 1',
  'SEARCH ALL',
  'SEARCH (OR SEEN UNSEEN) NOT NEW',
  'SEARCH OR SEEN',
  'SEARCH FOO',
  'SEARCH ON 1-Feb-2020',
  'SEARCH ON "1-Feb-2020"',
  'SEARCH ON 1-Foo-2020',
  'SEARCH ()',
  'SEARCH (ALL',
  'SEARCH HEADER Subject ""',
  'SEARCH TEXT',
  'SEARCH LARGER x',
  'SEARCH CHARSET UTF-8 TEXT {2+}\r\n\xc3\xa9',
  'SEARCH KEYWORD $Junk UID 1:*',
  'STATUS INBOX (MESSAGES UNSEEN)',
  'STATUS INBOX MESSAGES',
  'STATUS INBOX (FOO)',
  'LIST "" *',
  'LIST "" %x*]',
  'LIST ""',
  'ID NIL',
  'ID ("name" "x" "y" NIL)',
  'SUBSCRIBE "a\\"b"',
  'SUBSCRIBE "a\\b"',
  'SUBSCRIBE "a',
  'SUBSCRIBE {3+}\r\na b',
  'APPEND INBOX (\\Seen) " 7-Feb-1994 21:52:25 -0800" {5+}\r\nA: b\n',
  'APPEND INBOX "07-Feb-1994 21:52:25 -0800" {5+}\r\nA: b\n',
  'APPEND INBOX "7-Feb-1994 21:52:25 -0800" {5+}\r\nA: b\n',
  'APPEND INBOX "7-Foo-1994 21:52:25 -0800" {5+}\r\nA: b\n',
  'APPEND INBOX (\\Recent) {5+}\r\nA: b\n',
]

/** Commands on which we differ: ours, Dovecot's, and why. */
const different: readonly (readonly [command: string, ours: string, dovecots: string, why: string])[] = [
  ['NOOP ', 'BAD', 'fine', 'RFC 9051 §9 note 2: SP is exactly one space'],
  ['FETCH 1 (FLAGS )', 'BAD', 'fine', 'RFC 9051 §9 note 2: SP is exactly one space'],
  ['FETCH 1 (FLAGS  UID)', 'BAD', 'fine', 'RFC 9051 §9 note 2: SP is exactly one space'],
  ['FETCH  1 FLAGS', 'BAD', 'fine', 'RFC 9051 §9 note 2: SP is exactly one space'],
  ['NOOP x', 'BAD', 'fine', 'RFC 9051 §9 command: CRLF follows'],
  ['FETCH 1, FLAGS', 'BAD', 'fine', 'RFC 9051 §9 sequence-set: a number follows the comma'],
  ['FETCH 1 BODY[0]', 'BAD', 'fine', 'RFC 9051 §9 section-part: nz-number'],
  ['FETCH 1 BODY[TEXT]<0.0>', 'BAD', 'fine', 'RFC 9051 §9 partial: nz-number64'],
  ['FETCH 1 BODY[TEXT]<0>', 'BAD', 'fine', 'RFC 9051 §9 partial: both numbers'],
  ['ID ("name")', 'BAD', 'fine', 'RFC 2971 §4 id-params-list: pairs'],
]

const ours = (command: string): 'BAD' | 'fine' => {
  const event = receive([octets(`a ${command}\r\n`)])[0]
  if (event?.type !== 'command' && event?.type !== 'append') return 'BAD'
  const read = readers[event.command.name]
  if (read === undefined) return 'BAD'
  try {
    read(event.command)
    return 'fine'
  } catch (error) {
    if (error instanceof SyntaxFault) return 'BAD'
    throw error
  }
}

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
  await dovecot.fill(
    'anna',
    Array.from({ length: present }, (_, index) => Buffer.from(`Subject: ${index}\r\n\r\nbody\r\n`)),
  )
})
afterAll(() => dovecot.stop())

/** BAD or fine, from a connection of its own: Dovecot hangs up on those who err too often. */
async function dovecots(command: string, mailbox = 'INBOX'): Promise<'BAD' | 'fine'> {
  const socket = connect(dovecot.imapPort, '127.0.0.1')
  try {
    await tagged(socket, '* OK', '')
    await tagged(socket, 'l ', 'l LOGIN anna secret\r\n')
    await tagged(socket, 'c ', 'c CREATE Empty\r\n')
    await tagged(socket, 's ', `s EXAMINE ${mailbox}\r\n`)
    const line = await tagged(socket, 'a ', `a ${command}\r\n`)
    return line.startsWith('a BAD') ? 'BAD' : 'fine'
  } finally {
    socket.destroy()
  }
}

async function tagged(socket: Socket, start: string, send: string): Promise<string> {
  if (send !== '') socket.write(Buffer.from(send, 'latin1'))
  let text = ''
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    text += chunk.toString('latin1')
    const line = text
      .split('\r\n')
      .slice(0, -1)
      .find((candidate) => candidate.startsWith(start))
    if (line !== undefined) return line
  }
}

it('we agree with Dovecot on what is BAD', async () => {
  const answers: unknown[] = []
  for (const command of agreed) answers.push([command, await dovecots(command)])
  expect(agreed.map((command) => [command, ours(command)])).toEqual(answers)
})

it.each(different)('%j: %s here, %s there: %s', async (command, here, there) => {
  expect([ours(command), await dovecots(command)]).toEqual([here, there])
})

it('we agree with Dovecot that no sequence number names anything in an empty mailbox', async () => {
  for (const set of ['1:*', '*', '*:1', '1', '2:*', '1:2']) {
    expect(await dovecots(`FETCH ${set} FLAGS`, 'Empty'), set).toBe('BAD')
    expect(namesMissing(parseSequenceSet(set) ?? [], 0), set).toBe(true)
  }
  expect(await dovecots('UID FETCH 1:* FLAGS', 'Empty')).toBe('fine')
})
