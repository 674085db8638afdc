/**
 * What is shown in the place of a message that a backend lists and doesn't give, or that a server of this site refused: its header, as far as that
 * came, and the reason. It has an origin of its own kind, so that it is nobody's copy: it is neither sent to a backend nor deleted there, and it goes when the message
 * comes. docs/decisions/0181-a-stub-until-the-message-comes.md
 */
import { randomUUID } from 'node:crypto'
import type { Uid } from '#src/base/ids.ts'
import { fieldValue, splitFields } from '#src/mime/header.ts'
import type { Mailbox } from '#src/store/types.ts'
import { Slice } from '../backend/slice.ts'
import { headerOf, internalDateOf } from './header.ts'

const prefix = 'stub:'

export const isStub = (origin: string): boolean => origin.startsWith(prefix)

/** Of the message with this origin. */
export const stubOrigin = (origin: string): string => prefix + origin

/** The origin of the message in whose place a stub with this origin is. */
export const stubbedOrigin = (origin: string): string => origin.slice(prefix.length)

export interface Stub {
  /** Of the message. */
  readonly origin: string
  /** INTERNALDATE, seconds since 1970; undefined: from the header. */
  readonly internalDate?: number | undefined
  /** The beginning of the message, with what is known of its header; undefined: nothing. */
  readonly header: Buffer | undefined
  /** Before the subject. */
  readonly tag: string
  /** Lines. */
  readonly text: readonly string[]
}

/** The backend does not give it. `why`: a sentence whose subject is the server, printable. */
export const missingStub = (origin: string, header: Buffer | undefined, why: string): Stub => ({
  origin,
  header,
  tag: 'not available yet',
  text: [
    'This message is at the mail server, but can not be fetched from there:',
    `the server ${why}.`,
    '',
    'It is asked for again and again. When it comes, it takes the place of this notice.',
  ],
})

const replyCharacters = 1_000

/** A server of this site refused it for good. `who`: with article. */
export const refusedStub = (origin: string, header: Buffer, who: string, reply: string): Stub => ({
  origin,
  header,
  tag: 'refused',
  text: [
    `This message is at the mail server, but is not shown here, because ${who} refused it. It said:`,
    '',
    `    ${reply.slice(0, replyCharacters).replace(/[\x00-\x1f\x7f]+/g, ' ')}`,
    '',
    'It stays at the mail server.',
  ],
})

/** Fields of the original that make the stub recognisable in a list; each at most so long. */
const shown = ['date', 'from', 'to', 'cc', 'subject']
const shownOctets = 2_000

/** Octets; lines end in CRLF. `now`: seconds since 1970. */
export const stubText = ({ header, tag, text }: Stub, now: number): Buffer => {
  const fields = splitFields(header === undefined ? '' : headerOf(header).toString('latin1'))
  const original = (name: string): string | undefined => {
    const field = fields.find((each) => each.name === name)
    const value = field === undefined ? '' : fieldValue(field)
    return value === '' || value.length > shownOctets ? undefined : value
  }
  const values: Readonly<Record<string, string | undefined>> = {
    ...Object.fromEntries(shown.map((name) => [name, original(name)])),
    date: original('date') ?? new Date(now * 1000).toUTCString().replace('GMT', '+0000'),
    from: original('from') ?? 'Mail gateway <postmaster@localhost>',
    subject: `[${tag}] ${original('subject') ?? ''}`.trimEnd(),
  }
  const boundary = randomUUID()
  const lines = [
    ...shown.flatMap((name) => {
      const value = values[name]
      return value === undefined ? [] : [`${name[0]!.toUpperCase()}${name.slice(1)}: ${value}`]
    }),
    `Message-ID: <${randomUUID()}@localhost>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    ...text.map((line) => Buffer.from(line, 'utf8').toString('latin1')),
    'Deleting this notice deletes nothing at the mail server.',
    ...(header === undefined
      ? []
      : [
          '',
          `--${boundary}`,
          'Content-Type: text/rfc822-headers; charset=utf-8',
          'Content-Transfer-Encoding: 8bit',
          '',
          fields.map(({ raw }) => raw.replace(/\r?\n|\0/g, (end) => (end === '\0' ? '' : '\r\n'))).join(''),
        ]),
    `--${boundary}--`,
    '',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

/** Those that have one, or had one that a client deleted, get none. */
export const showStubs = async (mailbox: Mailbox, stubs: readonly Stub[], now: number): Promise<void> => {
  const missing = stubs.filter(({ origin }) => mailbox.byOrigin(stubOrigin(origin)) === undefined)
  if (missing.length === 0) return
  await using delivery = mailbox.deliver()
  for (const stub of missing) {
    const internalDate = stub.internalDate ?? (stub.header === undefined ? now : internalDateOf(stub.header, now))
    const sink = delivery.add({ internalDate, origin: stubOrigin(stub.origin) })
    await sink.write(stubText(stub, now))
    await sink.end()
  }
  await delivery.commit()
}

/** `isOver` of the origin of a message: it came, or there is none any more. `url`: where the origins of the backend begin. */
export const clearStubs = async (mailbox: Mailbox, url: string, isOver: (origin: string) => boolean): Promise<void> => {
  const begin = prefix + url
  const over = (origin: string) => origin.startsWith(begin) && isOver(origin.slice(prefix.length))
  const slice = new Slice()
  const { messages } = mailbox
  const uids: Uid[] = []
  for (let position = 0; position < messages.length; position++) {
    if (slice.isOver()) await slice.next()
    const origin = messages.originAt(position)
    if (origin !== undefined && over(origin)) uids.push(messages.uidAt(position))
  }
  if (uids.length > 0) await mailbox.expunge(uids, 'backend')
  const departed = [...mailbox.departed()].flatMap(([origin]) => (over(origin) ? [origin] : []))
  if (departed.length > 0) await mailbox.forget(departed)
}
