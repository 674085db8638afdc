/** Strings that we send. RFC 9051 §4.3, §9 rules astring, mailbox. What is text stays out of reach of CR, LF and NUL. */

import { encodeMailboxName, type NameSpelling } from './mailbox-name.ts'

/** An atom where the octets allow it, else quoted or a literal. */
export function formatAstring(octets: string): string {
  return /^[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+$/.test(octets) && !/^nil$/i.test(octets)
    ? octets
    : formatString(octets)
}

/** A mailbox name given in Unicode. */
export function formatMailbox(name: string, spelling: NameSpelling = 'UTF-7'): string {
  return formatMailboxOctets(encodeMailboxName(name, spelling), formatAstring)
}

/** What is not ASCII in a name stands in quotes all the same: no name has a control character. RFC 6855 §3 */
export function formatMailboxOctets(octets: string, format = formatString): string {
  return /[\x80-\xff]/.test(octets) ? quoted(octets) : format(octets)
}

/** Quoted where that is possible and reasonably short, else a literal; octets in latin1. */
export function formatString(octets: string): string {
  if (octets.length > 1000 || /[^\x01-\x7f]|[\r\n]/.test(octets)) return `{${octets.length}}\r\n${octets}`
  return quoted(octets)
}

function quoted(octets: string): string {
  // Most have neither, and looking is cheaper than replacing nothing.
  const escaped = octets.includes('"') || octets.includes('\\') ? octets.replace(/["\\]/g, '\\$&') : octets
  return `"${escaped}"`
}

/** The same, NIL for undefined. */
export function formatNstring(octets: string | undefined): string {
  return octets === undefined ? 'NIL' : formatString(octets)
}
