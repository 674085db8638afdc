/**
 * Annotations of mailboxes and of the server (METADATA, RFC 5464), kept in an account's own log under the mailbox's id: so they follow it when it is
 * renamed, a mailbox made under a name that another one had begins without, and one that is brought back has its own again. Whose they are is said by
 * the account: shared ones lie with the mailbox, private ones with the user who made them.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId } from '../base/ids.ts'
import { severalAtOnce } from './several.ts'
import type { Account } from './types.ts'

/** What is annotated, as the account that keeps it sees it. */
export interface Annotated {
  /** `elsewhere`: a mailbox of another account. */
  readonly place: 'server' | 'here' | 'elsewhere'
  /** Empty for the server. */
  readonly id: MailboxId | ''
}

/** By entry, in lower case, e.g. '/private/comment'; octets in latin1. */
export type Metadata = ReadonlyMap<string, string>

/** Of one mailbox, in one account. RFC 5464 §4.1 wants 10 at least. */
const maxEntries = 100
/** Of an account, all together: they are kept in memory with the rest of its log. */
const maxAccountOctets = 262_144

const prefixes = { server: 'metadata-server ', here: 'metadata ', elsewhere: 'metadata-elsewhere ' } as const
/** Mailboxes looked at at the same time. */
const looksAtOnce = 16

const prefixOf = ({ place, id }: Annotated) => `${prefixes[place]}${id} `

/** Throws StoreError. */
export async function metadataOf(account: Account, what: Annotated): Promise<Metadata> {
  const prefix = prefixOf(what)
  const entries = await account.entries(prefix)
  return new Map(Array.from(entries, ([key, value]) => [key.slice(prefix.length), String(value)]))
}

/**
 * Sets or (undefined) removes entries, all or none, in one durable change. Throws StoreError limit where there would be too many, or too much of them
 * in the account.
 */
export async function putMetadata(
  account: Account,
  what: Annotated,
  changes: ReadonlyMap<string, string | undefined>,
): Promise<void> {
  const after = new Map<string, string | undefined>([...(await metadataOf(account, what)), ...changes])
  const isMore = changes.values().some((value) => value !== undefined)
  if (isMore) {
    if ([...after.values()].filter((value) => value !== undefined).length > maxEntries)
      throw new StoreError('limit', `A mailbox has at most ${maxEntries} annotations`)
    await checkRoom(account, what, changes)
  }
  const prefix = prefixOf(what)
  await account.put(Object.fromEntries(Array.from(changes, ([entry, value]) => [prefix + entry, value])))
}

/** For RENAME of INBOX, which stays: the other mailbox has its annotations as well. RFC 5464 §4.1. Throws StoreError. */
export async function copyMetadata(account: Account, from: MailboxId, to: MailboxId): Promise<void> {
  const entries = await metadataOf(account, { place: 'here', id: from })
  if (entries.size > 0) await putMetadata(account, { place: 'here', id: to }, entries)
}

async function checkRoom(account: Account, what: Annotated, changes: ReadonlyMap<string, string | undefined>) {
  const fits = async () => {
    const prefix = prefixOf(what)
    let octets = 0
    for (const place of Object.values(prefixes))
      for (const [key, value] of await account.entries(place))
        if (!(key.startsWith(prefix) && changes.has(key.slice(prefix.length))))
          octets += key.length + String(value).length
    for (const [entry, value] of changes)
      octets += value === undefined ? 0 : prefix.length + entry.length + value.length
    return octets <= maxAccountOctets
  }
  if (await fits()) return
  await dropOrphans(account)
  if (!(await fits()))
    throw new StoreError('limit', `Annotations of an account have at most ${maxAccountOctets} octets together`)
}

/**
 * Those of mailboxes that can't be brought back any more. Only when there is no room: it looks at all mailboxes. Of one that is made meanwhile nothing is dropped, and
 * where one is renamed or removed meanwhile nothing at all.
 */
async function dropOrphans(account: Account): Promise<void> {
  const keys = [...(await account.entries(prefixes.here)).keys()]
  const living = new Set<string>((await account.removed()).map(({ mailboxId }) => mailboxId))
  const names = (await account.list()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
  let isCertain = true
  await severalAtOnce(names, looksAtOnce, async (name) => {
    const id = await account.findId(name)
    if (id === undefined) isCertain = false
    else living.add(id)
  })
  if (!isCertain) return
  const orphans = keys.filter((key) => !living.has(key.slice(prefixes.here.length).split(' ')[0]!))
  if (orphans.length > 0) await account.put(Object.fromEntries(orphans.map((key) => [key, undefined])))
}
