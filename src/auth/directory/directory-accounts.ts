/**
 * Accounts that are entries of a directory (LDAP). Every look-up asks the directory: its cost does not grow with the number of users where the
 * naming attribute has an index. Changes touch the attributes that a record names, and no others.
 * docs/decisions/0075-users-in-a-directory.md
 */
import {
  AndFilter,
  Attribute,
  BerWriter,
  Change,
  type Client,
  type Entry,
  EqualityFilter,
  ResultCodeError,
  type SearchOptions,
} from 'ldapts'
import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { DirectorySettings } from '../../config/directory.ts'
import type { AccountRecord, Accounts } from '../accounts.ts'
import { addressProperty } from '../address-index.ts'
import { addContainer, addDomain, findDomain } from './domains.ts'
import {
  type DirectoryAccount,
  isProperty,
  loginAttributes,
  nameAttributes,
  passwordAttribute,
  readEntry,
  writeEntry,
} from './entry.ts'
import {
  domainSearch,
  type EntrySearch,
  newEntryDn,
  ProxiedAuthorization,
  partsOf,
  searchOf,
  userFilter,
} from './naming.ts'
import { LdapPool, type PoolParts } from './pool.ts'
import { renameEntry } from './rename-entry.ts'
import { asStoreError, isResult, noSuchObject } from './store-error.ts'
import { isClear, passwordMatches } from './stored-password.ts'

const whoAmI = '1.3.6.1.4.1.4203.1.11.3'
const modifyPassword = '1.3.6.1.4.1.4203.1.11.1'
const pageSize = 500

/** Does no I/O yet. Throws OptionFault for a filter that isn't one. Everything throws StoreError unavailable when the directory can't be asked. */
export const openDirectoryAccounts = (settings: DirectorySettings, parts: PoolParts): Accounts => {
  const pool = new LdapPool(settings, parts)
  userFilter(settings)
  if (settings.domains !== undefined) domainSearch('a@a' as UserId, settings, settings.domains)
  /** What only the directory knows of the records that it gave. */
  const found = new WeakMap<AccountRecord, DirectoryAccount>()

  /** Undefined: nobody has that domain. */
  const computedSearch = async (userId: UserId, isNew: boolean): Promise<EntrySearch | undefined> => {
    if (settings.domains === undefined) return searchOf(userId, settings)
    const domain = await findDomain(pool, userId, settings, isNew)
    return domain === undefined ? undefined : searchOf(userId, settings, domain)
  }

  /** `isNew`: what users are below may be missing still. */
  const entryOf = async (userId: UserId, attributes: string[], isNew = false): Promise<Entry | undefined> => {
    const { mapMethod } = settings
    const asked = mapMethod === 'emulate' ? undefined : await askedSearch(pool, userId, settings)
    const named = asked ?? (mapMethod === 'proxyauth' ? undefined : await computedSearch(userId, isNew))
    if (named === undefined) return undefined
    const { base, filter } = named
    const scope = 'scope' in named ? 'base' : 'sub'
    const buffers = [passwordAttribute]
    const options: SearchOptions = { scope, filter, attributes, sizeLimit: 2, explicitBufferAttributes: buffers }
    try {
      const { searchEntries } = await pool.ask((client) => client.search(base, options))
      if (searchEntries.length > 1)
        throw new StoreError('unavailable', `the directory has several entries for ${userId}; leave one of them`)
      return searchEntries[0]
    } catch (error) {
      // Nobody of this domain, or of this name. The base of all users has to be there.
      if (isResult(error, noSuchObject) && (isNew || base !== settings.searchSuffix)) return undefined
      throw asStoreError(error, `the user directory, below ${base}`)
    }
  }

  const find = async (userId: UserId): Promise<AccountRecord | undefined> => {
    const entry = await entryOf(userId, loginAttributes(settings))
    const account = entry === undefined ? undefined : readEntry(entry, settings, userId)
    if (account !== undefined) found.set(account.record, account)
    return account?.record
  }

  const findByAddress = async (address: string): Promise<AccountRecord | undefined> => {
    const base = settings.searchSuffix ?? settings.mappingSuffix ?? ''
    const named = new EqualityFilter({ attribute: addressProperty, value: address })
    const filter = new AndFilter({ filters: [userFilter(settings), named] })
    const options: SearchOptions = { scope: 'sub', filter, attributes: loginAttributes(settings), sizeLimit: 2 }
    try {
      const { searchEntries } = await pool.ask((client) => client.search(base, options))
      const [entry, another] = searchEntries
      if (another !== undefined)
        throw new StoreError(
          'unavailable',
          `the directory has several entries with ${address}; leave it to one of them`,
        )
      return entry === undefined ? undefined : readEntry(entry, settings)?.record
    } catch (error) {
      throw asStoreError(error, `the user directory, below ${base}`)
    }
  }

  const change = async (userId: UserId, make: (client: Client) => Promise<void>): Promise<void> => {
    try {
      await pool.ask(make, 'change')
    } catch (error) {
      throw asStoreError(error, `the entry of ${userId}`)
    }
  }

  /** RFC 3062 where the server is to hash it, else as it is, for mechanisms that need it so. */
  const setPassword = (userId: UserId, dn: string, password: Buffer): Promise<void> =>
    change(userId, async (client) => {
      if (settings.passwords === 'clear')
        await client.modify(dn, [
          new Change({
            operation: 'replace',
            modification: new Attribute({ type: passwordAttribute, values: [password] }),
          }),
        ])
      else await client.exop(modifyPassword, passwordChange(dn, password))
    })

  return {
    find,
    findByAddress,
    matches: async (userId, account, password) => {
      if (password.length === 0) return false
      const known = account === undefined ? undefined : found.get(account)
      if (settings.passwords !== 'bind') {
        const kind = settings.passwords
        return (known?.passwords ?? []).map((stored) => passwordMatches(stored, password, kind)).includes(true)
      }
      const text = asText(password)
      // As much work for a user whom nobody knows: no entry has this name.
      const opened = await pool.opens(known?.dn ?? newEntryDn(userId, settings), text ?? '\ufffd')
      return opened && known !== undefined && text !== undefined
    },
    clearPassword: (account) =>
      settings.passwords === 'clear' ? found.get(account)?.passwords.find((stored) => isClear(stored)) : undefined,
    add: async (account, password) => {
      const { userId } = account
      checkProperties(account, settings)
      if ((await entryOf(userId, ['1.1'], true)) !== undefined)
        throw new StoreError('already-exists', `the account ${userId} exists`)
      const domain = await findDomain(pool, userId, settings, true)
      const dn = newEntryDn(userId, settings, domain)
      const attributes = new Map([...nameAttributes(userId, settings), ...writeEntry(account, settings.userClasses)])
      const written = [...attributes]
        .filter(([, values]) => values.length > 0)
        .map(([type, values]) => new Attribute({ type, values: [...values] }))
      if (password !== undefined && settings.passwords === 'clear')
        written.push(new Attribute({ type: passwordAttribute, values: [password] }))
      try {
        await pool.ask((client) => client.add(dn, written), 'change')
      } catch (error) {
        if (!isResult(error, noSuchObject)) throw asStoreError(error, `the account ${userId}`)
        if (settings.mappingSuffix === undefined && settings.domains === undefined) await addContainer(pool, settings)
        else await addDomain(pool, userId, settings)
        await change(userId, (client) => client.add(dn, written))
      }
      if (password !== undefined && settings.passwords !== 'clear') await setPassword(userId, dn, password)
    },
    put: async (account, password, without = []) => {
      const { userId } = account
      checkProperties(account, settings)
      const entry = await entryOf(userId, ['*'])
      const current = entry === undefined ? undefined : readEntry(entry, settings, userId)
      if (entry === undefined || current === undefined)
        throw new StoreError('not-found', `there is no account ${userId}`)
      const classes = [entry.objectClass ?? []].flat().map(String)
      const before = writeEntry(current.record, classes)
      const changes = [...writeEntry(account, classes)]
        .filter(([type, values]) => !sameValues(values, before.get(type)))
        .map(
          ([type, values]) =>
            new Change({ operation: 'replace', modification: new Attribute({ type, values: [...values] }) }),
        )
      for (const type of without)
        if ([...before.keys()].some((name) => name.toLowerCase() === type.toLowerCase()))
          changes.push(new Change({ operation: 'replace', modification: new Attribute({ type, values: [] }) }))
      if (changes.length > 0) await change(userId, (client) => client.modify(entry.dn, changes))
      if (password !== undefined) await setPassword(userId, entry.dn, password)
    },
    rename: async (from, to) => {
      // Its entry would have to move below one that only the directory knows.
      if (settings.domains !== undefined && partsOf(from).domain !== partsOf(to).domain)
        throw new StoreError('invalid', 'with saslDomainAttribute a user keeps the domain; add another account')
      await renameEntry(from, to, { settings, pool, entryOf, change, addDomain })
    },
    remove: async (userId) => {
      const entry = await entryOf(userId, ['1.1'])
      if (entry === undefined) throw new StoreError('not-found', `there is no account ${userId}`)
      await change(userId, (client) => client.del(entry.dn))
    },
    async *list() {
      const filter = new AndFilter({ filters: [userFilter(settings)] })
      const base = settings.searchSuffix ?? settings.mappingSuffix ?? ''
      const options = { filter, paged: { pageSize }, explicitBufferAttributes: [passwordAttribute] }
      try {
        const pages = await pool.ask(async (client) => client.searchPaginated(base, options))
        for await (const { searchEntries } of pages)
          for (const entry of searchEntries) {
            const account = readEntry(entry, settings)
            if (account !== undefined && (account.isComplete || !settings.checkAttributes)) yield account.record
          }
      } catch (error) {
        throw asStoreError(error, `the user directory, below ${base}`)
      }
    },
    close: () => pool.close(),
  }
}

/** AUTH-11: the server says which entry a user name is. Undefined: none. */
const askedSearch = async (pool: LdapPool, userId: UserId, settings: DirectorySettings) => {
  try {
    const { value = '' } = await pool.ask((client) =>
      client.exop(whoAmI, undefined, new ProxiedAuthorization(`u:${userId}`)),
    )
    if (/^dn:./i.test(value)) return { base: value.slice(3), filter: userFilter(settings), scope: 'base' as const }
  } catch (error) {
    // authorizationDenied of RFC 4370 is one of them, and a server that does not know the control another.
    if (!(error instanceof ResultCodeError)) throw error
  }
  return undefined
}

const checkProperties = ({ properties }: AccountRecord, settings: DirectorySettings): void => {
  const wrong = properties.find(([name]) => !isProperty(name.toLowerCase(), settings))
  if (wrong !== undefined)
    throw new StoreError('invalid', `${wrong[0]} is no property: it is what the directory knows the account by`)
}

/** Attributes that a record leaves as they are are not written: it has not all of their values, perhaps. */
const sameValues = (values: readonly string[], others: readonly string[] | undefined): boolean =>
  others !== undefined && [...values].sort().join('\0') === [...others].sort().join('\0')

/** RFC 3062 §2: PasswdModifyRequestValue with userIdentity and newPasswd. */
const passwordChange = (dn: string, password: Buffer): Buffer => {
  const writer = new BerWriter()
  writer.startSequence()
  writer.writeString(dn, 0x80)
  writer.writeBuffer(password, 0x82)
  writer.endSequence()
  return writer.buffer
}

/** A simple bind carries text (RFC 4513 §5.1.3 asks for UTF-8); undefined for octets that are none. */
const asText = (octets: Buffer): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets)
  } catch {
    return undefined
  }
}
