/**
 * What a copy has in the place of an origin, until a backend gives it one: where the message that it was made of came from, so that a copy can be
 * made there as well and nothing has to be sent. Unlike an origin it is not remembered when the message leaves.
 *
 *     copy:<id of the mailbox>/<origin in that mailbox>;<unique name>
 */
import type { MailboxId } from '../base/ids.ts'
import { uniqueName } from './unique.ts'

export interface CopySource {
  readonly mailboxId: MailboxId
  readonly origin: string
}

const scheme = 'copy:'

/** `origin`: of the message that is copied out of the mailbox. A copy of a copy names the first one; of what has no origin nothing is known. */
export function originOfCopy(mailboxId: MailboxId, origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined
  const source = copySource(origin) ?? { mailboxId, origin }
  return `${scheme}${source.mailboxId}/${source.origin};${uniqueName()}`
}

/** Undefined for the origin of a message that came from somewhere. */
export function copySource(origin: string): CopySource | undefined {
  if (!isCopy(origin)) return undefined
  const slash = origin.indexOf('/')
  const mailboxId = origin.slice(scheme.length, slash) as MailboxId
  return { mailboxId, origin: origin.slice(slash + 1, origin.lastIndexOf(';')) }
}

export const isCopy = (origin: string): boolean => origin.startsWith(scheme)
