/**
 * Which mailbox here stands for which one at an IMAP backend. Names are kept where they can be; a name that this store can't have, or that two
 * would share, gets a likeness of its own. A pair once made stays, whatever comes and goes beside it. UDB-09, GW-15
 */
import { createHash } from 'node:crypto'
import { StoreError } from '#src/base/errors.ts'
import { canonicalName } from '#src/store/names.ts'

/** A mailbox as the backend lists it. */
export interface RemoteName {
  /** Unicode, with the backend's own delimiter. */
  readonly path: string
  /** Undefined: the backend has no hierarchy. RFC 9051 §7.3.1 (NIL) */
  readonly delimiter: string | undefined
}

export interface NamePolicy {
  /** Before the names here; '' keeps them. */
  readonly prefix: string
  /** What the backend puts before the names of a user's own mailboxes, with the delimiter: 'INBOX.'; '' for none. RFC 2342 */
  readonly namespace: string
  /** Names here that are another backend's are none of this one's. */
  readonly isOurs: (name: string) => boolean
}

const controls = /[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/g
const maxLevelCharacters = 120
/** Before a name that is another backend's, the first that makes it none of theirs. */
const aside = ['_', '-', '=', '~']

/** Pairs of backend path and name here, for every remote mailbox; those of `known` that are still listed stay as they are. */
export function pairNames(
  remote: readonly RemoteName[],
  known: ReadonlyMap<string, string>,
  policy: NamePolicy,
  /** Names here that others have. */
  occupied: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  const taken = new Set<string>(occupied)
  for (const { path } of remote) {
    const name = known.get(path)
    if (name === undefined || taken.has(name)) continue
    pairs.set(path, name)
    taken.add(name)
  }
  // The order must not matter: two runs that see the same names pair them alike. What can keep its name does, whatever becomes like it.
  const fresh = remote.filter(({ path }) => !pairs.has(path)).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const [kept, changed] = [fresh.filter(isKept), fresh.filter((mailbox) => !isKept(mailbox))]
  for (const mailbox of [...kept, ...changed]) {
    const wanted = nameHere(mailbox, policy)
    const name = taken.has(wanted) ? withMark(wanted, mailbox.path) : wanted
    pairs.set(mailbox.path, name)
    taken.add(name)
  }
  return pairs
}

/** The name that a backend's mailbox gets here when nobody else has it. */
export function nameHere({ path, delimiter }: RemoteName, { prefix, namespace, isOurs }: NamePolicy): string {
  const own = namespace !== '' && path.length > namespace.length && path.startsWith(namespace)
  const below = own ? path.slice(namespace.length) : path
  const levels = delimiter === undefined || delimiter === '' ? [below] : below.split(delimiter)
  const name = levels.map(levelHere).join('/')
  // 'INBOX.INBOX' is not the inbox.
  const isInbox = !own && path.toUpperCase() === 'INBOX'
  const kept = own && name.toUpperCase() === 'INBOX' ? `${name}_` : isInbox ? 'INBOX' : name
  const before = isOurs(prefix + kept) ? '' : (aside.find((mark) => isOurs(prefix + mark + kept)) ?? aside[0])
  const full = `${prefix}${before}${kept}`
  try {
    return canonicalName(full)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return canonicalName(
      `${prefix}${withMark(levelHere(kept.replaceAll('/', '_')).slice(0, maxLevelCharacters), path)}`,
    )
  }
}

/** The backend's path for a mailbox that was made here; undefined for one outside the prefix or of another backend, or with a level that the backend can't have. */
export function pathThere(
  name: string,
  delimiter: string | undefined,
  { prefix, namespace, isOurs }: NamePolicy,
): string | undefined {
  if (!name.startsWith(prefix) || !isOurs(name)) return undefined
  const rest = name.slice(prefix.length)
  if (rest === '' || rest === 'INBOX') return rest === '' ? undefined : rest
  const levels = rest.split('/')
  if (delimiter === undefined || delimiter === '') return levels.length > 1 ? undefined : namespace + rest
  return levels.some((level) => level.includes(delimiter)) ? undefined : namespace + levels.join(delimiter)
}

/** It is a name that this store can have. */
const isKept = ({ path, delimiter }: RemoteName): boolean =>
  (delimiter === undefined || delimiter === '' ? [path] : path.split(delimiter)).every(
    (level) => levelHere(level) === level,
  )

/** One level that this store can have: no slash, no control, neither empty nor a dot or two. */
function levelHere(level: string): string {
  const clean = level.toWellFormed().normalize('NFC').replaceAll('/', '_').replace(controls, '_')
  return clean === '' || clean === '.' || clean === '..' ? `_${clean}` : clean
}

/** Tells a name from others like it, the same way every time for what it `standsFor`. */
export function withMark(name: string, standsFor: string): string {
  return `${name} (${createHash('sha256').update(standsFor).digest('hex').slice(0, 8)})`
}
