/** A message that is sent on: who its sender is then, and what keeps it from going round. RFC 5228 §4.2, §10; SV-08 to SV-11 */
import { createHash } from 'node:crypto'
import { splitFields } from '../../mime/header.ts'
import { envelopeAddress } from '../../sieve/address.ts'
import type { RunningMessage } from '../../sieve/message.ts'
import type { EditedMessage } from '../../sieve/types.ts'
import type { IncomingMessage } from '../types.ts'

export interface SenderRules {
  /** sieve_redirect_mode */
  readonly mode: number
  /** sieve_redirect_sender */
  readonly sender: string | undefined
  /** defaultdomain */
  readonly domain: string
}

const fieldName = 'X-Sieve-Redirected-From'
/** RFC 5321 §6.3 */
const hopsAtMost = 100
const localOctets = 64
/** Said of a delivery, or for this account alone. */
const local = new Set(['return-path', 'x-wherry-injected'])
/** Another one each time that the same message comes. */
const trace = new Set([
  'return-path',
  'received',
  'delivered-to',
  'x-original-to',
  'received-spf',
  'authentication-results',
  fieldName.toLowerCase(),
])

/** MAIL FROM. The null reverse-path stays: what comes back must not come back again. */
export function redirectSender(original: string, owner: string, { mode, sender, domain }: SenderRules): string {
  if (original === '') return ''
  const ours = sender ?? `sieve@${domain}`
  if (mode === 0) return ours
  if (mode === 1) return withDetail(ours, owner.slice(0, owner.lastIndexOf('@')))
  return mode === 2 ? original : withDetail(original, 'sieve')
}

/** As it is when the name would get too long, or has the detail already. RFC 5321 §4.5.3.1.1 */
function withDetail(address: string, detail: string): string {
  const at = address.lastIndexOf('@')
  const [name, rest] = [address.slice(0, at), address.slice(at)]
  const isQuoted = name.startsWith('"') && name.endsWith('"')
  const longer = isQuoted ? `${name.slice(0, -1)}+${detail}"` : `${name}+${detail}`
  const hasIt = (isQuoted ? name.slice(0, -1) : name).endsWith(`+${detail}`)
  return at < 0 || hasIt || Buffer.byteLength(longer) > localOctets ? address : longer + rest
}

/** Why the message must not be sent on; undefined: it may. */
export function loopOf(message: RunningMessage, owner: string): string | undefined {
  if (message.fieldsNamed(fieldName).some(({ text }) => sameAddress(text, owner)))
    return 'it has been sent on from here before'
  return message.fieldsNamed('received').length > hopsAtMost ? 'it has been through too many servers' : undefined
}

/** Which message this is, however often it is handed over. undefined: nobody can say. */
export function identityOf(message: RunningMessage): string | undefined {
  if (message.fieldsNamed('message-id').length === 0) return undefined
  const hash = createHash('sha256')
  for (const { name, raw } of message.fields) if (!trace.has(name)) hash.update(raw, 'latin1')
  return hash.digest('base64url')
}

export async function* redirected(
  message: IncomingMessage,
  owner: string,
  edited: EditedMessage | undefined,
): AsyncGenerator<Buffer> {
  yield Buffer.from(`${fieldName}: ${owner}\r\n`)
  yield* withoutLocal(edited?.header ?? message.header)
  if (edited?.body !== undefined) yield edited.body
  else yield* message.stream(message.header.length)
}

/** By place: the last field of a header that was cut off stays as it is. */
function* withoutLocal(header: Buffer): Generator<Buffer> {
  let at = 0
  let from = 0
  for (const { name, raw } of splitFields(header.toString('latin1'))) {
    const end = at + raw.length
    if (local.has(name) && end <= header.length) {
      if (at > from) yield header.subarray(from, at)
      from = end
    }
    at = end
  }
  yield header.subarray(from)
}

const sameAddress = (given: string, owner: string): boolean => {
  const { localPart, domain = '' } = envelopeAddress(given.trim())
  return `${localPart}@${domain}`.toLowerCase() === owner.toLowerCase()
}
