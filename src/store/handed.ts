/**
 * Messages that somebody hands over, who hands them over once more when he did not hear that they are safe (RFC 2033 §4.2). The unique part of such a
 * file's name is made of what was handed over, so that a log that has the message tells that it has it, whatever crashed or hangs in between, on
 * whichever machine. docs/decisions/0365-a-retry-is-stored-once.md
 */
import { createHash } from 'node:crypto'
import type { Uid } from '../base/ids.ts'
import type { Chunk } from './chunk.ts'
import type { MailboxState } from './mailbox-state.ts'

/** Nothing that `uniqueName` makes begins like this; with the two digits behind it, it is as long as the part that a chunk keeps once. */
const beginning = 'handed00000000'
/** Numbers of at most six digits in base 36. */
const counters = 36 ** 6 - 1

/** Whoever hands a message over tries for so long at most. RFC 5321 §4.5.4.1 */
const triedForSeconds = 5 * 86_400

/** What a message was handed over as, as the columns of a mailbox have it. */
export interface Handed {
  /** The unique part of its name. */
  readonly unique: string
  readonly start: string
  readonly counter: number
}

/** `text`: what all attempts to hand it over have in common, and nothing else. */
export function handedAs(text: string): Handed {
  const digest = createHash('sha256').update(text).digest()
  const start = beginning + digest.toString('hex', 0, 1)
  const counter = 1 + (digest.readUIntBE(1, 6) % counters)
  return { start, counter, unique: start + counter.toString(36) }
}

/** A message of this name, also one that left, that came in the time in which somebody may try again. */
export function handedBefore(handed: Handed, state: MailboxState, now: number): Uid | undefined {
  const since = now - triedForSeconds
  for (const chunk of state.messages.chunks.toReversed()) {
    const uid = find(chunk, handed)
    // They come in the order of their UIDs.
    if (uid !== undefined || chunk.columns.savedDates[chunk.count - 1]! < since) return uid
  }
  for (const { chunk, times } of state.expunged.chunks.toReversed()) {
    const uid = find(chunk, handed)
    if (uid !== undefined || times[chunk.count - 1]! < since) return uid
  }
  return undefined
}

function find({ columns, count }: Chunk, { start, counter }: Handed): Uid | undefined {
  const { counters, uids, uniqueStarts, uniques } = columns
  for (let row = count - 1; row >= 0; row -= 1) {
    row = counters.lastIndexOf(counter, row)
    if (row >= 0 && uniques[uniqueStarts[row]!] === start) return uids[row] as Uid
  }
  return undefined
}
