/** mailto URIs, for notifications. RFC 5436 §2.1, with the grammar of RFC 2368 and what RFC 6068 clears up in it */

import { addressText, outboundAddress } from './address.ts'

export interface Mailto {
  /** Addr-specs, of the path and of `to`. At least one. */
  readonly to: readonly string[]
  readonly cc: readonly string[]
  readonly subject: string | undefined
  readonly body: string | undefined
  /** Other header fields; those that a notification must not take from a URI are left out. */
  readonly fields: readonly (readonly [name: string, value: string])[]
}

const uriCharacters = 2_000
const addressesAtMost = 20
/** Not for a URI to say: who sends it, when, whether it is automatic, and what it is. RFC 5436 §2.2, RFC 6068 §4 */
const own =
  /^(?:from|sender|reply-to|bcc|date|message-id|in-reply-to|references|auto-submitted|received|return-path|mime-version|content-.*|resent-.*|dkim-.*|arc-.*|authentication-results|x-.*|list-.*|errors-to|return-receipt-to|disposition-notification-.*|apparently-.*|precedence)$/

/** Undefined for what is none, or names nobody whom mail can be sent to. */
export function readMailto(uri: string): Mailto | undefined {
  const found = /^mailto:([^?#]*)(?:\?([^#]*))?$/i.exec(uri)
  if (found === null || uri.length > uriCharacters || /[\s"<>\\^`{|}]/.test(uri)) return undefined
  const [, path = '', query = ''] = found
  // RFC 2368 §2 parts addresses by %2C, which RFC 6068 §2 has in quoted local parts only.
  const comma = /%22/.test(path) ? /,/ : /,|%2c/i
  const lists = { to: path === '' ? [] : path.split(comma), cc: [] as string[] }
  const fields: [string, string][] = []
  let subject: string | undefined
  let body: string | undefined
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const at = pair.indexOf('=')
    const name = decoded(at < 0 ? pair : pair.slice(0, at))?.toLowerCase()
    const value = decoded(at < 0 ? '' : pair.slice(at + 1))
    if (name === undefined || value === undefined || !/^[!-9;-~]+$/.test(name)) return undefined
    if (name === 'to' || name === 'cc') lists[name].push(...value.split(',').map(encodeURIComponent))
    else if (name === 'subject') subject = value
    else if (name === 'body') body = value
    else if (!own.test(name)) fields.push([name, value])
  }
  const [to, cc] = [lists.to, lists.cc].map((list) => list.map(addressOf))
  if (to!.length === 0 || to!.length + cc!.length > addressesAtMost) return undefined
  const known = (list: readonly (string | undefined)[]) => list.filter((each) => each !== undefined)
  if (known(to!).length < to!.length || known(cc!).length < cc!.length) return undefined
  return { to: known(to!), cc: known(cc!), subject, body, fields }
}

function addressOf(encoded: string): string | undefined {
  const text = decoded(encoded)?.trim()
  const address = text === undefined ? undefined : outboundAddress(text)
  return address === undefined ? undefined : addressText(address)
}

/** Undefined for what is no UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
