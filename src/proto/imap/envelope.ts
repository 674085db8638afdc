/** The ENVELOPE item of FETCH on the wire. RFC 9051 §7.5.2, §9 rules envelope, address */

import type { Address, Envelope } from '../../mime/types.ts'
import { formatNstring } from './strings.ts'

/** Octets in latin1; may hold literals. */
export function formatEnvelope(envelope: Envelope): string {
  const { date, subject, from, sender, replyTo, to, cc, bcc, inReplyTo, messageId } = envelope
  const lists = [from, sender, replyTo, to, cc, bcc].map(formatAddresses).join(' ')
  return `(${formatNstring(date)} ${formatNstring(subject)} ${lists} ${formatNstring(inReplyTo)} ${formatNstring(messageId)})`
}

/** Addresses follow each other without a space: `"(" 1*address ")" / nil`. */
function formatAddresses(addresses: readonly Address[] | undefined): string {
  return addresses === undefined || addresses.length === 0 ? 'NIL' : `(${addresses.map(formatAddress).join('')})`
}

function formatAddress({ name, route, mailbox, host }: Address): string {
  return `(${formatNstring(name)} ${formatNstring(route)} ${formatNstring(mailbox)} ${formatNstring(host)})`
}
