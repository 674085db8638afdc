/** What tells a sender that his message was refused where that can't be said in the protocol: a disposition notification. RFC 5429 §2.1.2, RFC 3798 */
import type { RunningMessage } from '../../sieve/message.ts'
import { compose, typed } from '../../submission/compose.ts'
import { type Desk, isAutomatic, messageIdOf, threading } from './letter.ts'

/** Whether there is somebody to be told. */
export const mayBeTold = (message: RunningMessage): boolean => message.envelope.from !== '' && !isAutomatic(message)

export async function rejection(
  reason: string,
  message: RunningMessage,
  address: string,
  { now, domain, messageId }: Desk,
): Promise<Buffer> {
  const { envelope } = message
  const id = messageIdOf(message)
  return compose({
    fields: [
      ['From', `Mail Delivery System <MAILER-DAEMON@${domain}>`],
      ['To', envelope.from],
      ['Subject', 'Your message was rejected'],
      ...threading(message),
      ['Auto-Submitted', 'auto-replied (rejected)'],
    ],
    date: now,
    messageId,
    body: {
      type: 'multipart/report; report-type=disposition-notification',
      parts: [
        {
          type: 'text/plain; charset=utf-8',
          content: `Your message to <${envelope.to}> was rejected automatically. The reason given was:\r\n\r\n${reason.toWellFormed()}\r\n`,
        },
        {
          type: 'message/disposition-notification',
          content: [
            `Reporting-UA: ${domain}; Wherry`,
            ...(envelope.to === '' ? [] : [`Original-Recipient: ${typed(envelope.to)}`]),
            `Final-Recipient: ${typed(address)}`,
            ...(id === undefined ? [] : [`Original-Message-ID: <${id}>`]),
            'Disposition: automatic-action/MDN-sent-automatically; deleted',
            '',
          ].join('\r\n'),
        },
        { type: 'text/rfc822-headers', content: Buffer.from(headerOf(message), 'latin1') },
      ],
    },
  })
}

/** As it came, but for a CR of its own, which ends a line for some. */
const headerOf = (message: RunningMessage): string =>
  message.fields.map(({ raw }) => raw.replace(/\r(?!\n)/g, ' ')).join('')

/** One that stands in a reply of a protocol without other characters. */
export function inAscii(reason: string): string {
  return reason
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^\x20-\x7e\r\n\t]/gu, '?')
}
