/** What became of messages that a client knows from earlier on. RFC 7162 §3.2.5, §3.2.6 */

import type { ModSeq, Uid } from '../base/ids.ts'
import type { Resync } from '../proto/imap/select.ts'
import { type MessageSet, numbersOf, type SequenceSet, savedResult, star } from '../proto/imap/sequence-set.ts'
import { formatVanished } from '../proto/imap/vanished.ts'
import type { Output } from '../server/output.ts'
import type { UidRange } from '../store/types.ts'
import { joinRanges } from '../store/uid-set.ts'
import { FlagText } from './announce.ts'
import { Slice } from './slice.ts'
import type { View } from './view.ts'

/** Tells of a mailbox that was just selected what changed since the client saw it. Nothing, when it was another one. */
export async function tellChanges(view: View, resync: Resync, output: Output): Promise<void> {
  const { uidValidity, matches, knownUids = allUids } = resync
  if (uidValidity !== view.mailbox.uidValidity) return
  const modSeq = resync.modSeq as ModSeq
  const matchedUid = matches === undefined ? 0 : await lastMatch(view, matches)
  await writeVanishedEarlier(view, modSeq, knownUids, output, matchedUid)
  const text = new FlagText(view)
  const slice = new Slice()
  for (const position of await view.changedSince(modSeq, knownUids, true)) {
    const modSeqItem = `MODSEQ (${view.modSeqAt(position)})`
    output.write(`* ${position + 1} FETCH (UID ${view.uidAt(position)} FLAGS ${text.of(position)} ${modSeqItem})\r\n`)
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
}

/** UIDs of the set that left after `modSeq`, above `matchedUid`. */
export async function writeVanishedEarlier(
  view: View,
  modSeq: ModSeq,
  set: MessageSet,
  output: Output,
  matchedUid = 0,
): Promise<void> {
  const slice = new Slice()
  let gone: UidRange[] = []
  const write = async () => {
    for (const response of formatVanished(gone, true)) {
      output.write(response)
      await output.flow()
    }
    gone = []
  }
  for (const range of common(
    view.goneSince(modSeq),
    rangesOf(view, set === savedResult ? view.saved : set),
    matchedUid,
  )) {
    if (range !== undefined && gone.push(range) === toldTogether) await write()
    if (slice.isOver()) await slice.next()
  }
  await write()
}

/** Some kilobytes. */
const toldTogether = 1024

const allUids: SequenceSet = [{ first: 1, last: star }]

/** `*` stands for the last UID that was given: what had it may be gone. */
function rangesOf(view: View, set: SequenceSet): readonly UidRange[] {
  const last = view.mailbox.uidNext - 1
  const number = (value: number) => (value === star ? last : value)
  return joinRanges(
    set.map((range) => ({
      first: Math.min(number(range.first), number(range.last)) as Uid,
      last: Math.max(number(range.first), number(range.last)) as Uid,
    })),
  )
}

/** What both have, above `after`; undefined behind each of `some`, which can be half a million. Both ascend. */
function* common(
  some: Iterable<UidRange>,
  others: readonly UidRange[],
  after: number,
): Generator<UidRange | undefined, void> {
  let at = 0
  for (const { first, last } of some) {
    while (at < others.length && others[at]!.last < first) at++
    for (let next = at; next < others.length && others[next]!.first <= last; next++) {
      const low = Math.max(first, others[next]!.first, after + 1) as Uid
      const high = Math.min(last, others[next]!.last) as Uid
      if (low <= high) yield { first: low, last: high }
    }
    yield undefined
  }
}

/** The UID of the last message before which nothing left that the client does not know of; 0 where there is none. §3.2.5.2 */
async function lastMatch(view: View, { numbers, uids }: NonNullable<Resync['matches']>): Promise<number> {
  const known = numbersOf(uids)
  const slice = new Slice()
  let matched = 0
  for (const number of numbersOf(numbers)) {
    const uid = known.next().value
    if (uid === undefined || number > view.exists || view.uidAt(number - 1) !== uid) break
    matched = uid
    if (slice.isOver()) await slice.next()
  }
  return matched
}
