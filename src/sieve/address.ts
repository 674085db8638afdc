/** Addresses as scripts see them. RFC 5228 §2.4.2.3 and §2.7.4 */

import { mimeLimits } from '../base/limits.ts'
import { parseAddresses } from '../mime/address.ts'
import { decodeUnlabelled } from '../mime/charset.ts'
import type { Address } from '../mime/types.ts'

export interface SieveAddress {
  /** Unquoted; `domain` undefined only for the null reverse-path. */
  readonly localPart: string
  readonly domain: string | undefined
}

/** What stands where `parseAddresses` could not read something. */
const placeholders: ReadonlySet<string> = new Set(['MISSING_MAILBOX', 'MISSING_DOMAIN', 'SYNTAX_ERROR'])

/** Of an address field's unfolded body, octets in latin1; those in groups too. `valid`: all of it could be read. */
export function fieldAddresses(value: string): {
  readonly addresses: readonly SieveAddress[]
  readonly valid: boolean
} {
  const addresses: SieveAddress[] = []
  let valid = true
  for (const address of parseAddresses(value, mimeLimits.addresses) ?? []) {
    if (address.host === undefined) continue
    if (isReadable(address)) addresses.push({ localPart: text(address.mailbox!), domain: text(address.host) })
    else valid = false
  }
  return { addresses, valid }
}

/**
 * The addr-spec of `addr-spec / phrase "<" addr-spec ">"`; undefined when the text is none: lists, groups and routes are not allowed. §2.4.2.3
 */
export function outboundAddress(given: string): SieveAddress | undefined {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(given)) return undefined
  const [address, ...others] = parseAddresses(Buffer.from(given).toString('latin1'), 3) ?? []
  if (address?.host === undefined || others.length > 0 || address.route !== undefined || !isReadable(address))
    return undefined
  const found = { localPart: text(address.mailbox!), domain: text(address.host) }
  // The reader forgives what follows an address; an address that mail is sent to has nothing behind it.
  const plain = given.replace(/[ \t]+/g, '')
  const ends = ['>', ')', addressText(found), `${quoted(found.localPart)}@${found.domain}`]
  const isWhole = ends.some((end) => plain.endsWith(end.replace(/[ \t]+/g, '')))
  return isWhole && isDomain(found.domain) && found.localPart !== '' ? found : undefined
}

/** Of the envelope: the last "@" parts them; a source route is left out (§5.4). */
export function envelopeAddress(given: string): SieveAddress {
  const path = given.replace(/^<|>$/g, '')
  const address = path.startsWith('@') && path.includes(':') ? path.slice(path.indexOf(':') + 1) : path
  const at = address.lastIndexOf('@')
  const localPart = at < 0 ? address : address.slice(0, at)
  return {
    localPart: localPart.startsWith('"') && localPart.endsWith('"') ? unquoted(localPart) : localPart,
    domain: at < 0 ? undefined : address.slice(at + 1),
  }
}

/** `:all`; the local part is quoted where it has to be. */
export function addressText({ localPart, domain }: SieveAddress): string {
  const isAtoms = /^[^\s()<>[\]:;@\\,"\0-\x1f]*$/.test(localPart) && !/^\.|\.$|\.\./.test(localPart)
  const local = isAtoms ? localPart : quoted(localPart)
  return domain === undefined ? local : `${local}@${domain}`
}

const quoted = (localPart: string) => `"${localPart.replace(/["\\]/g, '\\$&')}"`

const isReadable = ({ mailbox, host }: Address) =>
  mailbox !== undefined && host !== undefined && !placeholders.has(mailbox) && !placeholders.has(host)

const isDomain = (domain: string) =>
  domain.startsWith('[')
    ? /^\[[^[\]\s\\]+\]$/.test(domain)
    : /^[^\s.()<>[\]:;@\\,"]+(?:\.[^\s.()<>[\]:;@\\,"]+)*$/.test(domain)

const unquoted = (quoted: string) => quoted.slice(1, -1).replace(/\\(.)/g, '$1')

const text = (octets: string) => (/[\x80-\xff]/.test(octets) ? decodeUnlabelled(Buffer.from(octets, 'latin1')) : octets)
