/** Search keys that ask for the threads of the whole mailbox. draft-ietf-morg-inthread-01 (SEARCH=INTHREAD) */

import type { SearchKey } from '../proto/imap/search.ts'
import type { ThreadAlgorithm } from '../proto/imap/thread-algorithm.ts'
import { type Ordering, readColumns } from './order.ts'
import { Refusal } from './replies.ts'
import { Slice } from './slice.ts'
import { threadPositions } from './thread.ts'
import { rootsOf } from './threading/roots.ts'

/** Far more than anybody asks for: each takes an octet for each message, and nested ones thread the mailbox again. */
const maxThreadKeys = 20

type ThreadKey = Extract<SearchKey, { key: 'INTHREAD' | 'THREADROOT' | 'THREADLEAF' | 'MESSAGEID' }>

/** Which messages a key matches: 1 at their positions. */
export type ThreadMarks = ReadonlyMap<ThreadKey, Uint8Array>

/** Of all such keys in `key`, but for those that INTHREAD is about. `matches` answers the positions that match. Throws Refusal. */
export async function markThreads(
  session: Ordering,
  key: SearchKey,
  matches: (key: SearchKey) => Promise<readonly number[]>,
): Promise<ThreadMarks> {
  const keys = [...threadKeysOf(key)]
  const marks = new Map<ThreadKey, Uint8Array>()
  if (keys.length === 0) return marks
  if (countOf(keys) > maxThreadKeys)
    throw new Refusal('NO', 'LIMIT', `At most ${maxThreadKeys} keys about threads or message ids in one search`)
  const slice = new Slice()
  const all: number[] = []
  for (let position = 0; position < session.view.exists; position += 1) {
    all.push(position)
    if (slice.isOver()) await slice.next()
  }
  const threads = new Map<ThreadAlgorithm, Int32Array>()
  const parentsBy = async (algorithm: ThreadAlgorithm) => {
    const parents = threads.get(algorithm) ?? (await threadPositions(session, all, algorithm)).parents
    threads.set(algorithm, parents)
    return parents
  }
  for (const each of keys) {
    if (each.key === 'MESSAGEID') marks.set(each, await withId(session, all, each.id))
    else if (each.key === 'INTHREAD')
      marks.set(each, await inThreads(await parentsBy(each.algorithm), await matches(each.child)))
    else marks.set(each, await atEnds(await parentsBy(each.algorithm), each.key))
  }
  return marks
}

function* threadKeysOf(key: SearchKey): Generator<ThreadKey, void, undefined> {
  switch (key.key) {
    case 'INTHREAD':
    case 'THREADROOT':
    case 'THREADLEAF':
    case 'MESSAGEID':
      yield key
      break
    case 'NOT':
      yield* threadKeysOf(key.child)
      break
    case 'AND':
    case 'OR':
      for (const inner of key.keys) yield* threadKeysOf(inner)
  }
}

/** With those that INTHREAD is about. */
function countOf(keys: readonly ThreadKey[]): number {
  let count = keys.length
  for (const key of keys) if (key.key === 'INTHREAD') count += countOf([...threadKeysOf(key.child)])
  return count
}

async function withId(session: Ordering, all: readonly number[], id: string): Promise<Uint8Array> {
  const slice = new Slice()
  const { texts } = await readColumns(session, all, ['messageId'], slice)
  const marks = new Uint8Array(all.length)
  for (const [position, known] of texts.get('messageId')!.entries()) {
    if (known === id) marks[position] = 1
    if (slice.isOver()) await slice.next()
  }
  return marks
}

/** All messages of the threads that have one of these. */
async function inThreads(parents: Int32Array, positions: readonly number[]): Promise<Uint8Array> {
  const slice = new Slice()
  const roots = await rootsOf(parents, slice)
  const wanted = new Set<number>()
  for (const position of positions) {
    wanted.add(roots[position]!)
    if (slice.isOver()) await slice.next()
  }
  const marks = new Uint8Array(parents.length)
  for (let position = 0; position < parents.length; position += 1) {
    if (wanted.has(roots[position]!)) marks[position] = 1
    if (slice.isOver()) await slice.next()
  }
  return marks
}

async function atEnds(parents: Int32Array, which: 'THREADROOT' | 'THREADLEAF'): Promise<Uint8Array> {
  const slice = new Slice()
  const marks = new Uint8Array(parents.length).fill(which === 'THREADLEAF' ? 1 : 0)
  for (const [position, parent] of parents.entries()) {
    const isMessage = parent >= 0 && parent < parents.length
    if (which === 'THREADLEAF' && isMessage) marks[parent] = 0
    if (which === 'THREADROOT' && !isMessage) marks[position] = 1
    if (slice.isOver()) await slice.next()
  }
  return marks
}
