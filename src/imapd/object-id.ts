/** Object identifiers as clients see them, RFC 8474: a letter for each kind before what the store knows. §8.1 */

import type { MailboxId } from '../base/ids.ts'
import type { MessageRecord } from '../store/types.ts'

/** Of a mailbox: the one that it was made with, whatever it is called since. §4 */
export const mailboxObjectId = (id: MailboxId): string => `F${id}`

/**
 * Of a message that is here: what never changes of it, its octets and its INTERNALDATE. So a copy has that of its message, wherever it is, and nothing has to be
 * kept. §5.1
 */
export const emailObjectId = ({ digest, internalDate }: MessageRecord): string =>
  `M${digest}${internalDate.toString(36)}`

/** The INTERNALDATE of the messages that can have this EMAILID; undefined for what is none. */
export function internalDateIn(emailId: string): number | undefined {
  const date = /^M[\w-]{43}(-?[0-9a-z]{1,11})$/.exec(emailId)?.[1]
  return date === undefined ? undefined : Number.parseInt(date, 36)
}
