/** The trees of mailboxes that a user sees beside the own one: those of other users, and shared ones. MST-03 */

import type { MailboxId, UserId } from '../base/ids.ts'
import { canonicalName } from '../store/names.ts'
import { severalAtOnce } from '../store/several.ts'
import type { Account } from '../store/types.ts'
import { type Identity, rightsIn } from './acl.ts'
import { aclOf, aclsOf } from './personal-acl.ts'
import { noRights, type Rights } from './rights.ts'

/** Mailboxes, and accounts, that are looked at at the same time: as many as a server's threads for files. */
export const looksAtOnce = 16

export const otherUsersPrefix = 'Other Users/'
export const sharedFoldersPrefix = 'Shared Folders/'

/** Names are canonical: `name` as the user calls a mailbox, `local` as its account does. */
export interface Tree {
  readonly account: Account
  /** Undefined for a name that no mailbox of this tree has. */
  localOf(name: string): string | undefined
  nameOf(local: string): string
  /** Of a mailbox that is there. */
  rightsOn(mailbox: MailboxId): Promise<Rights>
  /** What the user sees of it, by local names. */
  visible(): Promise<readonly string[]>
  /** The mailboxes above, the nearest first, whether they are there or not. */
  above(local: string): readonly string[]
}

/** `Other Users/<owner>/` and behind it the names as the owner has them. */
export function otherUsersTree(account: Account, who: () => Identity): Tree {
  const prefix = `${otherUsersPrefix}${account.userId}/`
  return {
    account,
    localOf: (name) => (name.startsWith(prefix) ? canonicalName(name.slice(prefix.length)) : undefined),
    nameOf: (local) => prefix + local,
    rightsOn: async (mailbox) => rightsIn(await aclOf(account, mailbox), who()),
    visible: async () => {
      const acls = [...(await aclsOf(account))].filter(([, acl]) => rightsIn(acl, who()).has('l'))
      if (acls.length === 0) return []
      const ids = new Set(acls.map(([mailbox]) => mailbox))
      const found: string[] = []
      await severalAtOnce(await selectable(account), looksAtOnce, async (local) => {
        const id = await account.findId(local)
        if (id !== undefined && ids.has(id)) found.push(local)
      })
      return found
    },
    above: levelsAbove,
  }
}

/** `Shared Folders/<name>`, which is a mailbox itself: the account's INBOX. LMTP-10, IMAP-15 */
export function sharedTree(account: Account, root: string, rights: () => Rights): Tree {
  const top = sharedFoldersPrefix + root
  return {
    account,
    localOf: (name) => {
      if (name === top) return 'INBOX'
      const local = name.startsWith(`${top}/`) ? canonicalName(name.slice(top.length + 1)) : 'INBOX'
      // It would be a second name of the top.
      return /^INBOX(\/|$)/.test(local) ? undefined : local
    },
    nameOf: (local) => (local === 'INBOX' ? top : `${top}/${local}`),
    rightsOn: async () => rights(),
    visible: async () => (rights().has('l') ? await selectable(account) : []),
    above: (local) => [...levelsAbove(local), 'INBOX'],
  }
}

/** Rights on a mailbox by its name; none where there is no such mailbox. */
export async function rightsAt(tree: Tree, local: string): Promise<Rights> {
  const mailbox = await tree.account.findId(local)
  return mailbox === undefined ? noRights : await tree.rightsOn(mailbox)
}

/** Whose name it is, of one below `Other Users/`: a user id may have the delimiter before its `@`. */
export function ownerIn(name: string): UserId | undefined {
  const rest = name.slice(otherUsersPrefix.length)
  const at = rest.indexOf('@')
  const end = rest.indexOf('/', at)
  return at < 0 || end < 0 ? undefined : (rest.slice(0, end) as UserId)
}

async function selectable(account: Account): Promise<string[]> {
  return (await account.list()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
}

/** The nearest first. */
export function levelsAbove(local: string): readonly string[] {
  const levels: string[] = []
  for (let end = local.lastIndexOf('/'); end > 0; end = local.lastIndexOf('/', end - 1))
    levels.push(local.slice(0, end))
  return levels
}
