/** The mailboxes that a LIST is about, with what is told of each. RFC 3501 §6.3.8, RFC 5258 §3 */

import type { ExtendedListArgs, ListCriterion } from '../proto/imap/list.ts'
import { hierarchyDelimiter, ListPattern } from '../proto/imap/list-pattern.ts'
import { otherUsersPrefix, sharedFoldersPrefix } from '../sharing/trees.ts'
import { usesOf } from '../store/special-use.ts'
import type { MailboxEntry } from '../store/types.ts'
import type { Session } from './session.ts'
import { Slice } from './slice.ts'

/** A name that LIST answers. */
export interface Listed {
  readonly name: string
  /** False for a level that only holds others, and for what is subscribed to and is not there. */
  readonly isMailbox: boolean
  /** Without what says that it can't be selected. */
  readonly attributes: readonly string[]
  /** It is wanted itself, not only for what is below it. */
  readonly isMatch: boolean
  /** Criteria that something below it meets, where that was asked. */
  readonly below: readonly ListCriterion[]
}

interface Candidate extends MailboxEntry {
  readonly uses: readonly string[]
  readonly isSubscribed: boolean
}

/** In the order of the names, own ones first. Throws StoreError. */
export async function* listing(session: Session, args: ExtendedListArgs): AsyncGenerator<Listed, void, undefined> {
  const { criteria, recursive, returns } = args
  const patterns = args.patterns.map((pattern) => new ListPattern(args.reference + pattern))
  if (patterns.length === 0) return
  const isWanted = (name: string) => patterns.some((pattern) => pattern.matches(name))
  const meets = ({ isSubscribed, uses }: Candidate) =>
    criteria.every((criterion) => (criterion === 'SUBSCRIBED' ? isSubscribed : uses.length > 0))
  const { hierarchy, account } = session
  const own = await hierarchy.listOwn()
  const mayBeOthers = patterns.some((pattern) => pattern.mayMatchBelow(otherUsersPrefix, sharedFoldersPrefix))
  const others = mayBeOthers ? await hierarchy.listOthers() : []
  const subscribed = returns.subscribed ? new Set(await account.subscriptions()) : none
  const uses = await usesOf(account)
  const entries = merged(own, others)
  const all = criteria.includes('SUBSCRIBED') ? [...entries, ...missing(entries, subscribed, recursive)] : entries
  const candidate = (entry: MailboxEntry): Candidate => ({
    ...entry,
    uses: (entry.selectable ? uses.get(entry.name) : undefined) ?? [],
    isSubscribed: subscribed.has(entry.name),
  })
  const slice = new Slice()
  // Names that something below meets the criteria, and those of them where that would not be seen otherwise.
  const above = new Set<string>()
  const hiding = new Set<string>()
  if (recursive)
    for (const entry of all) {
      if (!meets(candidate(entry))) continue
      addLevels(entry.name, above)
      if (!isWanted(entry.name)) addLevels(entry.name, hiding)
      if (slice.isOver()) await slice.next()
    }
  for (const entry of all) {
    const { name, selectable, hasChildren } = entry
    if (slice.isOver()) await slice.next()
    if (!isWanted(name)) continue
    const found = candidate(entry)
    const isMatch = meets(found)
    if (!isMatch && !hiding.has(name)) continue
    const attributes = [hasChildren ? '\\HasChildren' : '\\HasNoChildren']
    attributes.push(...found.uses)
    if (found.isSubscribed) attributes.push('\\Subscribed')
    yield { name, isMailbox: selectable, attributes, isMatch, below: above.has(name) ? criteria : [] }
  }
}

const none: ReadonlySet<string> = new Set()

/** A mailbox of the own account that has the name of another one, from before or from a backend, is behind it. */
function merged(own: readonly MailboxEntry[], others: readonly MailboxEntry[]): readonly MailboxEntry[] {
  if (others.length === 0) return own
  const names = new Set(others.filter(({ selectable }) => selectable).map(({ name }) => name))
  const before = own.filter(({ name }) => !names.has(name))
  const known = new Set(before.map(({ name }) => name))
  return [...before, ...others.filter(({ name }) => !known.has(name))]
}

/** What is subscribed to and is neither a mailbox nor a level above one; with the levels above it where they may be told. */
function missing(
  entries: readonly MailboxEntry[],
  subscribed: ReadonlySet<string>,
  withLevels: boolean,
): readonly MailboxEntry[] {
  const known = new Set(entries.map(({ name }) => name))
  const names = new Set<string>()
  for (const name of subscribed) {
    if (known.has(name)) continue
    names.add(name)
    if (withLevels) addLevels(name, names)
  }
  return [...names.difference(known)].map((name) => ({ name, selectable: false, hasChildren: false }))
}

/** The names above this one. */
function addLevels(name: string, levels: Set<string>): void {
  for (let end = name.lastIndexOf(hierarchyDelimiter); end > 0; end = name.lastIndexOf(hierarchyDelimiter, end - 1)) {
    const level = name.slice(0, end)
    if (levels.has(level)) return
    levels.add(level)
  }
}
