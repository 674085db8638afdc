/** What a client of IMAP4rev2 is told of a mailbox that it named. RFC 9051 §6.3.2, §6.3.9.7 */

import { formatListLine } from '../proto/imap/list.ts'
import { listing } from './listing.ts'
import type { Session } from './session.ts'

/** The mailbox itself, with the name that the client gave it when that is another form of the same. */
export async function tellNamed(session: Session, given: string, name: string): Promise<void> {
  const args = { reference: '', patterns: [name], isExtended: true, criteria: [], recursive: false }
  const returns = { subscribed: true, myRights: false, status: undefined }
  // Whoever may read another's mailbox need not see it in a list.
  let attributes: readonly string[] = []
  // A name may have wildcards in it.
  for await (const listed of listing(session, { ...args, returns }))
    if (listed.name === name) attributes = listed.attributes
  session.output.write(formatListLine(session.spelling, 'LIST', attributes, name, { oldName: oldName(given, name) }))
}

/** A name that was made, went or changed, where the client gave another form of it. `given`: as the mailbox is called by the client from before. */
export function tellNormalised(session: Session, attributes: readonly string[], given: string, name: string): void {
  const normal = name.normalize('NFC')
  if (!session.isRev2 || (normal === name && given.normalize('NFC') === given)) return
  session.output.write(formatListLine(session.spelling, 'LIST', attributes, normal, { oldName: given }))
}

const oldName = (given: string, name: string): string | undefined =>
  given !== name && given.normalize('NFC') === name ? given : undefined
