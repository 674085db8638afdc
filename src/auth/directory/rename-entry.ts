/** Gives a user's entry another name: first its DN, where that has the name, then its naming attribute. USR-02, USR-10 */
import { Attribute, Change, type Client, type Entry, EqualityFilter, ResultCodeError } from 'ldapts'
import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { DirectorySettings } from '../../config/directory.ts'
import { isNamedBy, partsOf, renamedDn } from './naming.ts'
import type { LdapPool } from './pool.ts'

export interface RenamingParts {
  readonly settings: DirectorySettings
  readonly pool: LdapPool
  /** The entry of a user. */
  readonly entryOf: (userId: UserId, attributes: string[]) => Promise<Entry | undefined>
  /** Asks for a change of a user's entry. Throws StoreError. */
  readonly change: (userId: UserId, make: (client: Client) => Promise<void>) => Promise<void>
  /** Makes the entries of a user's domain that are missing. */
  readonly addDomain: (pool: LdapPool, userId: UserId, settings: DirectorySettings) => Promise<void>
}

const noSuchObject = 32

/** Goes on where a crash came in between. Throws StoreError not-found, already-exists, and what `change` throws. */
export const renameEntry = async (from: UserId, to: UserId, parts: RenamingParts): Promise<void> => {
  const { settings, pool, entryOf, change, addDomain } = parts
  const there = await entryOf(to, ['1.1'])
  const entry = (await entryOf(from, ['*'])) ?? (there === undefined ? await movedEntry(from, to, parts) : undefined)
  if (entry === undefined) {
    if (there !== undefined) return
    throw new StoreError('not-found', `there is no account ${from}`)
  }
  if (there !== undefined && there.dn !== entry.dn) throw new StoreError('already-exists', `the account ${to} exists`)
  const dn = renamedDn(entry.dn, to, settings)
  if (dn !== entry.dn) {
    const isElsewhere = partsOf(from).domain !== partsOf(to).domain
    if (isElsewhere && settings.mappingSuffix !== undefined) await addDomain(pool, to, settings)
    await change(from, (client) => client.modifyDN(entry.dn, dn))
  }
  const type = settings.usernameAttribute
  if (isNamedBy(dn, type)) return
  const names = Object.entries(entry).find(([name]) => name.toLowerCase() === type.toLowerCase())?.[1] ?? []
  const others = [names]
    .flat()
    .map(String)
    .filter((name) => !isNameOf(from, name, settings))
  const values = [...new Set<string>([to, ...others])]
  await change(from, (client) =>
    client.modify(dn, [new Change({ operation: 'replace', modification: new Attribute({ type, values }) })]),
  )
}

/** The entry that has the new DN and still the old name. */
const movedEntry = async (from: UserId, to: UserId, { settings, pool }: RenamingParts): Promise<Entry | undefined> => {
  if (settings.mappingSuffix === undefined) return undefined
  const filter = new EqualityFilter({ attribute: settings.usernameAttribute, value: from })
  try {
    const dn = renamedDn(undefined, to, settings)
    const { searchEntries } = await pool.ask((client) => client.search(dn, { scope: 'base', filter }))
    return searchEntries[0]
  } catch (error) {
    if (error instanceof ResultCodeError && error.code === noSuchObject) return undefined
    throw error
  }
}

/** Names without domain belong to saslDefaultDomain. */
const isNameOf = (userId: UserId, name: string, { defaultDomain }: DirectorySettings): boolean => {
  const full = name.includes('@') || defaultDomain === undefined ? name : `${name}@${defaultDomain}`
  return full.toLowerCase() === userId.toLowerCase()
}
