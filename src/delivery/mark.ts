/**
 * The mark of a fetched message that ms_syncd hands to a submission server (`smtp_injection`): a header field that comes back with the message
 * through the site's filters and says what the message is, so that it gets the origin that it was fetched under and is shown once. Only who knows
 * the account's key can make one. docs/decisions/0200-submitted-messages-carry-a-mark.md
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { MailboxId } from '../base/ids.ts'
import { fieldValue, splitFields } from '../mime/header.ts'
import type { Account, Flag } from '../store/types.ts'

/** What a message would have been stored with, had it been stored directly. */
export interface Mark {
  readonly mailboxId: MailboxId
  readonly origin: string
  readonly uidl: string | undefined
  /** Seconds since 1970. */
  readonly internalDate: number
  readonly flags: readonly Flag[]
  /** Seconds since 1970. */
  readonly submittedAt: number
}

export const markFieldName = 'X-Wherry-Injected'
const keyName = 'injection key'
const lineCharacters = 72

/** Of an account: base64url of 256 random bits. Made when it is first needed. */
export async function markKey(account: Account): Promise<Buffer> {
  const known = await findMarkKey(account)
  if (known !== undefined) return known
  const key = randomBytes(32)
  await account.put({ [keyName]: key.toString('base64url') })
  return key
}

/** Undefined: nothing was ever submitted for this account. */
export async function findMarkKey(account: Account): Promise<Buffer | undefined> {
  const key = await account.get(keyName)
  return typeof key === 'string' ? Buffer.from(key, 'base64url') : undefined
}

/** The header field, to stand before all others. */
export function markField({ mailboxId, origin, uidl, internalDate, flags, submittedAt }: Mark, key: Buffer): Buffer {
  const payload = Buffer.from(
    JSON.stringify({ v: 1, m: mailboxId, o: origin, u: uidl, d: internalDate, f: flags, t: submittedAt }),
  ).toString('base64url')
  const pieces = `${payload}.${sign(payload, key)}`.match(new RegExp(`.{1,${lineCharacters}}`, 'g'))!
  return Buffer.from(`${markFieldName}:\r\n ${pieces.join('\r\n ')}\r\n`)
}

/** The first valid mark of a header, and the header without it; undefined when there is none. */
export function readMark(header: Buffer, key: Buffer): { readonly mark: Mark; readonly rest: Buffer } | undefined {
  const text = header.toString('latin1')
  let at = 0
  for (const field of splitFields(text)) {
    const end = at + field.raw.length
    const mark = field.name === markFieldName.toLowerCase() ? verified(fieldValue(field), key) : undefined
    if (mark !== undefined) return { mark, rest: Buffer.concat([header.subarray(0, at), header.subarray(end)]) }
    at = end
  }
  return undefined
}

function sign(payload: string, key: Buffer): string {
  return createHmac('sha256', key).update(payload).digest('base64url')
}

/** Servers on the way may have folded the field in other places. */
function verified(value: string, key: Buffer): Mark | undefined {
  const [payload = '', signature = ''] = value.replace(/[ \t]+/g, '').split('.')
  const [given, right] = [Buffer.from(signature), Buffer.from(sign(payload, key))]
  if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
  // Signed with our key, so it has the shape that `markField` gave it.
  const { v, m, o, u, d, f, t } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return v === 1 ? { mailboxId: m, origin: o, uidl: u, internalDate: d, flags: f, submittedAt: t } : undefined
}
