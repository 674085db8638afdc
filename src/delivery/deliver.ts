/**
 * A message that a mail server hands over for a user goes into a mailbox: into the inbox, or, when it is one that ms_syncd had fetched and submitted
 * (`mark.ts`), to where it was fetched for, once.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { MailboxId, Uid } from '../base/ids.ts'
import type { Account, Mailbox, NewMessage } from '../store/types.ts'
import { findMarkKey, type Mark, readMark } from './mark.ts'

export type Handed =
  | { readonly mailbox: string; readonly uid: Uid }
  /** It is a message submitted twice; the mailbox has, or had, the other one. */
  | { readonly mailbox: string; readonly isRepeated: true }

export interface DeliveryParts {
  readonly clock: Clock
  /** Where it goes unless it has a mark; the inbox where there is none of this name, or none is named. */
  readonly mailbox?: string
  /** Does the work, which adds a message of this size, unless the user is over quota. Throws StoreError over-quota. QUO-06 */
  adding<T>(sizeOctets: number, work: () => Promise<T>): Promise<T>
}

/** A mark is looked for in so many octets. */
const headerLimit = 131_072
/** Longer than mail servers keep trying: a message that comes back later has been sent on by somebody, and is a new one. RFC 5321 §4.5.4.1 */
const repeatedWithinSeconds = 14 * 86_400

/** Resolves when the message is durable. `octets`: with CRLF or LF. Throws StoreError. */
export async function deliver(
  account: Account,
  octets: AsyncIterable<Uint8Array>,
  { clock, mailbox: named = 'INBOX', adding }: DeliveryParts,
): Promise<Handed> {
  const chunks = withCrlf(octets)[Symbol.asyncIterator]()
  const header = await readHeader(chunks)
  const now = Math.floor(clock.now() / 1_000)
  const key = await findMarkKey(account)
  const found = key === undefined ? undefined : readMark(header, key)
  await using mailbox = await openFor(account, found?.mark, named)
  const body = { start: found?.rest ?? header, chunks }
  if (found === undefined) return store(mailbox, { internalDate: now }, body, adding)
  const { origin, uidl, internalDate, flags, submittedAt } = found.mark
  const isPlace = mailbox.id === found.mark.mailboxId
  const known = isPlace ? mailbox.byOrigin(origin) : undefined
  if (known !== undefined && now - submittedAt < repeatedWithinSeconds)
    return { mailbox: mailbox.name, isRepeated: true }
  // In another mailbox the origin would be that of another message: what an IMAP backend does not have there is expunged.
  const origins = isPlace && known === undefined ? { origin, ...(uidl === undefined ? {} : { uidl }) } : {}
  // It is in the backend's mailbox, and would be fetched for ever: quotas are not for what was fetched.
  return store(mailbox, { internalDate, flags, ...origins }, body, (_, work) => work())
}

async function store(
  mailbox: Mailbox,
  message: NewMessage,
  { start, chunks }: { readonly start: Buffer; readonly chunks: AsyncIterator<Buffer> },
  adding: DeliveryParts['adding'],
): Promise<Handed> {
  await using delivery = mailbox.deliver()
  const sink = delivery.add(message)
  let sizeOctets = start.length
  await sink.write(start)
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
    sizeOctets += next.value.length
    await sink.write(next.value)
  }
  await sink.end()
  const [fate] = await adding(sizeOctets, () => delivery.commit())
  return fate !== undefined && 'uid' in fate
    ? { mailbox: mailbox.name, uid: fate.uid }
    : { mailbox: mailbox.name, isRepeated: true }
}

/** The mailbox that the mark names, also under another name by now; else `named`, and the inbox where there is none. */
async function openFor(account: Account, mark: Mark | undefined, named: string): Promise<Mailbox> {
  const name = mark === undefined ? named : ((await nameOf(account, mark.mailboxId)) ?? 'INBOX')
  try {
    return await account.open(name)
  } catch (error) {
    // Also one that was removed a moment ago, and a name that no mailbox can have.
    if (!(error instanceof StoreError) || !['not-found', 'invalid', 'limit'].includes(error.kind)) throw error
    if (name === 'INBOX') throw error
  }
  return account.open('INBOX')
}

async function nameOf(account: Account, id: MailboxId): Promise<string | undefined> {
  for (const { name, selectable } of await account.list())
    if (selectable && (await account.status(name)).mailboxId === id) return name
  return undefined
}

/** With the empty line behind it, and what came along with that; or the beginning of a longer one. */
async function readHeader(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let header = Buffer.alloc(0)
  while (header.length < headerLimit && !header.includes('\r\n\r\n')) {
    const next = await chunks.next()
    if (next.done) break
    header = Buffer.concat([header, next.value])
  }
  // The line of a mailbox file, which some put before it.
  return header.subarray(0, 5).toString('latin1') === 'From ' ? header.subarray(header.indexOf('\r\n') + 2) : header
}

/** Programs that hand mail over by a pipe use LF. */
async function* withCrlf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let carried = ''
  for await (const piece of octets) {
    const text = carried + Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1')
    carried = text.endsWith('\r') ? '\r' : ''
    const whole = carried === '' ? text : text.slice(0, -1)
    if (whole !== '') yield Buffer.from(whole.replace(/\r?\n/g, '\r\n'), 'latin1')
  }
  if (carried !== '') yield Buffer.from(carried, 'latin1')
}
