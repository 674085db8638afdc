/**
 * Searches of whose results the client wants to know all changes, RFC 5267 §4.3, in one selected mailbox. What changed since the last time is tried again: as much work as there are
 * changes, but for searches by age, which are tried whole at most once a minute. Sequence numbers in a search stand for the messages that they stood for when it was given.
 */

import { StoreError } from '../base/errors.ts'
import type { ModSeq, Uid } from '../base/ids.ts'
import type { FetchItem } from '../proto/imap/fetch.ts'
import { namesThreads, namesTime, type SearchKey } from '../proto/imap/search.ts'
import { formatUpdate, type PlacedNumbers } from '../proto/imap/search-return.ts'
import {
  firstAtLeast,
  resolveSequenceNumbers,
  type SequenceSet,
  savedResult,
  star,
} from '../proto/imap/sequence-set.ts'
import type { SortCriterion } from '../proto/imap/sort.ts'
import type { UidRange } from '../store/types.ts'
import { isAmong, joinRanges, withoutRanges } from '../store/uid-set.ts'
import type { Fresh } from './announce.ts'
import type { Form } from './command.ts'
import { findMatches, type Searching } from './search.ts'
import { writePieces } from './search-results.ts'
import { Slice } from './slice.ts'
import { type PlacedUids, SortedResults } from './sorted-results.ts'
import type { Expunged, View } from './view.ts'

/** Of one session. */
const maxContexts = 16
/** Between two times that all messages are tried of a search by age. RFC 5032 §2 */
const timedMs = 60_000

/** What is asked for; `criteria`: by SORT. */
export interface Followed {
  readonly key: SearchKey
  readonly charset: string | undefined
  readonly criteria?: readonly SortCriterion[]
  /** What is told of a message that comes and is among the results. RFC 5465 §7 */
  readonly items?: readonly FetchItem[] | undefined
}

/** At positions. */
export interface Results {
  /** In the order of `criteria`, if there are any. */
  readonly positions: readonly number[]
  /** See `Matches`. */
  readonly away: readonly number[]
}

interface Context {
  readonly uid: boolean
  readonly key: SearchKey
  readonly charset: string | undefined
  readonly items: readonly FetchItem[]
  /** Of a SORT. */
  readonly sorted: SortedResults | undefined
  matched: readonly UidRange[]
  /** Whether they match is known when they have come: that alone changes no message. */
  away: readonly UidRange[]
  /** All changes up to here were tried, and all messages up to this UID. */
  triedModSeq: ModSeq
  triedUid: Uid
  triedAllAt: number
}

export class Contexts {
  readonly #byTag = new Map<string, Context>()

  has(tag: string): boolean {
    return this.#byTag.has(tag)
  }

  cancel(tag: string): void {
    this.#byTag.delete(tag)
  }

  /** `results`: those of now. Says whether there is room for it. */
  async add(
    { view, services }: Searching,
    { tag, uid }: Pick<Form, 'tag' | 'uid'>,
    { key, charset, criteria, items = [] }: Followed,
    { positions, away }: Results,
  ): Promise<boolean> {
    if (this.#byTag.size >= maxContexts) return false
    this.#byTag.set(tag, {
      uid,
      key: asOfNow(key, view),
      charset,
      items,
      sorted: criteria && new SortedResults(criteria, await uidsAt(view, positions)),
      matched: await rangesAt(
        view,
        positions.toSorted((a, b) => a - b),
      ),
      away: await rangesAt(view, away),
      ...triedNow(view),
      triedAllAt: services.clock.monotonic(),
    })
    return true
  }

  /** Before the client is told that these are gone: their numbers are still right. */
  async tellExpunged(session: Searching, expunged: readonly Expunged[]): Promise<void> {
    if (expunged.length === 0) return
    const steps = new Slice(1)
    for (const [tag, context] of this.#byTag) {
      if (steps.isOver()) await steps.next()
      const gone = expunged.filter(({ uid }) => isAmong(context.matched, uid)).toReversed()
      if (gone.length === 0) continue
      if (steps.isOver()) await steps.next()
      context.matched = withoutRanges(context.matched, joinRanges(gone.map(({ uid }) => ({ first: uid, last: uid }))))
      if (steps.isOver()) await steps.next()
      const numbers = new Map<Uid, number>(gone.map(({ number, uid }) => [uid, context.uid ? uid : number]))
      const uids = gone.map(({ uid }) => uid)
      const placed = (await context.sorted?.remove(uids)) ?? anywhere(uids)
      await writePieces(session, formatUpdate(tag, context.uid, await numbered(placed, (uid) => numbers.get(uid)!), []))
    }
  }

  /** Behind what the client is told of messages that came or changed. What can't be read now is tried again the next time. */
  async tellChanged(session: Searching, fresh?: Fresh): Promise<void> {
    const steps = new Slice(1)
    for (const [tag, context] of this.#byTag) {
      try {
        await tellChanged(session, tag, context, steps, fresh)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        session.log.log('warning', 'changes to the results of a search can not be found out', { cause: error.message })
      }
    }
  }
}

/** `steps`: each with all messages takes some ms, and lets others run behind it. */
async function tellChanged(
  session: Searching,
  tag: string,
  context: Context,
  steps: Slice,
  fresh: Fresh | undefined,
): Promise<void> {
  const { view, services } = session
  const now = services.clock.monotonic()
  const isTimed = namesTime(context.key) && now - context.triedAllAt >= timedMs
  const tried = triedNow(view)
  if (!isTimed && tried.triedModSeq === context.triedModSeq && tried.triedUid === context.triedUid) return
  // A message that comes or goes changes which threads others are in.
  const candidates =
    isTimed || namesThreads(context.key) ? [...view.positions(everything, true)] : await changedPositions(view, context)
  if (steps.isOver()) await steps.next()
  const { positions, away } = await findMatches(session, context.key, context.charset, {
    among: candidates,
    enough: Infinity,
  })
  const added: number[] = []
  const removed: number[] = []
  const slice = new Slice()
  let at = 0
  for (const position of candidates) {
    while (at < positions.length && positions[at]! < position) at++
    const isMatch = positions[at] === position
    const was = isAmong(context.matched, view.uidAt(position))
    if (isMatch && !was) added.push(position)
    if (!isMatch && was) removed.push(position)
    if (slice.isOver()) await slice.next()
  }
  const left = withoutRanges(context.matched, await rangesAt(view, removed))
  if (steps.isOver()) await steps.next()
  const matched = joinRanges([...left, ...(await rangesAt(view, added))])
  if (steps.isOver()) await steps.next()
  const hasNews = added.length + removed.length > 0
  const [gone, come] = [await uidsAt(view, removed), await uidsAt(view, added)]
  // Of what can't be put in order now nothing counts as told.
  const update =
    hasNews && context.sorted !== undefined
      ? await context.sorted.change(session, await positionsOf(view, matched), gone, come)
      : { removed: anywhere(gone), added: anywhere(come) }
  const others = withoutRanges(context.away, await rangesAt(view, candidates))
  if (steps.isOver()) await steps.next()
  Object.assign(context, { ...tried, matched, away: joinRanges([...others, ...(await rangesAt(view, away))]) })
  if (isTimed) context.triedAllAt = now
  if (!hasNews) return
  const uidAt = (position: number) => view.uidAt(position)
  const numberOf = context.uid ? (uid: Uid) => uid : (uid: Uid) => firstAtLeast(uid, view.exists, uidAt) + 1
  const [out, into] = [await numbered(update.removed, numberOf), await numbered(update.added, numberOf)]
  // RFC 5465 §7: before the ESEARCH response
  await fresh?.tell(added, context.items)
  await writePieces(session, formatUpdate(tag, context.uid, out, into))
}

async function uidsAt(view: View, positions: readonly number[]): Promise<readonly Uid[]> {
  const uids: Uid[] = []
  const slice = new Slice()
  for (const position of positions) {
    uids.push(view.uidAt(position))
    if (slice.isOver()) await slice.next()
  }
  return uids
}

/** Those that are gone and were not told of included. */
async function positionsOf(view: View, matched: readonly UidRange[]): Promise<readonly number[]> {
  const positions: number[] = []
  const slice = new Slice()
  for (let position = 0; position < view.exists; position++) {
    if (isAmong(matched, view.uidAt(position))) positions.push(position)
    if (slice.isOver()) await slice.next()
  }
  return positions
}

/** In the mailbox's order the client finds the places by itself. */
const anywhere = (uids: readonly Uid[]): readonly PlacedUids[] => (uids.length === 0 ? [] : [{ position: 0, uids }])

async function numbered(
  placed: readonly PlacedUids[],
  numberOf: (uid: Uid) => number,
): Promise<readonly PlacedNumbers[]> {
  const all: PlacedNumbers[] = []
  const slice = new Slice()
  for (const { position, uids } of placed) {
    const numbers: number[] = []
    for (const uid of uids) {
      numbers.push(numberOf(uid))
      if (slice.isOver()) await slice.next()
    }
    all.push({ position, numbers })
  }
  return all
}

const everything: SequenceSet = [{ first: 1, last: star }]

const triedNow = (view: View): Pick<Context, 'triedModSeq' | 'triedUid'> => ({
  triedModSeq: view.modSeq,
  triedUid: view.exists === 0 ? (0 as Uid) : view.uidAt(view.exists - 1),
})

/** Those that changed, those that have come, and those that the client has counted since. Ascending. */
async function changedPositions(view: View, { triedModSeq, triedUid, away }: Context): Promise<readonly number[]> {
  const changed = await view.changedSince(triedModSeq, everything, true)
  const counted = triedUid >= 0xffffffff ? [] : view.positions([{ first: triedUid + 1, last: 0xffffffff }], true)
  const come: number[] = []
  const slice = new Slice()
  for (const position of view.positions(away, true)) {
    if (view.isHereAt(position)) come.push(position)
    if (slice.isOver()) await slice.next()
  }
  const others = [...come, ...counted]
  return others.length === 0 ? changed : [...new Set([...changed, ...others])].sort((a, b) => a - b)
}

/** `positions` ascend. */
async function rangesAt(view: View, positions: readonly number[]): Promise<readonly UidRange[]> {
  const ranges: { first: Uid; last: Uid }[] = []
  const slice = new Slice()
  for (const position of positions) {
    const uid = view.uidAt(position)
    const before = ranges.at(-1)
    if (before?.last === uid - 1) before.last = uid
    else ranges.push({ first: uid, last: uid })
    if (slice.isOver()) await slice.next()
  }
  return ranges
}

/** With UIDs for sequence numbers and for what was saved. RFC 5267 §4.3 */
function asOfNow(key: SearchKey, view: View): SearchKey {
  switch (key.key) {
    case 'AND':
    case 'OR':
      return { key: key.key, keys: key.keys.map((inner) => asOfNow(inner, view)) }
    case 'NOT':
      return { key: 'NOT', child: asOfNow(key.child, view) }
    case 'INTHREAD':
      return { ...key, child: asOfNow(key.child, view) }
    case 'UID':
      return key.set === savedResult ? { key: 'UID', set: view.saved } : key
    case 'SEQUENCE': {
      if (key.set === savedResult) return { key: 'UID', set: view.saved }
      const runs = resolveSequenceNumbers(key.set, view.exists)
      return {
        key: 'UID',
        set: runs.map(({ start, end }) => ({ first: view.uidAt(start), last: view.uidAt(end - 1) })),
      }
    }
    default:
      return key
  }
}
