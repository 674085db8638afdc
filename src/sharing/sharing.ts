/** What the configuration says of sharing: groups, and shared roots with their access lists. Administration guide 5. */

import { resolve } from 'node:path'
import { defaultDomain, findUserId } from '../auth/user-id.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import type { SharedRoot } from '../config/options/shared-folders.ts'
import { type Acl, anyone, groupPrefix, type Identity, identifierOf, rightsIn } from './acl.ts'
import { grantable, noRights, parseRights, type Rights } from './rights.ts'

export interface SharedTree {
  /** Users see it as `Shared Folders/<name>`. */
  readonly name: string
  /** Absolute. SHR-14 */
  readonly directory: string
  readonly email: string | undefined
  rightsOf(who: Identity): Rights
}

export interface Sharing {
  identityOf(userId: UserId): Identity
  readonly trees: readonly SharedTree[]
}

/** SHR-06 */
const permissions: Readonly<Record<string, Rights>> = {
  none: noRights,
  read: parseRights('lr'),
  write: parseRights('lswite'),
  manage: parseRights('lkx'),
  all: grantable,
}

export function sharingOf(config: Config): Sharing {
  const domain = defaultDomain(config, undefined)
  const canonical = (name: string) => findUserId(name, domain)
  const groups = new Map<UserId | undefined, Set<string>>()
  for (const { name, users } of config.all('group'))
    for (const user of users.map(canonical)) groups.set(user, (groups.get(user) ?? new Set()).add(name))
  const admin = config.get('admin_user')
  const adminId = admin === undefined || admin === '' ? undefined : canonical(admin)
  return {
    identityOf: (userId) => ({ userId, groups: groups.get(userId) ?? new Set() }),
    trees: config.all('shared_root').map((root) => {
      const acl = aclOf(root, canonical)
      return {
        name: root.name,
        directory: resolve(config.get('shared_root_dir'), root.path),
        email: root.email,
        // SHR-13: folders are the administrator's to make. Nobody changes the list but in the configuration.
        rightsOf: (who) => (who.userId === adminId ? grantable : rightsIn(acl, who)),
      }
    }),
  }
}

/** Nobody's for a name that nobody can be meant by. */
const userIdentifier = (userId: UserId | undefined) => (userId === undefined ? '' : (identifierOf(userId) ?? ''))

/** SHR-03, SHR-05: an entry without permissions counts, and gives none. */
function aclOf({ access }: SharedRoot, canonical: (name: string) => UserId | undefined): Acl {
  return new Map(
    access.map(({ kind, name, access: words }) => {
      const identifier =
        kind === 'user' ? userIdentifier(canonical(name)) : name === anyone ? anyone : groupPrefix + name
      const rights = words.map((word) => permissions[word] ?? noRights)
      return [identifier, rights.reduce((all, some) => all.union(some), noRights)] as const
    }),
  )
}
