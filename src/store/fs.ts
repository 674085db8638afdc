/**
 * The few file operations that mdir is made of, behind one interface: tests put a simulated disk under the store (faults,
 * crashes, interleavings), and the store can later stand on something that is no file system. Paths are absolute. Failures are
 * Node's system errors (`code`); `storeError` turns what remains of them into the family the other rooms know.
 */

import fs from 'node:fs'
import { StoreError } from '../base/errors.ts'
import { type FilePart, PartReaders } from './part-readers.ts'
import { regularFlags, sizeOfRegular } from './regular-file.ts'

export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export type FileKind = 'file' | 'directory' | 'symbolic link' | 'FIFO' | 'socket' | 'device'

export interface FileStatus {
  readonly kind: FileKind
  /** Tells it from everything else of its file system, whatever its name. */
  readonly inode: number
  readonly sizeOctets: number
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number
  /** Numbers of user and group. */
  readonly owner: number
  readonly group: number
  /** When content, names or owner last changed: milliseconds since 1970 by the file system's clock. Nobody can set it back. */
  readonly changedMs: number
  readonly isDirectory: boolean
}

/** A file being read; stays readable when its name goes. */
export interface OpenFile {
  readonly sizeOctets: number
  /** Octets from `position`; fewer than `length` only at the end. */
  read(position: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** A new file that has its name and gets its octets. */
export interface ComingFile {
  /** Resolves when they are durable. */
  readonly durable: Promise<void>
}

/** A new file being written front to back. */
export interface NewFile {
  /** Adds the pieces, in order, at the end. */
  write(...pieces: readonly Uint8Array[]): Promise<void>
  /** Makes the content durable and closes, whether that succeeds or not: an fsync that failed is never tried again on the same descriptor. */
  finish(): Promise<void>
  /** Closes without caring for the content. */
  discard(): Promise<void>
}

export interface StoreFs {
  /** Creates `path` with exactly these octets, piece by piece; durable when resolved, its name only after `syncDirectory`. EEXIST. */
  write(path: string, ...pieces: readonly Uint8Array[]): Promise<void>
  /** The same for whoever has something to do meanwhile: resolves as soon as the name is there. Whoever asks looks at `durable` at once. */
  begin(path: string, ...pieces: readonly Uint8Array[]): Promise<ComingFile>
  /** Opens `path` for streaming into. EEXIST. */
  create(path: string): Promise<NewFile>
  /** Adds octets at the end of a derived file, made when absent. Not durable. */
  append(path: string, octets: Uint8Array): Promise<void>
  read(path: string): Promise<Buffer>
  /** Octets [start, start + length), fewer only at the end, and the size of the file: at most 64 KiB, cheap when many are asked for at once. */
  readPart(path: string, start: number, length: number): Promise<FilePart>
  open(path: string): Promise<OpenFile>
  /** Put if absent: gives the file a second name. EEXIST when somebody was first. */
  link(from: string, to: string): Promise<void>
  /** Replaces a file; a directory takes the place of an absent or empty one only (ENOTEMPTY, EEXIST). */
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  makeDirectory(path: string): Promise<void>
  /** ENOTEMPTY or EEXIST unless empty. */
  removeDirectory(path: string): Promise<void>
  list(path: string): Promise<readonly DirectoryEntry[]>
  /** The same in pieces of at most some 1,000, for directories of any size; what comes or goes meanwhile may be missing. */
  listInPieces(path: string): AsyncIterable<readonly DirectoryEntry[]>
  /** Does not follow a symbolic link. */
  status(path: string): Promise<FileStatus>
  /** Never asked of a symbolic link, which it would follow. */
  setMode(path: string, mode: number): Promise<void>
  /** Does not follow a symbolic link. */
  setOwner(path: string, owner: number, group: number): Promise<void>
  /** Of the file system that holds `path`, for those without special rights. */
  space(path: string): Promise<{ readonly freeOctets: number }>
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>
}

/** The code of a system error ('ENOENT'), undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** What a caller of the store is told when the disk said no. A StoreError passes through; a defect (no system error) too. */
export function storeError(error: unknown, doing: string): unknown {
  const code = codeOf(error)
  if (error instanceof StoreError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  const cause = { cause: error }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StoreError(
        'unavailable',
        `${doing}: no space left in the store (${code}); free some and try again`,
        cause,
      )
    case 'EROFS':
      return new StoreError('unavailable', `${doing}: the store is mounted read-only`, cause)
    case 'EACCES':
    case 'EPERM':
      return new StoreError(
        'unavailable',
        `${doing}: this process may not (${code}); check owner and mode of the store`,
        cause,
      )
    case 'ENAMETOOLONG':
      return new StoreError('invalid', `${doing}: the name is too long for the file system`, cause)
    default:
      return new StoreError('unavailable', `${doing}: ${code}`, cause)
  }
}

/** Absent is an answer, everything else a failure. */
export async function unlessAbsent<T>(attempt: Promise<T>): Promise<T | undefined> {
  try {
    return await attempt
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const { O_CREAT, O_EXCL, O_WRONLY, O_RDONLY, O_DSYNC, O_APPEND } = fs.constants
const newFile = O_CREAT | O_EXCL | O_WRONLY
/** Of everything in the store; the umask may take from them. */
export const fileMode = 0o600
export const directoryMode = 0o700

type Done = (error: Error | null) => void

/** Node's callbacks cost half the CPU of its promises, and these run for every message. */
function writeAll(fd: number, pieces: readonly Uint8Array[], done: Done): void {
  let left = pieces.filter((piece) => piece.length > 0)
  let wanted = 0
  for (const piece of left) wanted += piece.length
  let written = 0
  const next = (error: Error | null, count: number) => {
    if (error) return done(error)
    if (count === 0) return done(shortWrite(written, wanted))
    // A write may take less than it was given and call that success.
    written += count
    if (written === wanted) return done(null)
    left = without(left, count)
    some()
  }
  const some = () => {
    if (left.length === 1) fs.write(fd, left[0]!, 0, left[0]!.length, null, next)
    else fs.writev(fd, left, null, next)
  }
  if (wanted === 0) done(null)
  else some()
}

/** What is left of the pieces behind their first `count` octets. */
function without(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let at = 0
  let skip = count
  while (skip >= pieces[at]!.length) skip -= pieces[at++]!.length
  return [pieces[at]!.subarray(skip), ...pieces.slice(at + 1)]
}

function shortWrite(written: number, wanted: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`ENOSPC: wrote ${written} of ${wanted} octets`), { code: 'ENOSPC' })
}

function settle(resolve: () => void, reject: (error: Error) => void): Done {
  return (error) => (error ? reject(error) : resolve())
}

/** At once, after a durable write or of a file that was read: nothing is left to do, and a trip through the pool costs thirty times the call. */
function closeNow(fd: number): Error | null {
  try {
    fs.closeSync(fd)
    return null
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}

/** Makes a new file and goes on to write it. */
function begin(path: string, pieces: readonly Uint8Array[]): Promise<ComingFile> {
  return new Promise((resolve, reject) => {
    // O_DSYNC: durable at the return of write, one call less than fsync on every message.
    fs.open(path, newFile | O_DSYNC, fileMode, (error, fd) => {
      if (error) reject(error)
      else resolve({ durable: writeAndClose(fd, pieces) })
    })
  })
}

/** Closes whatever happens; the first failure counts. */
function writeAndClose(fd: number, pieces: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) =>
    writeAll(fd, pieces, (error) => {
      const closeError = closeNow(fd)
      settle(resolve, reject)(error ?? closeError)
    }),
  )
}

function openFor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.open(path, flags, fileMode, (error, fd) => (error ? reject(error) : resolve(fd))),
  )
}

function close(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.close(fd, (error) => settle(resolve, reject)(error ?? null)))
}

function fsync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.fsync(fd, settle(resolve, reject)))
}

class StreamedFile implements NewFile {
  private readonly fd: number
  private written = 0
  private closed = false
  constructor(fd: number) {
    this.fd = fd
  }
  write(...pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) this.written += piece.length
    return new Promise((resolve, reject) => writeAll(this.fd, pieces, settle(resolve, reject)))
  }
  async finish(): Promise<void> {
    try {
      await fsync(this.fd)
      const status = await new Promise<fs.Stats>((resolve, reject) =>
        fs.fstat(this.fd, (error, stats) => (error ? reject(error) : resolve(stats))),
      )
      if (status.size !== this.written) throw shortWrite(status.size, this.written)
    } finally {
      await this.discard()
    }
  }
  async discard(): Promise<void> {
    // Once only: the number may belong to another file by now.
    if (this.closed) return
    this.closed = true
    await close(this.fd)
  }
}

class ReadFile implements OpenFile {
  readonly sizeOctets: number
  private readonly fd: number
  constructor(fd: number, sizeOctets: number) {
    this.fd = fd
    this.sizeOctets = sizeOctets
  }
  read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.sizeOctets - position)))
    return new Promise((resolve, reject) => {
      let filled = 0
      const next = () => {
        if (filled === buffer.length) return resolve(buffer)
        fs.read(this.fd, buffer, filled, buffer.length - filled, position + filled, (error, count) => {
          if (error) return reject(error)
          if (count === 0) return resolve(buffer.subarray(0, filled))
          filled += count
          next()
        })
      }
      next()
    })
  }
  async close(): Promise<void> {
    const error = closeNow(this.fd)
    if (error !== null) throw error
  }
}

async function openFile(path: string): Promise<OpenFile> {
  const fd = await openFor(path, regularFlags)
  return new ReadFile(fd, sizeOfRegular(fd, path))
}

/** By the pool. */
async function readPart(path: string, start: number, length: number): Promise<FilePart> {
  const file = await openFile(path)
  try {
    return { sizeOctets: file.sizeOctets, octets: await file.read(start, length) }
  } finally {
    await file.close()
  }
}

const partReaders = new PartReaders(({ path, start, length }) => readPart(path, start, length))

const entriesAtOnce = 1024

async function* listInPieces(path: string): AsyncIterable<readonly DirectoryEntry[]> {
  const directory = await fs.promises.opendir(path, { bufferSize: entriesAtOnce })
  let entries: DirectoryEntry[] = []
  for await (const entry of directory) {
    if (entries.push({ name: entry.name, isDirectory: entry.isDirectory() }) < entriesAtOnce) continue
    yield entries
    entries = []
  }
  yield entries
}

function kindOf(stats: fs.Stats): FileKind {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symbolic link'
  if (stats.isFIFO()) return 'FIFO'
  return stats.isSocket() ? 'socket' : 'device'
}

/** The machine's file system. */
export const nodeFs: StoreFs = {
  write: (path, ...pieces) => begin(path, pieces).then(({ durable }) => durable),
  begin: (path, ...pieces) => begin(path, pieces),
  create: async (path) => new StreamedFile(await openFor(path, newFile)),
  append: async (path, octets) => {
    const file = new StreamedFile(await openFor(path, O_CREAT | O_WRONLY | O_APPEND))
    try {
      await file.write(octets)
    } finally {
      await file.discard()
    }
  },
  open: openFile,
  readPart: (path, start, length) => partReaders.read(path, start, length),
  read: async (path) => {
    const file = await openFile(path)
    try {
      return await file.read(0, file.sizeOctets)
    } finally {
      await file.close()
    }
  },
  link: (from, to) => new Promise((resolve, reject) => fs.link(from, to, settle(resolve, reject))),
  rename: (from, to) => new Promise((resolve, reject) => fs.rename(from, to, settle(resolve, reject))),
  remove: (path) => new Promise((resolve, reject) => fs.unlink(path, settle(resolve, reject))),
  makeDirectory: (path) => new Promise((resolve, reject) => fs.mkdir(path, directoryMode, settle(resolve, reject))),
  removeDirectory: (path) => new Promise((resolve, reject) => fs.rmdir(path, settle(resolve, reject))),
  list: (path) =>
    new Promise((resolve, reject) =>
      fs.readdir(path, { withFileTypes: true }, (error, entries) =>
        error
          ? reject(error)
          : resolve(entries.map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))),
      ),
    ),
  listInPieces,
  status: (path) =>
    new Promise((resolve, reject) =>
      fs.lstat(path, (error, stats) =>
        error
          ? reject(error)
          : resolve({
              kind: kindOf(stats),
              inode: stats.ino,
              sizeOctets: stats.size,
              mode: stats.mode & 0o7777,
              owner: stats.uid,
              group: stats.gid,
              changedMs: stats.ctimeMs,
              isDirectory: stats.isDirectory(),
            }),
      ),
    ),
  setMode: (path, mode) => new Promise((resolve, reject) => fs.chmod(path, mode, settle(resolve, reject))),
  setOwner: (path, owner, group) =>
    new Promise((resolve, reject) => fs.lchown(path, owner, group, settle(resolve, reject))),
  space: (path) =>
    new Promise((resolve, reject) =>
      fs.statfs(path, (error, stats) => (error ? reject(error) : resolve({ freeOctets: stats.bavail * stats.bsize }))),
    ),
  syncDirectory: async (path) => {
    const fd = await openFor(path, O_RDONLY)
    try {
      await fsync(fd)
    } finally {
      closeNow(fd)
    }
  },
}
