/** The ENVELOPE of a message's header. RFC 9051 §7.5.2 */

import { parseAddresses } from './address.ts'
import { type Field, fieldValue } from './header.ts'
import type { Address, Envelope } from './types.ts'

/** A field that is there more than once counts in its first place. */
export function readEnvelope(fields: readonly Field[]): Envelope {
  const values = new Map<string, string>()
  for (const field of fields)
    if (names.has(field.name) && !values.has(field.name)) values.set(field.name, fieldValue(field))
  const addresses = (name: string): readonly Address[] | undefined => {
    const value = values.get(name)
    return value === undefined ? undefined : parseAddresses(value)
  }
  const from = addresses('from')
  return {
    date: values.get('date'),
    subject: values.get('subject'),
    from,
    sender: addresses('sender') ?? from,
    replyTo: addresses('reply-to') ?? from,
    to: addresses('to'),
    cc: addresses('cc'),
    bcc: addresses('bcc'),
    inReplyTo: values.get('in-reply-to'),
    messageId: values.get('message-id'),
  }
}

const names: ReadonlySet<string> = new Set([
  'date',
  'subject',
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'in-reply-to',
  'message-id',
])
