/** Entries that users are below: those of domains, and the container of all. USR-06 */
import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { DirectorySettings } from '../../config/directory.ts'
import { domainEntries, domainSearch, partsOf } from './naming.ts'
import type { LdapPool } from './pool.ts'
import { alreadyExists, asStoreError, isResult, noSuchObject } from './store-error.ts'

/**
 * DN of the entry that saslDomainAttribute finds for the user's domain; undefined: there is none, or it is not looked for. `isNew`: what it
 * would be below may be missing. Throws StoreError.
 */
export const findDomain = async (
  pool: LdapPool,
  userId: UserId,
  settings: DirectorySettings,
  isNew: boolean,
): Promise<string | undefined> => {
  const { domains } = settings
  if (domains === undefined) return undefined
  const { base, filter } = domainSearch(userId, settings, domains)
  try {
    const { searchEntries } = await pool.ask((client) =>
      client.search(base, { scope: 'sub', filter, attributes: ['1.1'], sizeLimit: 2 }),
    )
    const [first, second] = searchEntries
    if (second === undefined) return first?.dn
  } catch (error) {
    if (isNew && isResult(error, noSuchObject)) return undefined
    throw asStoreError(error, `the domains in the directory, below ${base}`)
  }
  throw new StoreError(
    'unavailable',
    `the directory has several entries for ${partsOf(userId).domain}; leave one of them`,
  )
}

/** Makes those that are not there yet. Throws StoreError. */
export const addDomain = async (pool: LdapPool, userId: UserId, settings: DirectorySettings): Promise<void> => {
  const [highest, ...lower] = domainEntries(userId, settings)
  if (highest === undefined) return
  const { domainClasses } = settings
  const add = ({ dn, attribute, value }: typeof highest) =>
    addEntry(pool, dn, { objectClass: [...domainClasses], [attribute]: value })
  try {
    await add(highest)
  } catch (error) {
    if (!isResult(error, noSuchObject)) throw asStoreError(error, `the domain entry ${highest.dn}`)
    await addContainer(pool, settings)
    await add(highest).catch((again: unknown) => {
      throw asStoreError(again, `the domain entry ${highest.dn}`)
    })
  }
  for (const entry of lower)
    await add(entry).catch((error: unknown) => {
      throw asStoreError(error, `the domain entry ${entry.dn}`)
    })
}

/** The entry that all of them are below, when the one above it is there. Throws StoreError. */
export const addContainer = async (pool: LdapPool, settings: DirectorySettings): Promise<void> => {
  const dn = settings.mappingSuffix ?? settings.searchSuffix ?? ''
  const [, attribute, value] = /^\s*([A-Za-z][\w.-]*)\s*=\s*((?:[^,+\\]|\\.)+?)\s*,/s.exec(dn) ?? []
  if (attribute === undefined || value === undefined || /\\[0-9A-Fa-f]/.test(value))
    throw new StoreError('invalid', `the entry ${dn} is not there, and its name is not one that could be made; add it`)
  try {
    await addEntry(pool, dn, {
      objectClass: [...settings.containerClasses],
      [attribute]: value.replace(/\\(.)/gs, '$1'),
    })
  } catch (error) {
    throw asStoreError(error, `the entry ${dn}, which users are below`)
  }
}

const addEntry = async (pool: LdapPool, dn: string, attributes: Record<string, string | string[]>): Promise<void> => {
  try {
    await pool.ask((client) => client.add(dn, attributes), 'change')
  } catch (error) {
    if (!isResult(error, alreadyExists)) throw error
  }
}
