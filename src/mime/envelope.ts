/** The ENVELOPE of a message's header. RFC 9051 §7.5.2 */

import { mimeLimits } from '../base/limits.ts'
import { parseAddresses } from './address.ts'
import { type Field, fieldValue, singleSpaced } from './header.ts'
import type { Address, Envelope } from './types.ts'

/**
 * Of a text field that is there more than once the last one counts; those of addresses are joined (RFC 5322 §4.5.3). At most
 * `addressRoom` addresses, and of one kind of field `mimeLimits.addresses`.
 */
export function readEnvelope(fields: readonly Field[], addressRoom: number): Envelope {
  let date: string | undefined
  let subject: string | undefined
  let inReplyTo: string | undefined
  let messageId: string | undefined
  const lists = new Map<string, Address[]>()
  let room = addressRoom
  for (const field of fields) {
    switch (field.name) {
      case 'date':
        date = fieldValue(field)
        break
      case 'subject':
        subject = singleSpaced(fieldValue(field))
        break
      case 'in-reply-to':
        inReplyTo = fieldValue(field)
        break
      case 'message-id':
        messageId = fieldValue(field)
        break
      case 'from':
      case 'sender':
      case 'reply-to':
      case 'to':
      case 'cc':
      case 'bcc':
        room -= addAddresses(lists, field, room)
    }
  }
  const from = lists.get('from')
  return {
    date,
    subject,
    from,
    sender: lists.get('sender') ?? from,
    replyTo: lists.get('reply-to') ?? from,
    to: lists.get('to'),
    cc: lists.get('cc'),
    bcc: lists.get('bcc'),
    inReplyTo,
    messageId,
  }
}

/** The addresses of an envelope, repeated ones (a missing Sender, say) counted once. */
export function countAddresses({ from, sender, replyTo, to, cc, bcc }: Envelope): number {
  let count = 0
  for (const list of new Set([from, sender, replyTo, to, cc, bcc])) count += list?.length ?? 0
  return count
}

/** Answers how many were added. */
function addAddresses(lists: Map<string, Address[]>, field: Field, room: number): number {
  const before = lists.get(field.name)
  const atMost = Math.min(room, mimeLimits.addresses - (before?.length ?? 0))
  const addresses = atMost > 0 ? parseAddresses(fieldValue(field), atMost) : undefined
  if (addresses === undefined) return 0
  if (before === undefined) lists.set(field.name, addresses)
  else for (const address of addresses) before.push(address)
  return addresses.length
}
