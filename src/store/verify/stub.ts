/** What clients get in the place of a message whose file is damaged. docs/decisions/0110-a-damaged-message-is-replaced.md */

import type { Mailbox, MessageRecord } from '../types.ts'
import { randomId } from '../unique.ts'

/** Dates that a header can tell: RFC 5322 has four digits for a year. */
const maxDateSeconds = 253_402_300_799

export interface Stub {
  readonly record: MessageRecord
  readonly mailbox: string
  /** How it is damaged: a sentence without its subject. */
  readonly damage: string
  /** Where what is left of the file is, below the account's directory; undefined when nothing is. */
  readonly kept: string | undefined
  /** Milliseconds since 1970. */
  readonly now: number
}

/** UTF-8, lines end in CRLF. */
export function stubText({ record, mailbox, damage, kept, now }: Stub): string {
  const { internalDate } = record
  const dated = internalDate >= 0 && internalDate <= maxDateSeconds ? internalDate * 1000 : now
  const lines = [
    `Date: ${mailDate(dated)}`,
    'From: Mail store <postmaster@localhost>',
    'Subject: A message was damaged in the mail store',
    `Message-ID: <${randomId()}@localhost>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    'Auto-Submitted: auto-generated',
    '',
    'The message that was in this place is damaged on the disk of the mail server.',
    `Its file ${damage}.`,
    '',
    `Mailbox: ${mailbox}`,
    `UID: ${record.uid}`,
    `Arrived: ${mailDate(dated)}`,
    `Size: ${record.sizeOctets} octets`,
    `SHA-256: ${Buffer.from(record.digest, 'base64url').toString('hex')}`,
    ...(record.origin === undefined ? [] : [`Origin: ${record.origin.replace(/[\r\n]/g, ' ')}`]),
    `Found: ${mailDate(now)}`,
    '',
    kept === undefined
      ? 'Nothing is left of it here.'
      : 'What is left of it is kept; your administrator finds it in the directory of this account, under',
    ...(kept === undefined ? [] : [`  ${kept}`]),
    'A copy on another server, if there is one, was not touched. This notice can be deleted.',
  ]
  return `${lines.join('\r\n')}\r\n`
}

/** RFC 5322 §3.3, in UTC. */
function mailDate(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000')
}

/**
 * Delivers the stub and expunges the message, in this order: a crash between leaves one notice too many, never one too few. The stub has no
 * origin, so that nothing done to it reaches a backend; the message leaves as if pushed out of the window, so that a backend that still
 * has it is asked for it again and never told to delete it.
 */
export async function replaceByStub(open: Mailbox, stub: Stub): Promise<void> {
  const { uid, internalDate, flags } = stub.record
  {
    await using delivery = open.deliver()
    const sink = delivery.add({ internalDate, flags })
    await sink.write(Buffer.from(stubText(stub)))
    await sink.end()
    await delivery.commit()
  }
  await open.expunge([uid], 'window')
}
