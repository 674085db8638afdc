/**
 * A directory with a small file for each record. A change replaces the whole file in one step, so that a reader, or a crash, sees the record as
 * before or as after; a promise resolves when the change is durable. Files and directory are open to their owner only.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, link, lstat, mkdir, open, opendir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StoreError } from './errors.ts'

/** Names of files have no slash and no dot in front. Everything throws StoreError unavailable for what the system refuses. */
export interface RecordDirectory {
  read(name: string): Promise<Buffer | undefined>
  /** Throws StoreError already-exists. */
  add(name: string, octets: Buffer): Promise<void>
  /** Adds or replaces. */
  put(name: string, octets: Buffer): Promise<void>
  /** Throws StoreError not-found. */
  remove(name: string): Promise<void>
  /** Those whose names end with `.json`, in no order. */
  list(): AsyncIterable<{ readonly path: string; readonly octets: Buffer }>
}

/** Files in the making begin with a dot; those of a process that died are removed after this. */
const abandonedMs = 60 * 60 * 1000

/** Does no I/O yet. A missing directory is made (mode 0700) by the first change, and means no records until then. `what` is for errors. */
export const recordDirectory = (directory: string, what: string): RecordDirectory => {
  const { unavailable, ignoreMissing, prepare, writeDurable, syncDirectory, removeAbandoned } = filesOf(what)

  const write = async (name: string, octets: Buffer, publish: (temporary: string, path: string) => Promise<void>) => {
    await prepare(directory)
    const temporary = join(directory, `.${randomBytes(9).toString('base64url')}`)
    try {
      await writeDurable(temporary, octets, directory)
      await publish(temporary, join(directory, name))
    } finally {
      await unlink(temporary).catch(ignoreMissing)
    }
    await syncDirectory(directory)
  }

  return {
    read: (name) => readFile(join(directory, name)).catch(ignoreMissing),
    add: (name, octets) =>
      write(name, octets, async (temporary, path) => {
        try {
          await link(temporary, path)
        } catch (cause) {
          if (!hasCode(cause, 'EEXIST')) throw unavailable(cause)
          throw new StoreError('already-exists', `${path} exists`, { cause })
        }
      }),
    put: (name, octets) => write(name, octets, rename),
    remove: async (name) => {
      const path = join(directory, name)
      try {
        await unlink(path)
      } catch (cause) {
        if (hasCode(cause, 'ENOENT')) throw new StoreError('not-found', `there is no ${path}`, { cause })
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
          if (octets !== undefined) yield { path, octets }
        }
      }
    },
  }
}

const filesOf = (what: string) => {
  const unavailable = (cause: unknown): StoreError =>
    cause instanceof StoreError
      ? cause
      : new StoreError('unavailable', `${what}: ${(cause as Error).message}`, { cause })
  const ignoreMissing = (cause: unknown): undefined => {
    if (!hasCode(cause, 'ENOENT')) throw unavailable(cause)
    return undefined
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

  return { unavailable, ignoreMissing, prepare, writeDurable, syncDirectory, removeAbandoned }
}

const hasCode = (error: unknown, code: string) => (error as NodeJS.ErrnoException).code === code
