/**
 * A message that BODY.PEEK[] doesn't give: in chunks, by its parts, by the item of RFC 1730. The mailbox has been opened by EXAMINE, so that none of
 * them marks it as seen. RFC 9051 §6.4.5
 */
import type { Uid } from '#src/base/ids.ts'
import type { BodySink } from '../types.ts'
import { type MessageFacts, messageIn } from './bulk.ts'
import type { ImapConnection, Status } from './connection.ts'

const chunkOctets = 1_048_576
/** Parts are held in memory together. */
const partsOctets = 8 * 1_048_576

type Open = (message: MessageFacts) => BodySink

/**
 * Gives the message to a sink of `open`, which is aborted when it does not come whole; then answers what is known of its header, or undefined.
 * Throws BackendError when the session is lost.
 */
export async function otherWays(
  connection: ImapConnection,
  uid: Uid,
  open: Open,
): Promise<'whole' | Buffer | undefined> {
  if ((await inChunks(connection, uid, open)) || (await inParts(connection, uid, open))) return 'whole'
  const { item } = await ask(connection, uid, 'BODY.PEEK[HEADER]')
  const octets = item('BODY[HEADER]')
  return Buffer.isBuffer(octets) && octets.length > 0 ? octets : undefined
}

interface Answer {
  readonly status: Status
  readonly facts: MessageFacts | undefined
  item(name: string): Buffer | string | undefined
}

async function ask(connection: ImapConnection, uid: Uid, items: string): Promise<Answer> {
  const values = new Map<string, unknown>()
  let facts: MessageFacts | undefined
  const status = await connection.run({
    words: [`UID FETCH ${uid} (UID FLAGS INTERNALDATE ${items})`],
    untagged: (parts) => {
      const message = messageIn(parts)
      if (message?.facts.uid !== uid) return
      facts = message.facts
      for (const [name, value] of message.values) values.set(name.replace(/<[0-9]+>$/, ''), value)
    },
  })
  const item = (name: string) => {
    const value = values.get(name)
    return typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined
  }
  return { status, facts, item }
}

/** Ends with one that is shorter than was asked for; one that does not come leaves the message incomplete. */
async function inChunks(connection: ImapConnection, uid: Uid, open: Open): Promise<boolean> {
  let sink: BodySink | undefined
  for (let at = 0; ; at += chunkOctets) {
    const { status, facts, item } = await ask(connection, uid, `BODY.PEEK[]<${at}.${chunkOctets}>`).catch(
      (error: Error) => {
        sink?.abort(error)
        throw error
      },
    )
    const chunk = item('BODY[]')
    const isGiven = status.condition === 'OK' && facts !== undefined && Buffer.isBuffer(chunk)
    if (!isGiven || chunk.length > chunkOctets || (at === 0 && chunk.length === 0)) {
      sink?.abort(new Error('a chunk did not come'))
      return false
    }
    sink ??= open(facts)
    await sink.write(chunk)
    if (chunk.length < chunkOctets) {
      await sink.end()
      return true
    }
  }
}

/** Servers write headers anew for this: it is the message only with exactly its octets. */
async function inParts(connection: ImapConnection, uid: Uid, open: Open): Promise<boolean> {
  const { item: told } = await ask(connection, uid, 'RFC822.SIZE')
  const size = Number(told('RFC822.SIZE'))
  if (!(size > 0 && size <= partsOctets)) return false
  for (const [items, ...names] of [
    ['BODY.PEEK[HEADER] BODY.PEEK[TEXT]', 'BODY[HEADER]', 'BODY[TEXT]'],
    ['RFC822', 'RFC822'],
  ] as const) {
    const { status, facts, item } = await ask(connection, uid, items)
    const octets = names.map(item).filter((part) => Buffer.isBuffer(part))
    const sum = octets.reduce((octetsSoFar, part) => octetsSoFar + part.length, 0)
    if (status.condition !== 'OK' || facts === undefined || octets.length < names.length || sum !== size) continue
    const sink = open(facts)
    for (const part of octets) await sink.write(part)
    await sink.end()
    return true
  }
  return false
}
