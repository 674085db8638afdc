/**
 * What the sender of a redirected message is told when it could not be sent on: a report for people and for programs, with the message, or with its header
 * when it is long. RFC 3462, RFC 3464
 */
import { randomUUID } from 'node:crypto'
import { compose, named, typed } from './compose.ts'
import type { Entry } from './spool.ts'

export interface ReportParts {
  /** What the submission server said. */
  readonly reply: string
  readonly domain: string
  readonly now: Date
}

/** A message is returned whole up to here. */
const wholeOctets = 50_000
/** Of a header. */
const headerOctets = 131_072

export async function undeliverableReport(
  { recipient, createdMs, sender }: Entry,
  chunks: AsyncIterable<Uint8Array>,
  { reply, domain, now }: ReportParts,
): Promise<Buffer> {
  const { octets, isWhole } = await beginningOf(chunks)
  const end = octets.indexOf('\r\n\r\n')
  const header = octets.subarray(0, end < 0 ? octets.length : end + 2)
  const returned = isWhole
    ? { type: 'message/rfc822', content: octets }
    : { type: 'text/rfc822-headers', content: header }
  const status = /\b5\.\d{1,3}\.\d{1,3}\b/.exec(reply)?.[0] ?? (/^5/.test(reply) ? '5.0.0' : '4.4.7')
  return compose({
    fields: [
      ['From', named('Mail Delivery System', `MAILER-DAEMON@${domain}`)],
      ['To', sender],
      ['Subject', 'Undelivered mail returned to sender'],
      ['Auto-Submitted', 'auto-replied'],
    ],
    date: now,
    messageId: `${randomUUID()}@${domain}`,
    body: {
      type: 'multipart/report; report-type=delivery-status',
      parts: [
        {
          type: 'text/plain; charset=utf-8',
          content: `Your message was to be sent on to\r\n\r\n  ${recipient}\r\n\r\nThat is not possible:\r\n\r\n  ${reply}\r\n`,
        },
        {
          type: 'message/delivery-status',
          content: [
            `Reporting-MTA: dns; ${domain}`,
            `Arrival-Date: ${dateOf(new Date(createdMs))}`,
            '',
            `Final-Recipient: ${typed(recipient)}`,
            'Action: failed',
            `Status: ${status}`,
            `Diagnostic-Code: smtp; ${reply.replace(/[^\x20-\x7e]+/g, '?')}`,
            '',
          ].join('\r\n'),
        },
        returned,
      ],
    },
  })
}

/** RFC 5322 §3.3 */
const dateOf = (date: Date): string => date.toUTCString().replace('GMT', '+0000')

async function beginningOf(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly octets: Buffer; readonly isWhole: boolean }> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of chunks) {
    pieces.push(piece)
    length += piece.length
    if (length > headerOctets) break
  }
  return { octets: Buffer.concat(pieces), isWhole: length <= wholeOctets }
}
