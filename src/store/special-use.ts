/**
 * What mailboxes are used for: \Sent, \Trash and so on. RFC 6154 §2. Kept in the account's own log by whoever knows it (the gateway, of what a
 * backend says), each under a key of its own, by the names that the mailboxes have here.
 */
import type { Account } from './types.ts'

const prefix = 'use '

/** `by`: who says so; uses by name. Writes nothing when that is known. Throws StoreError. */
export async function putUses(account: Account, by: string, uses: Readonly<Record<string, string>>): Promise<void> {
  const key = prefix + by
  const known = await account.get(key)
  const wanted = Object.keys(uses).length === 0 ? undefined : uses
  if (JSON.stringify(known) !== JSON.stringify(wanted)) await account.put({ [key]: wanted })
}

/**
 * By name. Each use is one mailbox's, since a client has one place for what it sends: where several backends have one, it is the one with the
 * shortest name, which is the one without a prefix; of equally long ones the first by the alphabet. Throws StoreError.
 */
export async function usesOf(account: Account): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  for (const value of (await account.entries(prefix)).values())
    for (const [name, use] of Object.entries(value as Readonly<Record<string, string>>)) {
      const other = names.get(use)
      if (other === undefined || name.length < other.length || (name.length === other.length && name < other))
        names.set(use, name)
    }
  return new Map(Array.from(names, ([use, name]) => [name, use]))
}
