/** Accounts, and the embedded database of them: a directory with a JSON file for each. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { StoreError, type StoreErrorKind } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import { recordDirectory } from '../base/record-directory.ts'
import type { ServiceAccess } from '../config/options/domains.ts'
import { readAccount, writeAccount } from './account-file.ts'
import { createAddressIndex } from './address-index.ts'
import { createHashPool, type HashPool } from './hash-pool.ts'
import { decoy, type Verifiers } from './verifier.ts'

/** `migrating` waits for its migration and can't log in either (MIG-10). */
export type AccountState = 'enabled' | 'disabled' | 'migrating'

export interface AccountRecord {
  readonly userId: UserId
  readonly state: AccountState
  /** Undefined for an account that never had a password. */
  readonly verifiers: Verifiers | undefined
  /** How an LDAP directory stores the password, as far as it shows that. */
  readonly passwordSchemes?: readonly string[]
  /** Rules of the user's own; services that are missing follow the server's. USR-08 */
  readonly services: ServiceAccess
  /** Milliseconds since 1970; of records that are remembered: when their source last confirmed them. */
  readonly confirmedAt?: number
  /** Attributes given by `msadm add`, in that order; a name may be there several times. */
  readonly properties: readonly (readonly [name: string, value: string])[]
}

export interface Accounts {
  /** The record's `userId` may be spelled otherwise than the one asked for: the account is known by the record's. */
  find(userId: UserId): Promise<AccountRecord | undefined>
  /** The account that an address is one of (`mailLocalAddress`), or that has this id in other letters' case. Throws StoreError unavailable, also when it is one of several. LMTP-09 */
  findByAddress(address: string): Promise<AccountRecord | undefined>
  /** Whether it is the password of an account that `find` gave; as much work where it gave none. Throws AuthError unavailable when too many wait. */
  matches(userId: UserId, account: AccountRecord | undefined, password: Buffer): Promise<boolean>
  /** The password of an account that `find` gave, where it is stored in clear. AUTH-04 Throws StoreError unavailable. */
  clearPassword(account: AccountRecord): Buffer | undefined
  /** With a new password when there is one. Throws StoreError already-exists. */
  add(account: AccountRecord, password?: Buffer): Promise<void>
  /**
   * Replaces what the record names, and the password when there is one; removes the properties that `without` names. The embedded database, which holds what
   * the record names and nothing else, adds an account that is missing; others throw StoreError not-found.
   */
  put(account: AccountRecord, password?: Buffer, without?: readonly string[]): Promise<void>
  /**
   * Gives an account another name, and changes nothing else of it. Done again behind a crash it goes on. Throws StoreError not-found,
   * already-exists.
   */
  rename(from: UserId, to: UserId): Promise<void>
  /** Throws StoreError not-found. */
  remove(userId: UserId): Promise<void>
  /** In no order. Throws StoreError damaged at a file that can't be read as an account. */
  list(): AsyncIterable<AccountRecord>
  close(): Promise<void>
}

/** Does no I/O yet. A missing directory is made (mode 0700) by the first change, and means no accounts until then. */
export const openAccounts = (directory: string, hashPool: HashPool = createHashPool()): Accounts => {
  const records = recordDirectory(directory, 'the account database')
  const withPassword = async (account: AccountRecord, password: Buffer | undefined) =>
    password === undefined ? account : { ...account, verifiers: await hashPool.make(password) }
  const find = async (userId: UserId) => {
    const octets = await records.read(fileName(userId))
    return octets === undefined ? undefined : readAccount(octets, join(directory, fileName(userId)))
  }
  const list = async function* () {
    for await (const { path, octets } of records.list()) yield readAccount(octets, path)
  }
  const addresses = createAddressIndex(directory, list)
  const noAccount = (userId: UserId) => named('not-found', `there is no account ${userId}`)
  return {
    find,
    findByAddress: async (address) => {
      const userId = await addresses.find(address)
      return userId === undefined ? undefined : find(userId)
    },
    matches: (_, account, password) => hashPool.verify(password, account?.verifiers?.scrypt ?? decoy),
    clearPassword: () => undefined,
    add: async (account, password) =>
      records
        .add(fileName(account.userId), writeAccount(await withPassword(account, password)))
        .catch(named('already-exists', `the account ${account.userId} exists`)),
    put: async (account, password) =>
      records.put(fileName(account.userId), writeAccount(await withPassword(account, password))),
    rename: async (from, to) => {
      const account = await find(from)
      if (account === undefined) {
        if ((await find(to)) !== undefined) return
        throw new StoreError('not-found', `there is no account ${from}`)
      }
      const renamed = writeAccount({ ...account, userId: to })
      await records.add(fileName(to), renamed).catch(async (error: unknown) => {
        // The same to the salt of its password: it was made before a crash.
        if ((await records.read(fileName(to)))?.equals(renamed) === true) return
        return named('already-exists', `the account ${to} exists`)(error)
      })
      await records.remove(fileName(from)).catch(noAccount(from))
    },
    remove: (userId) => records.remove(fileName(userId)).catch(noAccount(userId)),
    list,
    close: async () => {},
  }
}

const named = (kind: StoreErrorKind, message: string) => (error: unknown) => {
  throw error instanceof StoreError && error.kind === kind
    ? new StoreError(kind, message, { cause: error.cause })
    : error
}

/**
 * One file name for each id, distinct without regard to case too: lower-case letters, digits and a few marks stand for
 * themselves, other octets as %xx. A name that would be too long is a digest; the id is in the file.
 */
const fileName = (userId: UserId): string => {
  let name = ''
  for (const octet of Buffer.from(userId)) {
    const character = String.fromCharCode(octet)
    const plain = /[a-z0-9@_+-]/.test(character) || (character === '.' && name !== '')
    name += plain ? character : `%${octet.toString(16).padStart(2, '0')}`
  }
  return name.length <= 240 ? `${name}.json` : `%${createHash('sha256').update(userId).digest('hex')}.json`
}
