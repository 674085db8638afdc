/** NAMESPACE's response. RFC 9051 §6.3.10, RFC 2342 §5 */

import { hierarchyDelimiter } from './list-pattern.ts'
import { encodeMailboxName, type NameSpelling } from './mailbox-name.ts'
import { formatMailboxOctets } from './strings.ts'

export interface Namespaces {
  /** Prefixes in Unicode, "" for the root. */
  readonly personal: readonly string[]
  readonly otherUsers: readonly string[]
  readonly shared: readonly string[]
}

/** `* NAMESPACE (("" "/")) NIL NIL` */
export function formatNamespace(spelling: NameSpelling, { personal, otherUsers, shared }: Namespaces): string {
  return `* NAMESPACE ${[personal, otherUsers, shared].map((prefixes) => formatClass(spelling, prefixes)).join(' ')}\r\n`
}

function formatClass(spelling: NameSpelling, prefixes: readonly string[]): string {
  if (prefixes.length === 0) return 'NIL'
  const descriptions = prefixes.map(
    (prefix) => `(${formatMailboxOctets(encodeMailboxName(prefix, spelling))} "${hierarchyDelimiter}")`,
  )
  return `(${descriptions.join('')})`
}
