/** Answers imapd's and pop3d's question for messages that are announced and have not come: src/server/announced-mail.ts. */
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { MailboxId, Uid, UserId } from '#src/base/ids.ts'
import type { Json } from '#src/events/types.ts'
import { type BringRequest, uidsAtOnce } from '#src/server/announced-mail.ts'
import type { Gateway } from './gateway.ts'

export const isBringRequest = (request: Json): request is BringRequest => {
  const { type, userId, mailbox, mailboxId, uids } = (request ?? {}) as Record<string, unknown>
  return (
    type === 'bring' &&
    [userId, mailbox, mailboxId].every((text) => typeof text === 'string') &&
    Array.isArray(uids) &&
    uids.length <= uidsAtOnce &&
    uids.every((uid) => Number.isInteger(uid) && uid > 0)
  )
}

/** A BringAnswer. */
export const bringAnswer = async (
  gateway: Gateway,
  { userId, mailbox, mailboxId, uids }: BringRequest,
): Promise<Json> => {
  try {
    const demand = { mailbox, mailboxId: mailboxId as MailboxId, uids: uids as readonly Uid[] }
    await gateway.bring(userId as UserId, demand)
    return { ok: true }
  } catch (error) {
    if (!(error instanceof AuthError) && !(error instanceof StoreError)) throw error
    const { message, cause } = error
    return { ok: false, reason: cause instanceof Error ? `${message}: ${cause.message}` : message }
  }
}
