/** Access control lists among an account's values: by mailbox id, an object from identifier to letters of rights. What they mean says src/sharing. */

/** Before the mailbox's id. */
export const aclPrefix = 'acl '
/** Before an identifier that rights are taken away from. RFC 4314 §2 */
export const negative = '-'

export type StoredAcl = Readonly<Record<string, string>>

/** Whom the lists give rights to, or take them from. */
export function namedIn(values: Iterable<readonly [key: string, value: unknown]>): ReadonlySet<string> {
  const named = new Set<string>()
  for (const [key, value] of values) {
    if (!key.startsWith(aclPrefix)) continue
    for (const identifier of Object.keys(value as StoredAcl))
      named.add(identifier.startsWith(negative) ? identifier.slice(negative.length) : identifier)
  }
  return named
}
