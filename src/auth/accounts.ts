/**
 * The embedded account database: a directory with a JSON file for each account. A change replaces the whole file in one step,
 * so that a reader, or a crash, sees the account as before or as after; a promise resolves when the change is durable.
 */
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, link, lstat, mkdir, open, opendir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { ServiceAccess } from '../config/options/domains.ts'
import { readAccount, writeAccount } from './account-file.ts'
import type { Verifiers } from './verifier.ts'

/** `migrating` waits for its migration and can't log in either (MIG-10). */
export type AccountState = 'enabled' | 'disabled' | 'migrating'

export interface AccountRecord {
  readonly userId: UserId
  readonly state: AccountState
  /** Undefined for an account that never had a password. */
  readonly verifiers: Verifiers | undefined
  /** Rules of the user's own; services that are missing follow the server's. USR-08 */
  readonly services: ServiceAccess
  /** Attributes given by `msadm add`, in that order; a name may be there several times. */
  readonly properties: readonly (readonly [name: string, value: string])[]
}

export interface Accounts {
  find(userId: UserId): Promise<AccountRecord | undefined>
  /** Throws StoreError already-exists. */
  add(account: AccountRecord): Promise<void>
  /** Adds or replaces. */
  put(account: AccountRecord): Promise<void>
  /** Throws StoreError not-found. */
  remove(userId: UserId): Promise<void>
  /** In no order. Throws StoreError damaged at a file that can't be read as an account. */
  list(): AsyncIterable<AccountRecord>
}

/** Files in the making begin with a dot; those of a process that died are removed after this. */
const abandonedMs = 60 * 60 * 1000

/** Does no I/O yet. A missing directory is made (mode 0700) by the first change, and means no accounts until then. */
export const openAccounts = (directory: string): Accounts => {
  const pathOf = (userId: UserId) => join(directory, fileName(userId))

  const write = async (account: AccountRecord, publish: (temporary: string, path: string) => Promise<void>) => {
    await prepare(directory)
    const temporary = join(directory, `.${randomBytes(9).toString('base64url')}`)
    try {
      await writeDurable(temporary, writeAccount(account), directory)
      await publish(temporary, pathOf(account.userId))
    } finally {
      await unlink(temporary).catch(ignoreMissing)
    }
    await syncDirectory(directory)
  }

  return {
    find: async (userId) => {
      const octets = await readFile(pathOf(userId)).catch(ignoreMissing)
      return octets === undefined ? undefined : readAccount(octets, pathOf(userId))
    },
    add: (account) =>
      write(account, async (temporary, path) => {
        try {
          await link(temporary, path)
        } catch (cause) {
          if (!hasCode(cause, 'EEXIST')) throw unavailable(cause)
          throw new StoreError('already-exists', `the account ${account.userId} exists`, { cause })
        }
      }),
    put: (account) => write(account, rename),
    remove: async (userId) => {
      try {
        await unlink(pathOf(userId))
      } catch (cause) {
        if (hasCode(cause, 'ENOENT')) throw new StoreError('not-found', `there is no account ${userId}`, { cause })
        throw unavailable(cause)
      }
      await syncDirectory(directory)
    },
    async *list() {
      const entries = await opendir(directory).catch(ignoreMissing)
      if (entries === undefined) return
      for await (const { name } of entries) {
        const path = join(directory, name)
        if (name.startsWith('.')) await removeAbandoned(path)
        else if (name.endsWith('.json')) {
          // Removed since the directory was read, perhaps.
          const octets = await readFile(path).catch(ignoreMissing)
          if (octets !== undefined) yield readAccount(octets, path)
        }
      }
    },
  }
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

/** Makes the directory, for the owner of the one above when root does it: the services run as another user. */
const prepare = async (directory: string) => {
  if ((await stat(directory).catch(ignoreMissing)) !== undefined) return
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const handle = await open(directory)
    try {
      await giveToOwnerOf(dirname(directory), handle)
    } finally {
      await handle.close()
    }
    await syncDirectory(dirname(directory))
  } catch (cause) {
    throw unavailable(cause)
  }
}

const writeDurable = async (path: string, octets: Buffer, directory: string) => {
  try {
    const handle = await open(path, 'wx', 0o600)
    try {
      await handle.writeFile(octets)
      await giveToOwnerOf(directory, handle)
      await handle.sync()
      const { size } = await handle.stat()
      if (size !== octets.length) throw new Error(`${size} of ${octets.length} octets were written`)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw unavailable(cause)
  }
}

const giveToOwnerOf = async (directory: string, handle: FileHandle) => {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(directory)
  await handle.chown(uid, gid)
}

const syncDirectory = async (directory: string) => {
  try {
    const handle = await open(directory)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw unavailable(cause)
  }
}

const removeAbandoned = async (path: string) => {
  const entry = await lstat(path).catch(ignoreMissing)
  if (entry?.isFile() && Date.now() - entry.mtimeMs > abandonedMs) await unlink(path).catch(ignoreMissing)
}

const hasCode = (error: unknown, code: string) => (error as NodeJS.ErrnoException).code === code
const ignoreMissing = (cause: unknown): undefined => {
  if (!hasCode(cause, 'ENOENT')) throw unavailable(cause)
  return undefined
}
const unavailable = (cause: unknown): StoreError =>
  cause instanceof StoreError
    ? cause
    : new StoreError('unavailable', `the account database: ${(cause as Error).message}`, { cause })
