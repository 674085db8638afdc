/** Untagged responses that tell what happened in the selected mailbox. RFC 3501 §7.2.6, §7.3, §7.4 */

import { formatFlagList } from '../proto/imap/flags.ts'
import { formatNumbered, formatStatusResponse } from '../proto/imap/response.ts'
import type { Output } from '../server/output.ts'
import type { Flag } from '../store/types.ts'
import { Slice } from './slice.ts'
import type { View } from './view.ts'

export const systemFlags: readonly Flag[] = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft']

/**
 * Writes all that the client doesn't know yet, as fast as it reads. The view stands still meanwhile, whatever happens to the mailbox:
 * only its own session, which waits here, moves it. EXPUNGE only with `mayExpunge`. `withUid` adds UID to FETCH responses.
 */
export async function announce(view: View, output: Output, mayExpunge: boolean, withUid: boolean): Promise<void> {
  const news = await view.announcements(mayExpunge)
  const slice = new Slice()
  for (const number of news.expunged) {
    output.write(formatNumbered(number, 'EXPUNGE'))
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
  if (news.exists !== undefined) output.write(formatNumbered(news.exists, 'EXISTS'))
  if (news.recent !== undefined) output.write(formatNumbered(news.recent, 'RECENT'))
  if (news.flagLists) writeFlagLists(view, output)
  const text = new FlagText(view)
  for (const position of news.flags) {
    const uidItem = withUid ? `UID ${view.uidAt(position)} ` : ''
    output.write(`* ${position + 1} FETCH (${uidItem}FLAGS ${text.of(position)})\r\n`)
    await output.flow()
    if (slice.isOver()) await slice.next()
  }
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
    if (this.#view.isRecent(this.#view.uidAt(position))) return formatFlagList([...flags, '\\Recent'])
    let text = this.#texts.get(flags)
    if (text === undefined) {
      text = formatFlagList(flags)
      this.#texts.set(flags, text)
    }
    return text
  }
}
