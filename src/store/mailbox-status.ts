import type { Uid } from '../base/ids.ts'
import type { StoredMessages } from './message-list.ts'
import type { Mailbox, MailboxStatus } from './types.ts'

/** What STATUS tells of a mailbox. */
export function statusOf(
  mailbox: Pick<Mailbox, 'recentAfter' | 'uidNext' | 'uidValidity' | 'highestModSeq' | 'id'>,
  messages: StoredMessages,
): MailboxStatus {
  const { recentAfter, uidNext, uidValidity, highestModSeq, id: mailboxId } = mailbox
  const { unseen, deleted, sizeOctets } = messages.totals()
  const recent = messages.length - messages.positionOf((recentAfter + 1) as Uid)
  return {
    ...{ messages: messages.length, recent, unseen, deleted, sizeOctets },
    ...{ uidNext, uidValidity, highestModSeq, mailboxId },
  }
}
