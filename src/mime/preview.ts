/**
 * The beginning of what people read of a message, as one line of text. RFC 8970. Of text/plain and text/html, whichever comes first and says anything; attachments, messages in messages and what
 * is encrypted say nothing. Octets that are looked at are bounded.
 */

import { decodeCharset, decodeUnlabelled } from './charset.ts'
import { htmlText } from './html-text.ts'
import { findParameter } from './parameter.ts'
import { decodeTransfer } from './transfer.ts'
import type { Part } from './types.ts'

/** RFC 8970 §3.3 */
const previewChars = 200
/** Encoded octets that are read of a part: style sheets come before the text of HTML. */
const plainOctets = 8 * 1024
const htmlOctets = 128 * 1024
/** Parts that are looked into. */
const mostParts = 8

/** `read`: octets [start, end) of the message. Empty where there is nothing to tell. Throws what `read` throws. */
export async function previewOf(root: Part, read: (start: number, end: number) => Promise<Buffer>): Promise<string> {
  let looked = 0
  for (const part of textParts(root)) {
    if (++looked > mostParts) break
    const isHtml = part.subtype.toLowerCase() === 'html'
    const end = Math.min(part.end, part.bodyStart + (isHtml ? htmlOctets : plainOctets))
    const text = decoded(await read(part.bodyStart, end), part)
    const preview = oneLine(isHtml ? htmlText(text) : withoutQuotes(text))
    if (preview !== '') return preview
  }
  return ''
}

function* textParts(root: Part): Generator<Part, void, undefined> {
  const left = [root]
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    const type = part.type.toLowerCase()
    const subtype = part.subtype.toLowerCase()
    if (type === 'multipart' && subtype !== 'encrypted') left.push(...part.children.toReversed())
    const isRead = part.disposition?.type.toLowerCase() !== 'attachment'
    if (type === 'text' && (subtype === 'plain' || subtype === 'html') && isRead) yield part
  }
}

function decoded(octets: Buffer, { encoding, parameters }: Part): string {
  const body = decodeTransfer(octets, encoding)
  const charset = findParameter(parameters, 'charset')
  return (charset === undefined ? undefined : decodeCharset(body, charset)) ?? decodeUnlabelled(body)
}

/** What the others wrote before says less than what is new, unless there is nothing else. */
function withoutQuotes(text: string): string {
  const own = text
    .split('\n')
    .filter((line) => !line.startsWith('>'))
    .join('\n')
  return /\S/.test(own) ? own : text
}

function oneLine(text: string): string {
  // Senders fill the line that clients show with characters that have no width, after white space.
  const line = text.replace(/[\p{Cc}\p{Z}][\p{Cc}\p{Z}\p{Cf}]*/gu, ' ').trim()
  return [...line.slice(0, 2 * previewChars)].slice(0, previewChars).join('').toWellFormed().trimEnd()
}
