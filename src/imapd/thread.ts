/** THREAD's threads of some messages. RFC 5256 §3; REFS: draft-ietf-morg-inthread-01 */

import type { ThreadForest } from '../proto/imap/thread.ts'
import type { ThreadAlgorithm } from '../proto/imap/thread-algorithm.ts'
import { byNumber, type OrderColumns, type Ordering, readColumns, sortIndexes } from './order.ts'
import { Slice } from './slice.ts'
import { forestOf } from './threading/forest.ts'
import { linkByReferences } from './threading/links.ts'
import { none, type ThreadedMessages } from './threading/messages.ts'
import { withoutDummies } from './threading/prune.ts'
import { rootsByNewest } from './threading/roots.ts'
import { gatherBySubject } from './threading/subjects.ts'

export interface Threads {
  /** Of indexes into the positions; what lies behind those stands for no message. */
  readonly forest: ThreadForest
  /** Of each index another one, what lies behind them, or -1. */
  readonly parents: Int32Array
  /** Messages that have not come from an old server: they stand alone. */
  readonly unseen: number
}

/** `positions` ascend. */
export async function threadPositions(
  session: Ordering,
  positions: readonly number[],
  algorithm: ThreadAlgorithm,
): Promise<Threads> {
  const slice = new Slice()
  const bySubject = algorithm === 'ORDEREDSUBJECT'
  const columns = await readColumns(
    session,
    positions,
    bySubject ? ['subject'] : ['messageId', 'references', 'subject'],
    slice,
  )
  const order = await sortIndexes(positions.length, byNumber(columns.sentAt), slice)
  const parents = bySubject
    ? await bySubjectAlone(columns, order, slice)
    : await byReferences(columns, order, algorithm === 'REFERENCES', slice)
  const forest = await forestOf(parents, order, slice)
  const roots = algorithm === 'REFS' ? await rootsByNewest(parents, order, slice) : forest.roots
  return { forest: { ...forest, roots }, parents, unseen: columns.unseen }
}

/** ORDEREDSUBJECT: all that have the subject of an earlier message are its children. */
async function bySubjectAlone({ texts }: OrderColumns, order: Uint32Array, slice: Slice): Promise<Int32Array> {
  const subjects = texts.get('subject')!
  const first = new Map<string, number>()
  const parents = new Int32Array(order.length).fill(none)
  for (const message of order) {
    const known = first.get(subjects[message]!)
    if (known === undefined) first.set(subjects[message]!, message)
    else parents[message] = known
    if (slice.isOver()) await slice.next()
  }
  return parents
}

async function byReferences(
  columns: OrderColumns,
  order: Uint32Array,
  mergesSubjects: boolean,
  slice: Slice,
): Promise<Int32Array> {
  const messages: ThreadedMessages = {
    count: order.length,
    ids: columns.texts.get('messageId')!,
    references: columns.texts.get('references')!,
    subjects: columns.texts.get('subject')!,
    isReply: columns.isReply,
  }
  const links = await linkByReferences(messages, slice)
  const parents = await withoutDummies(links, messages.count, slice)
  if (mergesSubjects) await gatherBySubject(messages, parents, order, links.length, slice)
  return parents
}
