/** What derived files are compared with. */

import type { Uid } from '../../base/ids.ts'
import { summarizeStream } from '../../mime/summary.ts'
import type { MessageSummary } from '../../mime/types.ts'
import { FileContent } from '../content.ts'
import { digestOf } from '../digest.ts'
import type { MessageContent, MessageRecord } from '../types.ts'
import type { MailboxCheck } from './mailbox-check.ts'

/** What is not whole for longer was cut off. */
export const writingMs = 60_000
/** Of a block's messages with one file each, those that are compared, unless all are. */
const sampled = 4

/** The messages with `count` UIDs from `first` on that are here, by digest. */
export function recordsOf(
  { messages }: MailboxCheck,
  first: number,
  count: number,
): ReadonlyMap<string, MessageRecord> {
  const records = new Map<string, MessageRecord>()
  const end = messages.positionOf((first + count) as Uid)
  for (let at = messages.positionOf(first as Uid); at < end; at += 1) {
    const record = messages.at(at)!
    if (record.isHere) records.set(record.digest, record)
  }
  return records
}

/** All of a block, or some that lie apart. */
export function* samples<T>({ run }: MailboxCheck, all: readonly T[]): Iterable<T> {
  const step = run.deep ? 1 : Math.max(1, Math.ceil(all.length / sampled))
  for (let at = 0; at < all.length; at += step) yield all[at]!
}

export interface FreshMessage {
  readonly content: MessageContent
  readonly summary: MessageSummary
}

/** What `work` makes of the message; undefined when it can't be read, or is not what came, which is told of by itself. */
export async function freshMessage<T>(
  { run, directory }: MailboxCheck,
  record: MessageRecord,
  work: (message: FreshMessage) => Promise<T>,
): Promise<T | undefined> {
  try {
    const file = await run.fs.open(`${directory}/msg/${record.file}`)
    await using content = new FileContent(file)
    if (content.sizeOctets !== record.sizeOctets || (await digestOf(file)) !== record.digest) return undefined
    return await work({ content, summary: await summarizeStream(content.stream()) })
  } catch {
    return undefined
  }
}
