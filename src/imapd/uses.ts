/** What a user may say that a mailbox is used for. RFC 6154 §2, §3 */

import { Refusal } from './replies.ts'

/** \All and \Flagged are views of other mailboxes' messages: there are none here. */
const assignable = ['\\Archive', '\\Drafts', '\\Junk', '\\Sent', '\\Trash']

/** In the RFC's spelling. Throws Refusal for one that no mailbox can have here. */
export function assignableUses(given: readonly string[]): readonly string[] {
  const uses = given.map((use) => assignable.find((known) => known.toLowerCase() === use.toLowerCase()))
  if (uses.includes(undefined))
    throw new Refusal('NO', 'USEATTR', `A mailbox can be used here for ${assignable.join(', ')} only`)
  return [...new Set(uses as readonly string[])]
}
