/** Messages that ms_syncd had fetched and submitted (`mark.ts`) go to where they were fetched for, once. GW-23 */
import type { Clock } from '../base/clock.ts'
import type { MailboxId } from '../base/ids.ts'
import type { Account, NewMessage } from '../store/types.ts'
import { findMarkKey, markFieldName, readMark } from './mark.ts'
import type { Placing } from './types.ts'

/** Longer than mail servers keep trying: a message that comes back later has been sent on by somebody, and is a new one. RFC 5321 §4.5.4.1 */
const repeatedWithinSeconds = 14 * 86_400

export interface Injected {
  readonly placing: Placing
  readonly message: NewMessage
  /** It is a message submitted twice; the mailbox has, or had, the other one. */
  readonly isRepeated: boolean
}

/** Undefined for a message without a mark of the account. */
export async function findInjected(account: Account, header: Buffer, clock: Clock): Promise<Injected | undefined> {
  if (!header.toString('latin1').toLowerCase().includes(markFieldName.toLowerCase())) return undefined
  const key = await findMarkKey(account)
  const found = key === undefined ? undefined : readMark(header, key)
  if (found === undefined) return undefined
  const { mailboxId, origin, uidl, internalDate, flags, submittedAt } = found.mark
  const named = await nameOf(account, mailboxId)
  await using mailbox = await account.open(named ?? 'INBOX')
  const isPlace = mailbox.id === mailboxId
  const isKnown = isPlace && mailbox.byOrigin(origin) !== undefined
  // In another mailbox the origin would be that of another message: what an IMAP backend does not have there is expunged.
  const origins = isPlace && !isKnown ? { origin, ...(uidl === undefined ? {} : { uidl }) } : {}
  return {
    placing: { mailbox: mailbox.name, flags, create: false, header: found.rest },
    message: { internalDate, ...origins },
    isRepeated: isKnown && Math.floor(clock.now() / 1_000) - submittedAt < repeatedWithinSeconds,
  }
}

/** Also under another name by now; undefined when it is gone. */
async function nameOf(account: Account, id: MailboxId): Promise<string | undefined> {
  for (const { name, selectable } of await account.list())
    if (selectable && (await account.status(name)).mailboxId === id) return name
  return undefined
}
