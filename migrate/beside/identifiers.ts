/** Whom an entry of an old server's access control list means here, and what it gives. Every server has identifiers of its own: RFC 4314 §2 says no more of them than `anyone` and the sign before negative ones. */
import { canonicalUserId, domainOf } from '#src/auth/user-id.ts'
import { SyntaxFault } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { parseRights, type Right, type Rights } from '#src/sharing/rights.ts'

export type Meaning =
  /** A user of the old server, who would have this id here. `isNegative`: rights are taken away. */
  | { readonly kind: 'user'; readonly called: string; readonly userId: UserId; readonly isNegative: boolean }
  /** The owner, or the server's own people: they have their rights by themselves. */
  | { readonly kind: 'own' }
  | { readonly kind: 'unknown'; readonly why: string }

/** Cyrus, Courier and Dovecot. */
const administrators: ReadonlySet<string> = new Set(['owner', 'administrators'])
const everybody: ReadonlySet<string> = new Set(['anyone', 'anonymous', 'authenticated', 'authuser'])
/** `group:` of Cyrus, `group=` of Courier, the signs of Dovecot and of RFC 4314's §2 examples. */
const groupLike = /^(?:group[:=]|[$!#&])/i

/** `owner` is `called` so at the old server. */
export const meaningOf = (identifier: string, owner: UserId, called: string): Meaning => {
  const isNegative = identifier.startsWith('-')
  const named = (isNegative ? identifier.slice(1) : identifier).replace(/^user=/, '')
  if (administrators.has(named.toLowerCase()) || named === called) return { kind: 'own' }
  if (everybody.has(named.toLowerCase()))
    return { kind: 'unknown', why: 'whom that means there, and whom it would here, nobody can tell' }
  if (groupLike.test(named)) return { kind: 'unknown', why: 'groups here are those of the configuration' }
  try {
    const userId = canonicalUserId(named, domainOf(owner))
    return userId === owner ? { kind: 'own' } : { kind: 'user', called: named, userId, isNegative }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return { kind: 'unknown', why: `it can not be a user here: ${error.message}` }
  }
}

/** A server that knows RFC 4314 sends c and d for clients that don't, and they mean nothing more. RFC 4314 §2.1.1 */
export const isModern = (capabilities: ReadonlySet<string>): boolean =>
  [...capabilities].some((name) => name.startsWith('RIGHTS='))

export interface GivenRights {
  readonly rights: Rights
  /** Letters that nobody is given here. */
  readonly left: string
}

export const rightsHere = (letters: string, modern: boolean): GivenRights => {
  const rights = new Set<Right>()
  let left = ''
  for (const letter of letters) {
    if (modern && 'cd'.includes(letter)) continue
    // The right to give rights is the owner's alone.
    if (letter === 'a' || !'lrswipkxtecd'.includes(letter)) left += letter
    else for (const right of parseRights(letter)) rights.add(right)
  }
  return { rights, left }
}
