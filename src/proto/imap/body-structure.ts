/** The BODY and BODYSTRUCTURE items of FETCH on the wire. RFC 9051 §7.5.2, §9 rule body */

import type { Parameter, Part } from '../../mime/types.ts'
import { formatEnvelope } from './envelope.ts'
import { formatNstring, formatString } from './strings.ts'

/** A multipart has at least one part on the wire (`1*body`): an empty one stands where the message has none. */
const emptyText = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'

/**
 * BODYSTRUCTURE when `extended`, else BODY. Octets in latin1; may hold literals. Recursion is as deep as the parts are, which the
 * scanner limits (`mimeLimits.depth`).
 */
export function formatBodyStructure(part: Part, { extended }: { extended: boolean }): string {
  if (part.type.toLowerCase() === 'multipart') return formatMultipart(part, extended)
  const extension = extended ? ` ${formatNstring(part.md5)} ${formatExtension(part)}` : ''
  return `(${formatBasic(part)}${formatSpecific(part, extended)}${extension})`
}

function formatMultipart(part: Part, extended: boolean): string {
  const parts = part.children.map((child) => formatBodyStructure(child, { extended })).join('')
  const extension = extended ? ` ${formatParameters(part.parameters)} ${formatExtension(part)}` : ''
  return `(${parts || `${emptyText}${extended ? ' NIL NIL NIL NIL' : ''})`} ${formatString(part.subtype)}${extension})`
}

function formatBasic(part: Part): string {
  const media = holdsMessage(part) ? '"message" "rfc822"' : `${formatString(part.type)} ${formatString(part.subtype)}`
  const fields = `${formatNstring(part.id)} ${formatNstring(part.description)} ${formatString(part.encoding)}`
  return `${media} ${formatParameters(withCharset(part))} ${fields} ${part.end - part.bodyStart}`
}

function formatSpecific(part: Part, extended: boolean): string {
  if (isText(part)) return ` ${part.lines}`
  if (!holdsMessage(part)) return ''
  const message = part.children[0]!
  return ` ${formatEnvelope(message.envelope!)} ${formatBodyStructure(message, { extended })} ${part.lines}`
}

/** What BODY and BODYSTRUCTURE have behind the MD5 or the multipart's parameters. */
function formatExtension({ disposition, language, location }: Part): string {
  const dsp =
    disposition === undefined
      ? 'NIL'
      : `(${formatString(disposition.type)} ${formatParameters(disposition.parameters)})`
  const lang = language === undefined ? 'NIL' : `(${language.map(formatString).join(' ')})`
  return `${dsp} ${lang} ${formatNstring(location)}`
}

/** Text without a charset has the default one, and clients are told. RFC 2045 §5.2 */
function withCharset(part: Part): readonly Parameter[] {
  if (!isText(part) || part.parameters.some(([attribute]) => attribute.toLowerCase() === 'charset'))
    return part.parameters
  return [...part.parameters, ['charset', 'us-ascii']]
}

function formatParameters(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return 'NIL'
  return `(${parameters.map(([attribute, value]) => `${formatString(attribute)} ${formatString(value)}`).join(' ')})`
}

function isText({ type }: Part): boolean {
  return type.toLowerCase() === 'text'
}

/** Only a message/rfc822 shows its message in IMAP4rev1; a message/global is as basic as an image. RFC 3501 §9 rule media-message */
function holdsMessage({ subtype, children }: Part): boolean {
  return children[0]?.envelope !== undefined && subtype.toLowerCase() === 'rfc822'
}
