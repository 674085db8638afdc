/**
 * The entries that were read last, for the time when no server of the directory can be asked. LDAP-07, LDAP-09, administration guide appendix E
 *
 * They decide what root does at the start of a service, so root takes nothing that another user could have written: a file counts only for its owner, and for
 * everybody when it is root's. There may be passwords in it: the group of the directory that it lies in may read it, nobody else.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isJsonObject } from '../../base/json-record.ts'
import type { ConfigurationEntries, DirectoryEntry } from './entries.ts'
import type { ConfigurationLocation } from './location.ts'

const version = 1
/** Thousands of shared roots are some megabytes. */
const maxOctets = 16 * 1024 * 1024

/** Not there, not to be trusted, or of another directory; the message says which. */
export class CacheFault extends Error {
  override readonly name = 'CacheFault'
}

export interface Cached {
  readonly entries: ConfigurationEntries
  readonly writtenAt: Date
}

/** Throws CacheFault. */
export const readCache = async (path: string, location: ConfigurationLocation): Promise<Cached> => {
  const fault = (reason: string, cause?: unknown) => new CacheFault(`${path} ${reason}`, { cause })
  let text: string
  let writtenAt: Date
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const { uid, mode, size, mtime } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > maxOctets)
      throw fault('is not a cached configuration')
    if (uid !== 0 && uid !== process.geteuid?.())
      throw fault(`belongs to the user ${uid}, and only root's or one's own is taken`)
    if ((mode & 0o022) !== 0) throw fault('could have been written by others; remove it')
    text = await file.readFile('utf8')
    writtenAt = mtime
  } catch (error) {
    if (error instanceof CacheFault) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw fault(code === 'ENOENT' ? 'is not there' : `can't be read (${code ?? message})`, error)
  }
  const content = parse(text)
  if (content?.version !== version || !isEntries(content.entries)) throw fault('is not a cached configuration')
  if (content.of !== nameOf(location)) throw fault('is the configuration of another server or directory')
  return { entries: content.entries, writtenAt }
}

/** Replaces what is there, unless that belongs to somebody else, and this process is not root. Throws what the system refuses. */
export const writeCache = async (
  path: string,
  location: ConfigurationLocation,
  entries: ConfigurationEntries,
): Promise<void> => {
  const isRoot = process.geteuid?.() === 0
  if (!isRoot) {
    const before = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    if (before !== undefined && before.uid !== process.geteuid?.()) return
  }
  const directory = await stat(dirname(path))
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    {
      await using file = await open(temporary, 'wx', 0o600)
      if (isRoot && directory.uid !== 0) {
        await file.chown(0, directory.gid)
        await file.chmod(0o640)
      }
      await file.writeFile(JSON.stringify({ version, of: nameOf(location), entries }))
      await file.sync()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Equal for the same entries of the same directory. */
const nameOf = ({ connection, serverDn, dsaDn, sharedRootsDn }: ConfigurationLocation): string =>
  JSON.stringify([connection.servers.map(({ url }) => url), serverDn, dsaDn ?? null, sharedRootsDn])

const parse = (text: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const isEntry = (value: unknown): value is DirectoryEntry =>
  isJsonObject(value) &&
  typeof value.dn === 'string' &&
  isJsonObject(value.attributes) &&
  Object.values(value.attributes).every(
    (values) => Array.isArray(values) && values.every((one) => typeof one === 'string'),
  )

const isEntries = (value: unknown): value is ConfigurationEntries =>
  isJsonObject(value) &&
  isEntry(value.server) &&
  (value.dsa === undefined || isEntry(value.dsa)) &&
  [value.sharedRoots, value.groups].every((list) => Array.isArray(list) && list.every(isEntry))
