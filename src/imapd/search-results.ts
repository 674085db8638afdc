/** What a searching command tells of its results, and keeps of them. RFC 4731 §3.1, §3.2, RFC 5182 §2.4, RFC 9394 §3.2 */

import type { ModSeq } from '../base/ids.ts'
import { formatSearch } from '../proto/imap/search.ts'
import { formatEsearch, partOf, type ReturnOptions } from '../proto/imap/search-return.ts'
import type { SequenceSet } from '../proto/imap/sequence-set.ts'
import type { Form } from './command.ts'
import type { Followed, Results } from './contexts.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'
import { Slice } from './slice.ts'
import type { View } from './view.ts'

/** Writes pieces of a response as fast as the client reads, and lets everybody else run in between. */
export async function writePieces({ output }: Pick<Session, 'output'>, pieces: Iterable<string>): Promise<void> {
  const slice = new Slice(1)
  for (const piece of pieces) {
    output.write(piece)
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
}

/** A result that could not be kept is empty, but for what is BAD. RFC 5182 §2.1 */
export async function forgettingOnFailure(
  session: Session,
  returned: ReturnOptions | undefined,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    const isBad = error instanceof Refusal && error.status === 'BAD'
    if (returned?.words.has('SAVE') === true && !isBad) session.view.saved = []
    throw error
  }
}

/**
 * Answers and keeps what the client asked for: all of them by the response `word`, unless it named RETURN options. `positions`: in the order of the results, which is
 * the mailbox's or that of a SORT. `withModSeq`: a MODSEQ was searched for.
 */
export async function giveResults(
  session: Session,
  word: 'SEARCH' | 'SORT',
  { tag, uid }: Pick<Form, 'tag' | 'uid'>,
  returned: ReturnOptions | undefined,
  positions: readonly number[],
  withModSeq: boolean,
): Promise<void> {
  const { view } = session
  const numberAt = (position: number) => (uid ? view.uidAt(position) : position + 1)
  if (returned === undefined) {
    const modSeq = withModSeq ? highestModSeq(view, positions) : undefined
    return await writePieces(session, formatSearch(word, positions.values().map(numberAt), modSeq))
  }
  const { words, partial } = returned
  const [min, max] = [words.has('MIN') ? positions[0] : undefined, words.has('MAX') ? positions.at(-1) : undefined]
  const part = partial && partOf(positions, partial)
  if (words.has('SAVE')) {
    const isWhole = words.has('ALL') || words.has('COUNT') || !(words.has('MIN') || words.has('MAX') || partial)
    const kept = isWhole ? positions : [...(part ?? []), min, max].filter((position) => position !== undefined)
    view.saved = await uidsOf(view, kept)
  }
  if (partial === undefined && !tellsOf.some((word) => words.has(word))) return
  const data = {
    min: min === undefined ? undefined : numberAt(min),
    max: max === undefined ? undefined : numberAt(max),
    count: words.has('COUNT') ? positions.length : undefined,
    all: words.has('ALL') && positions.length > 0 ? positions.values().map(numberAt) : undefined,
    modSeq: withModSeq ? highestModSeq(view, toldOf(words, positions, part)) : undefined,
    partial: partial && part && { range: partial, numbers: part.values().map(numberAt) },
  }
  await writePieces(session, formatEsearch(tag, uid, data))
}

/** With none of these there is nothing to tell. RFC 5182 §1 */
const tellsOf = ['ALL', 'COUNT', 'MAX', 'MIN'] as const

/** Those that the answer speaks of. */
function toldOf(
  words: ReturnOptions['words'],
  positions: readonly number[],
  part: readonly number[] | undefined,
): readonly number[] {
  if (words.has('ALL') || words.has('COUNT')) return positions
  const ends = [words.has('MIN') ? positions.slice(0, 1) : [], words.has('MAX') ? positions.slice(-1) : []]
  return [...(part ?? []), ...ends.flat()]
}

/** Of these messages; undefined for none. RFC 7162 §3.1.6 */
export function highestModSeq(view: View, positions: readonly number[]): ModSeq | undefined {
  let highest: ModSeq | undefined
  for (const position of positions) {
    const modSeq = view.modSeqAt(position)
    if (highest === undefined || modSeq > highest) highest = modSeq
  }
  return highest
}

/** Messages that stand side by side are one range, whatever UIDs are free between them: no message gets one of those any more. */
async function uidsOf(view: View, positions: readonly number[]): Promise<SequenceSet> {
  const set: { first: number; last: number }[] = []
  const slice = new Slice()
  let before = -2
  for (const position of positions.toSorted((a, b) => a - b)) {
    const uid = view.uidAt(position)
    if (position > before + 1) set.push({ first: uid, last: uid })
    else set.at(-1)!.last = uid
    before = position
    if (slice.isOver()) await slice.next()
  }
  return set
}

/** The result may be incomplete as long as a migration goes on; asking again later is all that a client can do. */
export const notLookedInto = (messages: number): string =>
  messages === 1
    ? '1 message has not come from the old server yet and was not looked into'
    : `${messages} messages have not come from the old server yet and were not looked into`

const updates = (returned: ReturnOptions | undefined): boolean => returned?.words.has('UPDATE') === true

/** Throws Refusal. RFC 5267 §4.3 */
export function requireNewTag({ view }: Session, returned: ReturnOptions | undefined, tag: string): void {
  if (updates(returned) && view.contexts.has(tag))
    throw new Refusal('BAD', undefined, 'Tag of a search whose results are still updated')
}

/** From now on the client is told of changes, if it asked for that and there is room; without it the search is answered all the same. RFC 5267 §4.3.1 */
export async function follow(
  session: Session,
  form: Form,
  returned: ReturnOptions | undefined,
  followed: Followed,
  results: Results,
): Promise<void> {
  const asked = { ...followed, items: returned?.items }
  if (updates(returned) && !(await session.view.contexts.add(session, form, asked, results)))
    session.untagged('NO', 'Results are not updated', `NOUPDATE "${form.tag}"`)
}
