/** The ENVELOPE of a message's header. RFC 9051 §7.5.2 */

import { mimeLimits } from '../base/limits.ts'
import { parseAddresses } from './address.ts'
import { type Field, fieldValue, singleSpaced } from './header.ts'
import type { Address, Envelope } from './types.ts'

/** Of a text field that is there more than once the last one counts; those of addresses are joined (RFC 5322 §4.5.3). */
export function readEnvelope(fields: readonly Field[]): Envelope {
  let date: string | undefined
  let subject: string | undefined
  let inReplyTo: string | undefined
  let messageId: string | undefined
  const lists = new Map<string, readonly Address[]>()
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
        addAddresses(lists, field)
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

function addAddresses(lists: Map<string, readonly Address[]>, field: Field): void {
  const before = lists.get(field.name)
  const room = mimeLimits.addresses - (before?.length ?? 0)
  const addresses = room > 0 ? parseAddresses(fieldValue(field), room) : undefined
  if (addresses !== undefined) lists.set(field.name, before === undefined ? addresses : [...before, ...addresses])
}
