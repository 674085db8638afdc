/**
 * The lists of personal mailboxes, kept in the account's own log under the mailbox's id: so they follow it when it is renamed, a mailbox made under
 * a name that another one had begins without, and one that is brought back has its own again.
 */

import { canonicalUserId } from '../auth/user-id.ts'
import { StoreError, SyntaxFault } from '../base/errors.ts'
import type { MailboxId, UserId } from '../base/ids.ts'
import { aclPrefix, namedIn, negative, type StoredAcl } from '../store/acl-values.ts'
import type { Account, Store } from '../store/types.ts'
import { type Acl, anyone, groupPrefix, identifierOf } from './acl.ts'
import { formatRights, noRights, type Rights, storedRights, withLookup } from './rights.ts'

/** Identifiers in one list. */
const maxIdentifiers = 1000

/** How one identifier's rights change. RFC 4314 §3.1 */
export interface RightsChange {
  readonly mode: 'set' | 'add' | 'remove'
  readonly rights: Rights
}

/** The form in which an identifier is kept; `domain` completes user ids without one. Throws SyntaxFault. */
export function canonicalIdentifier(given: string, domain: string): string {
  const taken = given.startsWith(negative) ? negative : ''
  const identifier = given.slice(taken.length).normalize('NFC')
  if (identifier.startsWith(negative))
    throw new SyntaxFault('An identifier has one "-" before it at most', 'identifier')
  if (identifier.toLowerCase() === anyone) return taken + anyone
  if (!identifier.startsWith(groupPrefix)) return taken + canonicalUserId(identifier, domain)
  if (!/^[^\p{C}]{1,255}$/u.test(identifier.slice(groupPrefix.length)))
    throw new SyntaxFault('The name of a group is empty, too long, or has control characters', 'identifier')
  return taken + identifier
}

/** Throws StoreError not-found. */
export async function idIn(account: Account, mailbox: string): Promise<MailboxId> {
  const id = await account.findId(mailbox)
  if (id === undefined) throw new StoreError('not-found', 'The mailbox does not exist')
  return id
}

/** Empty for a mailbox that is nobody's but the owner's. */
export async function aclOf(account: Account, mailbox: MailboxId): Promise<Acl> {
  return aclIn(await account.get(aclPrefix + mailbox))
}

/** Of all mailboxes that have one. */
export async function aclsOf(account: Account): Promise<ReadonlyMap<MailboxId, Acl>> {
  const entries = await account.entries(aclPrefix)
  return new Map(Array.from(entries, ([key, value]) => [key.slice(aclPrefix.length) as MailboxId, aclIn(value)]))
}

/** Throws StoreError not-found, no-permission for what can't be given away, limit. */
export async function changeAcl(
  store: Store,
  owner: UserId,
  mailbox: string,
  identifier: string,
  change: RightsChange,
): Promise<void> {
  await changeAclOf(store, owner, await idIn(store.account(owner), mailbox), identifier, change)
}

/** The same for the mailbox that has this id, whatever its name is meanwhile. */
export async function changeAclOf(
  store: Store,
  owner: UserId,
  mailboxId: MailboxId,
  identifier: string,
  change: RightsChange,
): Promise<void> {
  const named = identifier.startsWith(negative) ? identifier.slice(negative.length) : identifier
  if (named === owner) throw new StoreError('no-permission', 'The owner always has all rights')
  if (change.mode !== 'remove' && change.rights.has('a'))
    throw new StoreError('no-permission', 'The right "a" belongs to the owner and can not be given')
  const account = store.account(owner)
  const changed = (acl: Acl): Acl => {
    const before = acl.get(identifier) ?? noRights
    const rights = {
      set: change.rights,
      add: before.union(change.rights),
      remove: before.difference(change.rights),
    }[change.mode]
    // Taking rights is not having them: what is taken is as it was said. ACL-02
    const after = named === identifier ? withLookup(rights) : rights
    const others = [...acl].filter(([other]) => other !== identifier)
    if (after.size > 0 && others.length >= maxIdentifiers)
      throw new StoreError('limit', `An access control list has at most ${maxIdentifiers} identifiers`)
    return new Map(after.size === 0 ? others : [...others, [identifier, after]])
  }
  // Before it is so: whoever was told that it is finds the mailbox, and a name that can't be noted gives no rights.
  if (changed(await aclOf(account, mailboxId)).has(identifier)) await store.sharers.add(named, owner)
  await update(store, account, mailboxId, changed)
}

/** Takes an identifier out of the list, or all of them. Nothing for one that is not in it. ACL-04 */
export async function deleteAcl(store: Store, owner: UserId, mailbox: string, identifier?: string): Promise<void> {
  const account = store.account(owner)
  const mailboxId = await idIn(account, mailbox)
  await update(store, account, mailboxId, (acl) =>
    identifier === undefined ? new Map() : new Map([...acl].filter(([other]) => other !== identifier)),
  )
}

/** A new mailbox has the list of the nearest mailbox above it. RFC 4314 §4 */
export async function inheritAcl(
  store: Store,
  account: Account,
  mailbox: string,
  parent: string | undefined,
): Promise<void> {
  if (parent === undefined) return
  const acl = await aclOf(account, await idIn(account, parent))
  if (acl.size === 0) return
  await update(store, account, await idIn(account, mailbox), () => acl)
}

/**
 * A user has another id now: what he gives is noted under it, and what others have given him is his again, and taken from him what they took.
 * Throws StoreError.
 */
export async function renameInAcls(store: Store, from: UserId, to: UserId): Promise<void> {
  const own = await store.account(to).entries(aclPrefix)
  for (const identifier of namedIn(own)) {
    await store.sharers.add(identifier, to)
    await store.sharers.remove(identifier, from)
  }
  const called = identifierOf(to)
  await changeInAcls(store, from, (identifier) => {
    if (called === undefined) return undefined
    return identifier === from ? called : negative + called
  })
}

/** A user is no more: nothing is noted of what he gave, and who comes by that id has not what others gave him. Throws StoreError. */
export async function forgetInAcls(store: Store, userId: UserId): Promise<void> {
  const account = store.account(userId)
  const own = (await account.exists()) ? await account.entries(aclPrefix) : []
  for (const identifier of namedIn(own)) await store.sharers.remove(identifier, userId)
  await changeInAcls(store, userId, () => undefined)
}

/** In all lists that name a user: `called` says how he is named from now on, undefined for not at all. */
async function changeInAcls(store: Store, userId: UserId, called: (identifier: string) => string | undefined) {
  if (identifierOf(userId) === undefined) return
  const isHis = (identifier: string) => identifier === userId || identifier === negative + userId
  const changed = (acl: Acl): Acl =>
    new Map(
      [...acl].flatMap(([who, rights]) => {
        const name = isHis(who) ? called(who) : who
        return name === undefined ? [] : [[name, rights]]
      }),
    )
  for (const owner of await store.sharers.of(userId)) {
    const account = store.account(owner)
    if (!(await account.exists())) continue
    for (const [mailbox, acl] of await aclsOf(account))
      if ([...acl.keys()].some(isHis)) await update(store, account, mailbox, changed)
  }
}

async function update(store: Store, account: Account, mailbox: MailboxId, change: (acl: Acl) => Acl): Promise<void> {
  const { sharers } = store
  const owner = account.userId
  let [before, after]: [unknown, StoredAcl] = [undefined, {}]
  await account.update(aclPrefix + mailbox, (value) => {
    before = value
    after = Object.fromEntries(Array.from(change(aclIn(value)), ([who, rights]) => [who, formatRights(rights)]))
    return Object.keys(after).length === 0 ? undefined : after
  })
  const given = (value: unknown) => namedIn([[aclPrefix, value ?? {}]])
  for (const identifier of given(after)) await sharers.add(identifier, owner)
  const gone = given(before).difference(given(after))
  if (gone.size === 0) return
  for (const identifier of gone.difference(namedIn(await account.entries(aclPrefix)))) {
    await sharers.remove(identifier, owner)
    // Somebody may have given rights at this moment, and have found the note there still.
    if (namedIn(await account.entries(aclPrefix)).has(identifier)) await sharers.add(identifier, owner)
  }
}

function aclIn(value: unknown): Acl {
  const list = (value ?? {}) as StoredAcl
  return new Map(Object.entries(list).map(([identifier, letters]) => [identifier, storedRights(letters)]))
}
