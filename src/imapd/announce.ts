/** Untagged responses that tell what happened in the selected mailbox. RFC 3501 §7.2.6, §7.3, §7.4; RFC 7162 */

import { distinctItems, type FetchItem } from '../proto/imap/fetch.ts'
import { formatFlagList } from '../proto/imap/flags.ts'
import { formatNumbered, formatStatusResponse } from '../proto/imap/response.ts'
import { formatVanished } from '../proto/imap/vanished.ts'
import type { Output } from '../server/output.ts'
import type { Flag } from '../store/types.ts'
import { joinRanges } from '../store/uid-set.ts'
import type { SelectedInterest } from './notify/interest.ts'
import type { Searching } from './search.ts'
import type { Session } from './session.ts'
import { Slice } from './slice.ts'
import type { Announcements, Expunged, View } from './view.ts'

export const systemFlags: readonly Flag[] = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft']

type Told = Pick<SelectedInterest, 'messages' | 'flags' | 'items'>

export interface Manner {
  /** Whether EXPUNGE and VANISHED may be told. */
  readonly mayExpunge: boolean
  /** Adds UID to FETCH responses. */
  readonly withUid: boolean
  /** What the client asked for by NOTIFY; undefined: everything, as before it. RFC 5465 §3.1 */
  readonly interest?: Told | undefined
}

/** The client is told of all that happens. */
const everything: Told = { messages: true, flags: true, items: [] }

/**
 * Writes all that the client doesn't know yet, as fast as it reads. The view stands still meanwhile, whatever happens to the mailbox:
 * only its own session, which waits here, moves it.
 */
export async function announce(
  session: Searching & Pick<Session, 'enabled' | 'tellItems'>,
  { mayExpunge, withUid, interest = everything }: Manner,
): Promise<void> {
  const { view, output, enabled } = session
  const withModSeqs = enabled.has('CONDSTORE')
  const wasBehind = view.isBehind
  const { messages: arrivals, flags: changes, items } = interest
  const news = await view.announcements({ mayExpunge, withModSeqs, arrivals, changes })
  const slice = new Slice()
  await view.contexts.tellExpunged(session, news.expunged)
  if (enabled.has('QRESYNC')) await writeVanished(news.expunged, output)
  else
    for (const { number } of news.expunged) {
      output.write(formatNumbered(number, 'EXPUNGE'))
      await output.flow()
      if (slice.isOver()) await slice.next()
    }
  if (news.exists !== undefined) output.write(formatNumbered(news.exists, 'EXISTS'))
  if (news.recent !== undefined && view.tellsRecent) output.write(formatNumbered(news.recent, 'RECENT'))
  if (news.flagLists) writeFlagLists(view, output)
  const text = new FlagText(view)
  for (const position of news.flags) {
    // RFC 7162 §3.2.4
    const uidItem = withUid || withModSeqs ? `UID ${view.uidAt(position)} ` : ''
    const modSeqItem = withModSeqs ? ` MODSEQ (${view.modSeqAt(position)})` : ''
    output.write(`* ${position + 1} FETCH (${uidItem}FLAGS ${text.of(position)}${modSeqItem})\r\n`)
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
  for (const position of news.modSeqs) {
    output.write(`* ${position + 1} FETCH (UID ${view.uidAt(position)} MODSEQ (${view.modSeqAt(position)}))\r\n`)
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
  const fresh = new Fresh(session, news, items)
  await view.contexts.tellChanged(session, fresh)
  await fresh.tellRest()
  // So that the client takes no MODSEQ of a FETCH for the state that it knows, nor lags behind for good. RFC 7162 §3.2, §6
  if (withModSeqs && (view.isBehind || wasBehind || news.expunged.length > 0)) writeHighestModSeq(view, output)
}

/** Messages that the client has just been told of, and what it wants to know of each, once. RFC 5465 §5.2, §7 */
export class Fresh {
  readonly #session: Pick<Session, 'view' | 'tellItems'>
  readonly #items: readonly FetchItem[]
  #left: readonly number[]

  constructor(
    session: Pick<Session, 'view' | 'tellItems'>,
    { exists, before }: Pick<Announcements, 'exists' | 'before'>,
    items: readonly FetchItem[],
  ) {
    this.#session = session
    this.#items = items
    const { view } = session
    const all = exists === undefined ? [] : Array.from({ length: exists - before }, (_, index) => before + index)
    this.#left = all.filter((position) => !view.putItself(view.uidAt(position)))
    view.forgetPutItself()
  }

  /** Those of them that are among these, which a search found. Ascending. */
  async tell(positions: readonly number[], items: readonly FetchItem[]): Promise<void> {
    if (items.length === 0 || this.#left.length === 0) return
    const found = new Set(positions)
    const told = this.#left.filter((position) => found.has(position))
    this.#left = this.#left.filter((position) => !found.has(position))
    await this.#session.tellItems(told, distinctItems([...items, ...this.#items]))
  }

  async tellRest(): Promise<void> {
    if (this.#items.length > 0) await this.#session.tellItems(this.#left, this.#items)
  }
}

/** UIDs of messages that the client counted. RFC 7162 §3.2.10.2 */
async function writeVanished(expunged: readonly Expunged[], output: Output): Promise<void> {
  const ranges = expunged.toReversed().map(({ uid }) => ({ first: uid, last: uid }))
  for (const response of formatVanished(joinRanges(ranges), false)) {
    output.write(response)
    await output.flow()
  }
}

/** How far the client knows all of the mailbox. RFC 7162 §3.1.2.1 */
export function writeHighestModSeq(view: View, output: Output): void {
  output.write(formatStatusResponse(undefined, 'OK', 'Highest', highestModSeqCode(view)))
}

export function highestModSeqCode(view: View): string {
  return `HIGHESTMODSEQ ${view.completeModSeq}`
}

/** FLAGS and PERMANENTFLAGS of a mailbox. RFC 3501 §7.2.6, §7.1 */
export function writeFlagLists(view: View, output: Output): void {
  const flags = [...systemFlags, ...view.mailbox.keywords]
  output.write(`* FLAGS ${formatFlagList(flags)}\r\n`)
  const permanent = [...flags, '\\*'].filter((flag) => view.mayChange(flag))
  output.write(
    formatStatusResponse(undefined, 'OK', 'Flags that are kept', `PERMANENTFLAGS ${formatFlagList(permanent)}`),
  )
}

/** Flag lists of messages; those with equal sets are made once. */
export class FlagText {
  readonly #view: View
  readonly #texts = new Map<ReadonlySet<Flag>, string>()

  constructor(view: View) {
    this.#view = view
  }

  /** "(\Seen \Recent)" of the message at `position`. */
  of(position: number): string {
    const flags = this.#view.flagsAt(position)
    if (this.#view.tellsRecent && this.#view.isRecent(this.#view.uidAt(position)))
      return formatFlagList([...flags, '\\Recent'])
    let text = this.#texts.get(flags)
    if (text === undefined) {
      text = formatFlagList(flags)
      this.#texts.set(flags, text)
    }
    return text
  }
}
