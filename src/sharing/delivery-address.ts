/** Which shared mailbox an address names. LMTP-10; administration guide 5.3 */

import type { SharedTree, Sharing } from './sharing.ts'

export interface SharedAddress {
  readonly tree: SharedTree
  /** In the tree: INBOX is the top mailbox. It may not be there. */
  readonly mailbox: string
}

/** `archive@example.org`, or `archive+leads/john@example.org` for a mailbox below. Undefined for other addresses. */
export function findSharedAddress({ trees }: Sharing, address: string): SharedAddress | undefined {
  const given = address.normalize('NFC')
  const find = (wanted: string) =>
    trees.find(({ email }) => email?.normalize('NFC').toLowerCase() === wanted.toLowerCase())
  const whole = find(given)
  if (whole !== undefined) return { tree: whole, mailbox: 'INBOX' }
  const at = given.lastIndexOf('@')
  const plus = given.indexOf('+')
  if (plus < 0 || plus > at) return undefined
  const tree = find(given.slice(0, plus) + given.slice(at))
  return tree === undefined ? undefined : { tree, mailbox: given.slice(plus + 1, at) || 'INBOX' }
}
