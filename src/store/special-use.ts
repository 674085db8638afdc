/**
 * What mailboxes are used for: \Sent, \Trash and so on. RFC 6154 §2. Kept in the account's own log. Whoever learns it of a backend (the gateway)
 * keeps it under a key of its own, by the names that the mailboxes have here; what the user says is kept by mailbox id, with the names that the
 * mailbox may have: the one whose mailbox has the id is the one that counts, so that neither a crash in a rename nor another mailbox of an old name matters.
 */
import type { MailboxId } from '../base/ids.ts'
import type { Account } from './types.ts'

/** By name, e.g. `{"Gesendet":"\\Sent"}`. */
const learnedPrefix = 'use '
/** Before a mailbox id: `Assigned`. */
const assignedPrefix = 'use-of '

interface Assigned {
  readonly uses: readonly string[]
  readonly names: readonly string[]
}

/** `by`: who says so; uses by name. Writes nothing when that is known. Throws StoreError. */
export async function putUses(account: Account, by: string, uses: Readonly<Record<string, string>>): Promise<void> {
  const key = learnedPrefix + by
  const known = await account.get(key)
  const wanted = Object.keys(uses).length === 0 ? undefined : uses
  if (JSON.stringify(known) !== JSON.stringify(wanted)) await account.put({ [key]: wanted })
}

/** The user says what a mailbox is used for: no other one that the user said it of is used for that any more. Empty: for nothing. Throws StoreError. */
export async function assignUses(
  account: Account,
  mailbox: { readonly id: MailboxId; readonly name: string },
  uses: readonly string[],
): Promise<void> {
  const key = assignedPrefix + mailbox.id
  const changes: Record<string, Assigned | undefined> = {}
  for (const [other, value] of await account.entries(assignedPrefix)) {
    const { uses: before, names } = value as Assigned
    const left = before.filter((use) => !uses.includes(use))
    if (other !== key && left.length < before.length)
      changes[other] = left.length === 0 ? undefined : { uses: left, names }
  }
  changes[key] = uses.length === 0 ? undefined : { uses, names: [mailbox.name] }
  await account.put(changes)
}

/** What the user says of a mailbox. Throws StoreError. */
export async function assignedUses(account: Account, mailbox: MailboxId): Promise<readonly string[]> {
  return ((await account.get(assignedPrefix + mailbox)) as Assigned | undefined)?.uses ?? []
}

/**
 * By name. Each use is one mailbox's, since a client has one place for what it sends: the one that the user says, else the one with the shortest
 * name, which is that of the backend without a prefix; of equally long ones the first by the alphabet. Throws StoreError.
 */
export async function usesOf(account: Account): Promise<ReadonlyMap<string, readonly string[]>> {
  const assigned = best(await assignedTo(account))
  const learned: (readonly [use: string, name: string])[] = []
  for (const value of (await account.entries(learnedPrefix)).values())
    for (const [name, use] of Object.entries(value as Readonly<Record<string, string>>)) learned.push([use, name])
  const names = new Map([...best(learned), ...assigned])
  const uses = new Map<string, string[]>()
  for (const [use, name] of names) uses.set(name, [...(uses.get(name) ?? []), use])
  return uses
}

/** For a rename, before it: the mailbox is found under both names. Throws StoreError. */
export async function expectRename(account: Account, from: string, to: string): Promise<void> {
  await changeNames(account, (name) =>
    name === from || name.startsWith(`${from}/`) ? [name, to + name.slice(from.length)] : undefined,
  )
}

/** For a mailbox that has been brought back, under a name that may be another one than before. Throws StoreError. */
export async function expectAt(account: Account, mailbox: { readonly id: MailboxId; readonly name: string }) {
  const key = assignedPrefix + mailbox.id
  const value = (await account.get(key)) as Assigned | undefined
  if (value !== undefined) await account.put({ [key]: { ...value, names: [mailbox.name] } })
}

async function changeNames(account: Account, change: (name: string) => readonly string[] | undefined): Promise<void> {
  const changes: Record<string, Assigned> = {}
  for (const [key, value] of await account.entries(assignedPrefix)) {
    const name = await currentName(account, key, value as Assigned)
    const names = name === undefined ? undefined : change(name)
    if (names !== undefined) changes[key] = { ...(value as Assigned), names }
  }
  if (Object.keys(changes).length > 0) await account.put(changes)
}

async function assignedTo(account: Account): Promise<readonly (readonly [use: string, name: string])[]> {
  const found: (readonly [use: string, name: string])[] = []
  for (const [key, value] of await account.entries(assignedPrefix)) {
    const name = await currentName(account, key, value as Assigned)
    if (name !== undefined) for (const use of (value as Assigned).uses) found.push([use, name])
  }
  return found
}

/** Undefined for a mailbox that is not there now. */
async function currentName(account: Account, key: string, { names }: Assigned): Promise<string | undefined> {
  for (const name of names) if ((await account.findId(name)) === key.slice(assignedPrefix.length)) return name
  return undefined
}

function best(candidates: readonly (readonly [use: string, name: string])[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const [use, name] of candidates) {
    const other = names.get(use)
    if (other === undefined || name.length < other.length || (name.length === other.length && name < other))
      names.set(use, name)
  }
  return names
}
