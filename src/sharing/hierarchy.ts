/**
 * The mailboxes as one user sees them, and the one place that says what he may do with them. What a maintainer could break:
 * - A mailbox that the user has no right on, and one that does not exist, get the same answer from every method. So whether there is one is never looked at before
 *   whether the user may know.
 * - The own account costs nothing: no list is read for it.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { canonicalName } from '../store/names.ts'
import { severalAtOnce } from '../store/several.ts'
import type { Account, MailboxEntry, Store } from '../store/types.ts'
import { type Acl, identifiersOf } from './acl.ts'
import {
  aclOf,
  aclsOf,
  canonicalIdentifier,
  changeAcl,
  deleteAcl,
  idIn,
  inheritAcl,
  type RightsChange,
} from './personal-acl.ts'
import { allRights, noRights, type Right, type Rights } from './rights.ts'
import type { Sharing } from './sharing.ts'
import {
  levelsAbove,
  looksAtOnce,
  otherUsersPrefix,
  otherUsersTree,
  ownerIn,
  rightsAt,
  sharedFoldersPrefix,
  sharedTree,
  type Tree,
} from './trees.ts'

/** A mailbox that the user may know of; in the own account also one that may not be there. */
export interface Place {
  /** As the user calls it. */
  readonly name: string
  readonly account: Account
  /** As the account calls it. */
  readonly local: string
  /** Undefined in the own account, where the user has all rights for ever. Else asked whenever it matters: lists change. */
  readonly rightsOn: ((mailbox: MailboxId) => Promise<Rights>) | undefined
  /** As they are now. */
  readonly rights: Rights
  /** It belongs to no user. */
  readonly isShared: boolean
}

export class Hierarchy {
  readonly #userId: UserId
  readonly #store: Store
  readonly #sharing: () => Sharing
  readonly #own: Account
  readonly #log: Log

  /** `sharing`: as configured now. */
  constructor(userId: UserId, store: Store, sharing: () => Sharing, log: Log) {
    this.#log = log
    this.#userId = userId
    this.#store = store
    this.#sharing = sharing
    this.#own = store.account(userId)
  }

  /** Makes the shared roots that the user may use, when they aren't there. SHR-02 */
  async ensureShared(): Promise<void> {
    for (const { directory, name, rightsOf } of this.#sharing().trees)
      if (rightsOf(this.#who).has('l')) await this.#store.tree(sharedFoldersPrefix + name, directory).ensure()
  }

  /**
   * The mailbox, if the user has these rights on it. Throws StoreError not-found for one that he can't see, as for one that isn't there;
   * no-permission for one that he sees.
   */
  async permit(given: string, ...needs: readonly Right[]): Promise<Place> {
    const name = canonicalName(given)
    if (!isReserved(name)) return this.#ownPlace(name)
    const tree = await this.#treeOf(name)
    const local = tree?.localOf(name)
    const rights = tree === undefined || local === undefined ? noRights : await rightsAt(tree, local)
    if (tree === undefined || local === undefined || !rights.has('l')) {
      // One that had such a name before, or at a backend, is not hidden by nothing.
      if ((await this.#own.findId(name)) !== undefined) return this.#ownPlace(name)
      throw notFound()
    }
    const missing = needs.filter((need) => !rights.has(need))
    if (missing.length > 0) throw notPermitted(missing)
    return {
      name,
      account: tree.account,
      local,
      rightsOn: (mailbox) => tree.rightsOn(mailbox),
      rights,
      isShared: name.startsWith(sharedFoldersPrefix),
    }
  }

  /** The same, and the mailbox is there. */
  async permitExisting(given: string, ...needs: readonly Right[]): Promise<Place> {
    const place = await this.permit(given, ...needs)
    if (place.rightsOn === undefined && (await place.account.findId(place.local)) === undefined) throw notFound()
    return place
  }

  /** Whether CREATE could make it, for all that the user may know. */
  async mayCreate(given: string): Promise<boolean> {
    const name = canonicalName(given)
    return !isReserved(name) || (await this.#findForNew(name)) !== undefined
  }

  /** As the user calls a mailbox, there or not, of whatever account or shared tree (`treeName`: its user id, or what stands for it); '' for the server, which is in none. */
  nameOf(treeName: string | undefined, local: string): string {
    if (treeName === undefined || treeName === this.#userId) return local
    if (!treeName.startsWith(sharedFoldersPrefix)) return `${otherUsersPrefix}${treeName}/${local}`
    return local === 'INBOX' ? treeName : `${treeName}/${local}`
  }

  /** It would lie in the user's account. */
  isOwn(given: string): boolean {
    return !isReserved(canonicalName(given))
  }

  /** Undefined when somebody else removed it at once. */
  async create(given: string): Promise<MailboxId | undefined> {
    const name = canonicalName(given)
    if (isReserved(name)) {
      const { account, local, parent } = await this.#forNew(name)
      await account.create(local)
      await inheritAcl(this.#store, account, local, parent)
      return await account.findId(local)
    }
    await this.#own.create(name)
    if ((await aclsOf(this.#own)).size > 0) {
      const parent = await nearest(this.#own, levelsAbove(name))
      if (parent !== undefined) await inheritAcl(this.#store, this.#own, name, parent)
    }
    return await this.#own.findId(name)
  }

  /** Answers where it was. */
  async remove(given: string): Promise<Place> {
    const place = await this.permit(given, 'x')
    if (place.rightsOn !== undefined && place.local === 'INBOX') throw notPermitted(['x'])
    await place.account.remove(place.local)
    return place
  }

  async rename(from: string, to: string): Promise<void> {
    const source = await this.permit(from, 'x')
    // Its messages would move, and it would stay: that is the owner's to do. RFC 9051 §6.3.6
    if (source.rightsOn !== undefined && source.local === 'INBOX') throw notPermitted(['x'])
    const name = canonicalName(to)
    const { account, local } = isReserved(name) ? await this.#forNew(name) : { account: this.#own, local: name }
    if (account !== source.account)
      throw new StoreError('invalid', 'A mailbox can not move to another account; copy its messages')
    await account.rename(source.local, local)
  }

  /** The list of a mailbox that the user administers. */
  async acl(given: string): Promise<Acl> {
    const { account, local } = await this.permit(given, 'a')
    return await aclOf(account, await idIn(account, local))
  }

  /** Answers where it is. Throws SyntaxFault for an identifier that can be nobody. */
  async changeAcl(given: string, identifier: string, change: RightsChange): Promise<Place> {
    const who = this.identifierOf(identifier)
    const place = await this.permit(given, 'a')
    await changeAcl(this.#store, place.account.userId, place.local, who, change)
    return place
  }

  /** Answers where it is. Throws SyntaxFault. */
  async deleteAcl(given: string, identifier: string): Promise<Place> {
    const who = this.identifierOf(identifier)
    const place = await this.permit(given, 'a')
    await deleteAcl(this.#store, place.account.userId, place.local, who)
    return place
  }

  /** As lists have it; a user id without a domain is one of the user's own. Throws SyntaxFault. */
  identifierOf(given: string): string {
    return canonicalIdentifier(given, this.#userId.slice(this.#userId.lastIndexOf('@') + 1))
  }

  /** The own mailboxes. Sorted, INBOX first. */
  listOwn(): Promise<readonly MailboxEntry[]> {
    return this.#own.list()
  }

  /** What other users and shared roots let the user see, with the levels above it, as if nothing else existed. */
  async listOthers(): Promise<readonly MailboxEntry[]> {
    const names: string[] = []
    await severalAtOnce([...(await this.#otherUsers()), ...this.#shared()], looksAtOnce, async (tree) => {
      for (const local of await this.#orNone(tree.account.userId, tree.visible())) names.push(tree.nameOf(local))
    })
    const mailboxes = new Set(names)
    const levels = new Set<string>()
    for (const name of names)
      for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1))
        levels.add(name.slice(0, end))
    return [...mailboxes.union(levels)]
      .sort((a, b) => (a < b ? -1 : 1))
      .map((name) => ({ name, selectable: mailboxes.has(name), hasChildren: levels.has(name) }))
  }

  /** What the user may do with a mailbox now; nothing where he can't see one. */
  async rightsAt(given: string): Promise<Rights> {
    try {
      return (await this.permit(given)).rights
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found') return noRights
      throw error
    }
  }

  /** Accounts and shared trees that what has this name, or lies below it, may belong to, whatever the user may see of them. `name`: canonical. */
  async accountsAt(name: string): Promise<readonly Account[]> {
    if (!isReserved(name)) return [this.#own]
    const isAtOrBelow = (top: string) => `${name}/`.startsWith(top) || top.startsWith(`${name}/`)
    const trees: Tree[] = this.#shared().filter(({ nameOf }) => isAtOrBelow(`${nameOf('INBOX')}/`))
    if (`${name}/` === otherUsersPrefix) trees.push(...(await this.#otherUsers()))
    else if (name.startsWith(otherUsersPrefix)) {
      const tree = await this.#otherUser(ownerIn(`${name}/`))
      if (tree !== undefined) trees.push(tree)
    }
    return trees.map(({ account }) => account)
  }

  #ownPlace(name: string): Place {
    return { name, account: this.#own, local: name, rightsOn: undefined, rights: allRights, isShared: false }
  }

  /** Where a mailbox that is not the user's would be made, and the one that it is made below. */
  async #forNew(name: string): Promise<{ account: Account; local: string; parent: string }> {
    const found = await this.#findForNew(name)
    if (found === undefined) throw notPermitted(['k'])
    return found
  }

  /** Undefined where the nearest mailbox above doesn't let the user. RFC 4314 §4 */
  async #findForNew(name: string): Promise<{ account: Account; local: string; parent: string } | undefined> {
    const tree = await this.#treeOf(name)
    const local = tree?.localOf(name)
    if (tree === undefined || local === undefined) return undefined
    const parent = await nearest(tree.account, tree.above(local))
    if (parent === undefined || !(await rightsAt(tree, parent)).has('k')) return undefined
    return { account: tree.account, local, parent }
  }

  /** Of a reserved name. */
  async #treeOf(name: string): Promise<Tree | undefined> {
    if (name.startsWith(otherUsersPrefix)) return await this.#otherUser(ownerIn(name))
    return this.#shared().find(({ nameOf }) => `${name}/`.startsWith(`${nameOf('INBOX')}/`))
  }

  async #otherUser(owner: UserId | undefined): Promise<Tree | undefined> {
    if (owner === undefined || owner === this.#userId) return undefined
    const account = this.#store.account(owner)
    return (await account.exists()) ? otherUsersTree(account, () => this.#who) : undefined
  }

  #shared(): readonly Tree[] {
    return this.#sharing().trees.map(({ name, directory }) => {
      // Taken out of the configuration, or another directory's name now: then it is nobody's.
      const asNow = () => this.#sharing().trees.find((tree) => tree.name === name && tree.directory === directory)
      const account = this.#store.tree(sharedFoldersPrefix + name, directory)
      return sharedTree(account, name, () => asNow()?.rightsOf(this.#who) ?? noRights)
    })
  }

  /** Those who have given the user rights. */
  async #otherUsers(): Promise<readonly Tree[]> {
    const owners = new Set<UserId>()
    for (const identifier of identifiersOf(this.#who).flat())
      for (const owner of await this.#orNone(identifier, this.#store.sharers.of(identifier))) owners.add(owner)
    const trees: Tree[] = []
    await severalAtOnce([...owners], looksAtOnce, async (owner) => {
      const found = this.#otherUser(owner).then((tree) => (tree === undefined ? [] : [tree]))
      trees.push(...(await this.#orNone(owner, found)))
    })
    return trees
  }

  /** What can't be looked at is left out of lists: one bad account must not take those of all others with it. RFC 4314 §4 */
  async #orNone<T>(whose: string, attempt: Promise<readonly T[]>): Promise<readonly T[]> {
    try {
      return await attempt
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // Removed since somebody told of it.
      if (error.kind !== 'not-found')
        this.#log.log('err', 'what somebody shares is left out of a list', { whose, cause: error.message })
      return []
    }
  }

  get #who() {
    return this.#sharing().identityOf(this.#userId)
  }
}

/** The names that the prefixes of other trees take. */
function isReserved(name: string): boolean {
  return [otherUsersPrefix, sharedFoldersPrefix].some((prefix) => `${name}/`.startsWith(prefix))
}

async function nearest(account: Account, levels: readonly string[]): Promise<string | undefined> {
  for (const level of levels) if ((await account.findId(level)) !== undefined) return level
  return undefined
}

function notFound(): StoreError {
  return new StoreError('not-found', 'The mailbox does not exist')
}

function notPermitted(missing: readonly Right[]): StoreError {
  return new StoreError('no-permission', `Not permitted: needs the right ${missing.join(', ')} here`)
}
