/** Access control lists, RFC 4314 §2, and the one answer to "which rights has this user here". */

import { negative } from '../store/acl-values.ts'
import { allRights, noRights, type Rights, withLookup } from './rights.ts'

/** Rights by identifier: a user id, `group:<name>` or `anyone`; with `-` before it they are taken away. */
export type Acl = ReadonlyMap<string, Rights>

/** Whose rights are asked for. */
export interface Identity {
  readonly userId: string
  /** Names of the groups that the user belongs to. */
  readonly groups: ReadonlySet<string>
}

export const anyone = 'anyone'
export const groupPrefix = 'group:'

/** What a user is called in lists: the id. Undefined for one that lists read as a group's or as a negative one: no entry but those of groups and of anyone means that user. */
export function identifierOf(userId: string): string | undefined {
  return userId.startsWith(negative) || userId.startsWith(groupPrefix) ? undefined : userId
}

/** Identifiers that mean the user, the most specific first. */
export function identifiersOf({ userId, groups }: Identity): readonly (readonly string[])[] {
  const own = identifierOf(userId)
  return [own === undefined ? [] : [own], Array.from(groups, (group) => groupPrefix + group), [anyone]]
}

/**
 * The entry of the user counts if there is one, else those of the groups together, else that of anyone (as SHR-03 has it for shared folders); then
 * everything is taken away that a negative entry takes from any of the three. Taking `l` takes all.
 */
export function rightsIn(acl: Acl, who: Identity): Rights {
  const levels = identifiersOf(who)
  const union = (identifiers: readonly string[]) =>
    identifiers.reduce<Rights>((rights, identifier) => rights.union(acl.get(identifier) ?? noRights), noRights)
  const counting = levels.find((identifiers) => identifiers.some((identifier) => acl.has(identifier)))
  const granted = withLookup(union(counting ?? []))
  const taken = union(levels.flat().map((identifier) => negative + identifier))
  return taken.has('l') ? noRights : granted.difference(taken)
}

/** The owner has all rights, whatever the list says. ACL-03 */
export function rightsOf(acl: Acl, owner: string, who: Identity): Rights {
  return who.userId === owner ? allRights : rightsIn(acl, who)
}
