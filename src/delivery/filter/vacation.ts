/** The answer of `vacation`, and to whom there is none. RFC 5230 §4.5, §4.6, §5; RFC 3834 */
import { type Field, fieldValue, splitFields } from '../../mime/header.ts'
import { headerEnd } from '../../sieve/in-memory.ts'
import type { RunningMessage } from '../../sieve/message.ts'
import type { VacationAction } from '../../sieve/types.ts'
import { compose, foldable } from '../../submission/compose.ts'
import { type Desk, isAutomatic, subjectOf, threading } from './letter.ts'

export const defaultPeriodSeconds = 7 * 86_400

const listFields = ['id', 'help', 'subscribe', 'unsubscribe', 'post', 'owner', 'archive'].map((name) => `list-${name}`)
const addressedIn = ['to', 'cc', 'bcc', 'resent-to', 'resent-cc', 'resent-bcc']
/** Programs, and those who would answer by one. §4.6 */
const robots =
  /^(?:mailer-daemon|mail-daemon|postmaster|uucp|listserv|majordomo|(?:no|do-?not)[-_.]?reply.*|owner-.*|.*-owner|.*-request|.*-bounces?|bounces?[+-].*|bounces?)$/i
const suppressed = /\b(?:all|oof|autoreply)\b/i

/** Why nobody is answered; undefined: who sent the message is. `own`: all addresses of the user, with those that the script names. */
export function whyUnanswered(message: RunningMessage, own: Iterable<string>): string | undefined {
  const sender = message.envelope.from
  const ours = new Set([...own].map((address) => address.toLowerCase()))
  if (sender === '') return 'it has no sender'
  if (robots.test(sender.slice(0, sender.lastIndexOf('@')))) return 'its sender is a program'
  if (ours.has(sender.toLowerCase())) return 'it is from the user'
  if (isAutomatic(message)) return 'it is an automatic message'
  if (listFields.some((name) => message.fieldsNamed(name).length > 0)) return 'it is of a mailing list'
  const says = (field: string, pattern: RegExp) => message.fieldsNamed(field).some(({ value }) => pattern.test(value))
  if (says('precedence', /^\s*(?:bulk|list|junk)\b/i)) return 'it is bulk mail'
  if (says('x-auto-response-suppress', suppressed)) return 'it asks for no automatic answer'
  const addressed = addressedIn.some((field) =>
    message.fieldsNamed(field).some(({ addressTexts }) => addressTexts.some((each) => ours.has(each.toLowerCase()))),
  )
  return addressed ? undefined : 'it is not addressed to the user'
}

/** `address`: the user's, where the script names none to answer from. */
export async function vacationReply(
  { reason, subject, from, mime }: VacationAction,
  message: RunningMessage,
  address: string,
  { now, messageId }: Desk,
): Promise<Buffer> {
  const original = subjectOf(message)
  return compose({
    fields: [
      ['From', (from ?? address).toWellFormed()],
      ['To', message.envelope.from],
      ['Subject', subject?.toWellFormed() ?? (original === '' ? 'Automated reply' : `Auto: ${original}`)],
      ...threading(message),
      ['Auto-Submitted', 'auto-replied (vacation)'],
      ['X-Auto-Response-Suppress', 'All'],
    ],
    date: now,
    messageId,
    body: mime
      ? { entity: entityOf(reason.toWellFormed()) }
      : { type: 'text/plain; charset=utf-8', content: reason.toWellFormed() },
  })
}

/** What its header says beside of the content would be said of the whole message. */
function entityOf(reason: string): string {
  const octets = Buffer.from(reason)
  const end = headerEnd(octets)
  const fields = splitFields(octets.subarray(0, end).toString('latin1')).filter(({ name }) => /^content-/.test(name))
  const header = fields
    .map((field) => `${field.raw.slice(0, field.raw.indexOf(':'))}: ${foldedValue(field)}\r\n`)
    .join('')
  const body = octets.subarray(end)
  const isSaid = fields.some(({ name }) => name === 'content-transfer-encoding')
  const encoding = !isSaid && body.some((octet) => octet > 127) ? 'Content-Transfer-Encoding: 8bit\r\n' : ''
  return `${Buffer.from(header, 'latin1').toString()}${encoding}\r\n${body.toString()}`
}

/** Parameters stand on lines of their own; a CR that ends none would end the field. */
const foldedValue = (field: Field): string =>
  foldable(fieldValue(field).replace(/\r/g, ' ')).replace(/;[ \t]+/g, ';\r\n ')
