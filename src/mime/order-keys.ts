/** What messages are ordered and threaded by, taken from their summaries. RFC 5256 §2, §3; RFC 5957 §3 */

import { baseSubject } from './base-subject.ts'
import { sentTime } from './date.ts'
import { decodeEncodedWords } from './encoded-word.ts'
import { fieldValue } from './header.ts'
import { messageIds } from './message-id.ts'
import type { Address, MessageSummary } from './types.ts'
import { unicodeCasemap } from './unicode-casemap.ts'

/**
 * The texts of a message's keys. Those that people read are prepared by i;unicode-casemap, so that their octets in UTF-8 order them; '' where the field
 * is missing. `messageId` and `references` are octets in latin1; the references stand one behind another with NUL between them.
 */
export const keyTexts = ['subject', 'from', 'to', 'cc', 'displayFrom', 'displayTo', 'messageId', 'references'] as const

export type KeyText = (typeof keyTexts)[number]

export interface OrderKeys {
  readonly texts: Readonly<Record<KeyText, string>>
  /** Whole seconds since 1970; undefined without a legible Date. */
  readonly sentAt: number | undefined
  /** Its subject says that it is a reply or forwarded. */
  readonly isReply: boolean
}

/** Of a message; the last ones, since a reply names its parent last. */
const maxReferences = 1000
/** Of one text, in characters: what differs only behind is equal. */
const maxText = 2000

export function orderKeys(summary: MessageSummary): OrderKeys {
  const envelope = summary.root.envelope
  const subject = baseSubject(decodeEncodedWords(envelope?.subject ?? '').slice(0, maxText))
  const { value: messageId = '' } = messageIds(envelope?.messageId ?? '').next()
  return {
    texts: {
      subject: prepared(subject.text),
      from: mailbox(envelope?.from),
      to: mailbox(envelope?.to),
      cc: mailbox(envelope?.cc),
      displayFrom: display(envelope?.from),
      displayTo: display(envelope?.to),
      messageId: messageId.slice(0, maxText),
      references: references(summary).join('\0'),
    },
    sentAt: envelope?.date === undefined ? undefined : sentTime(envelope.date),
    isReply: subject.isReply,
  }
}

const prepared = (text: string): string => unicodeCasemap(text.slice(0, maxText))

/** The addr-mailbox of the first address. */
const mailbox = (addresses: readonly Address[] | undefined): string =>
  prepared(decodeEncodedWords(addresses?.[0]?.mailbox ?? ''))

/** The name of the first address, without one the address. */
function display(addresses: readonly Address[] | undefined): string {
  const first = addresses?.[0]
  const name = decodeEncodedWords(first?.name ?? '')
  if (name !== '') return prepared(name)
  return prepared(first?.host === undefined ? (first?.mailbox ?? '') : `${first.mailbox}@${first.host}`)
}

function references({ root, fields }: MessageSummary): string[] {
  const field = fields.findLast(([name]) => name === 'references')
  const ids = field === undefined ? [] : [...messageIds(fieldValue({ name: field[0], raw: field[1] }))]
  if (ids.length === 0) ids.push(...messageIds(root.envelope?.inReplyTo ?? '').take(1))
  return ids.slice(-maxReferences).map((id) => id.slice(0, maxText))
}
