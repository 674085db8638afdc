/**
 * Rights on a mailbox, RFC 4314 §2, as letters. Whoever has any right has `l` as well, and without `l` there is none: a mailbox that a user can't
 * see is, for this user, not there. ACL-02
 */

import { SyntaxFault } from '../base/errors.ts'

/** In the order in which they are written. RFC 4314 §2.1 */
const letters = ['l', 'r', 's', 'w', 'i', 'p', 'k', 'x', 't', 'e', 'a'] as const
export type Right = (typeof letters)[number]
export type Rights = ReadonlySet<Right>

/** What the older RFC 2086 has for several at once. RFC 4314 §2.1.1 */
const virtual: ReadonlyMap<string, readonly Right[]> = new Map([
  ['c', ['k', 'x']],
  ['d', ['e', 't']],
])

export const noRights: Rights = new Set()
/** Of the owner, always. ACL-03 */
export const allRights: Rights = new Set(letters)
/** What an owner can give away. ACL-03 */
export const grantable: Rights = allRights.difference(new Set(['a']))

/** The letters as they are given, virtual ones taken apart; nothing is added. Throws SyntaxFault for a letter that is none. */
export function parseRights(text: string): Rights {
  const rights = new Set<Right>()
  for (const letter of text) {
    const members = virtual.get(letter) ?? letters.filter((right) => right === letter)
    if (members.length === 0) throw new SyntaxFault(`"${letter}" is no right; rights are ${letters.join('')}`, 'rights')
    for (const member of members) rights.add(member)
  }
  return rights
}

/** Rights as they are kept. A letter that this version doesn't know gives, and takes, nothing. */
export function storedRights(text: string): Rights {
  return new Set(letters.filter((right) => text.includes(right)))
}

/** Rights as they are kept and shown, without the virtual ones. */
export function formatRights(rights: Rights): string {
  return letters.filter((right) => rights.has(right)).join('')
}

/** Rights as clients are told, also those that know RFC 2086 only. RFC 4314 §2.1.1 */
export function formatWithVirtual(rights: Rights): string {
  const also = [...virtual].filter(([, members]) => members.some((member) => rights.has(member)))
  return formatRights(rights) + also.map(([letter]) => letter).join('')
}

/** Of LISTRIGHTS: each letter can be given by itself. RFC 4314 §3.7 */
export const grantableLetters: readonly string[] = [
  ...letters.filter((right) => grantable.has(right)),
  ...virtual.keys(),
]

/** ACL-02 */
export function withLookup(rights: Rights): Rights {
  return rights.size === 0 || rights.has('l') ? rights : rights.union(new Set<Right>(['l']))
}
