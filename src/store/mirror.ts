/**
 * Makes one directory tree the copy of another, which may change meanwhile: a pass brings what is new and removes what is gone, and when one that
 * ran while nothing changed finds nothing to do, the two are equal. A file has its name in the copy only when it is whole and durable there, so
 * a pass can go on where an earlier one ended, however it ended. What is derived or unfinished (`cache`, `tmp`) stays behind, but its folder.
 */

import { StoreError } from '../base/errors.ts'
import type { StoreContext } from './context.ts'
import { digestOf } from './digest.ts'
import { codeOf, type DirectoryEntry, unlessAbsent } from './fs.ts'
import { makeLogAndMessages } from './mailbox-directory.ts'
import { parseMessageFileName } from './message-file.ts'
import { removeTree } from './remove-tree.ts'
import { severalAtOnce } from './several.ts'
import { makeIfAbsent } from './tree.ts'
import { uniqueName } from './unique.ts'

const leftBehind: readonly string[] = ['tmp', 'cache']
const mailboxFolders: readonly string[] = ['log', 'msg']
const directoriesAtOnce = 8
const filesAtOnce = 16
/** Of one file in memory. */
const pieceOctets = 512 * 1024

export interface MirrorOptions {
  /** Reads every message back and compares its digest. */
  readonly digests: boolean
  readonly signal: AbortSignal | undefined
  /** A file was looked at: copied, or found to be there. */
  readonly onFile: (octets: number) => void
}

export interface PassOptions {
  /** Looks into message files that the copy has already, and syncs every folder. Without, their names tell enough. */
  readonly thorough: boolean
}

export class Mirror {
  /** Files and octets copied by all passes. */
  files = 0
  octets = 0
  /** Messages that are not what their names say, in the source too. */
  damaged = 0
  private readonly context: StoreContext
  private readonly source: string
  private readonly target: string
  private readonly drafts: string
  private readonly options: MirrorOptions

  /** `drafts`: a folder on the target's file system for files that are not whole yet. `target` has to be there. */
  constructor(context: StoreContext, source: string, target: string, drafts: string, options: MirrorOptions) {
    this.context = context
    this.source = source
    this.target = target
    this.drafts = drafts
    this.options = options
  }

  /** The same copy, from where the source is now. */
  from(source: string): Mirror {
    const other = new Mirror(this.context, source, this.target, this.drafts, this.options)
    other.files = this.files
    other.octets = this.octets
    other.damaged = this.damaged
    return other
  }

  /** Answers the number of changes it made. Throws StoreError, the signal's reason. */
  async pass(options: PassOptions): Promise<number> {
    let changes = 0
    let level = ['']
    while (level.length > 0) {
      const below: string[] = []
      await severalAtOnce(level, directoriesAtOnce, async (path) => {
        changes += await this.directory(path, options, below)
      })
      level = below
    }
    return changes
  }

  private async directory(path: string, { thorough }: PassOptions, below: string[]): Promise<number> {
    const { fs } = this.context
    const [from, to] = [`${this.source}${path}`, `${this.target}${path}`]
    const wanted = await unlessAbsent(fs.list(from))
    // Removed since its level was read: the next pass sees that.
    if (wanted === undefined && path !== '') return 1
    if (wanted === undefined) throw new StoreError('not-found', 'The account went away while it was copied')
    const there = new Map((await fs.list(to)).map((entry): [string, DirectoryEntry] => [entry.name, entry]))
    let changes = await this.makeMailbox(to, wanted, there)
    for (const entry of wanted) {
      const known = there.get(entry.name)
      if (known?.isDirectory === entry.isDirectory) continue
      if (known !== undefined) await this.drop(to, known)
      if (entry.isDirectory) await makeIfAbsent(fs, `${to}/${entry.name}`)
      there.delete(entry.name)
      changes += 1
    }
    const names = new Set(wanted.map((entry) => entry.name))
    for (const entry of there.values()) {
      if (names.has(entry.name)) continue
      await this.drop(to, entry)
      changes += 1
    }
    const isMessages = path.endsWith('/msg')
    const files = wanted.filter((entry) => !entry.isDirectory)
    await severalAtOnce(files, filesAtOnce, async ({ name }) => {
      this.options.signal?.throwIfAborted()
      const message = isMessages ? parseMessageFileName(name) : undefined
      const isKnown = there.has(name)
      if (isKnown && message !== undefined && !thorough) return this.options.onFile(message.sizeOctets)
      const work = () => this.file(`${from}/${name}`, `${to}/${name}`, isKnown, message)
      if (await this.context.slots.run(() => orGone(work()))) changes += isKnown ? 1 : 0
    })
    if (changes > 0 || thorough) await fs.syncDirectory(to)
    for (const entry of wanted)
      if (entry.isDirectory && !leftBehind.includes(entry.name)) below.push(`${path}/${entry.name}`)
    return changes
  }

  /** The copy of a mailbox begins with its two folders, of which the log's has to come first. Answers the number of changes. */
  private async makeMailbox(
    to: string,
    wanted: readonly DirectoryEntry[],
    there: Map<string, DirectoryEntry>,
  ): Promise<number> {
    const isDirectoryIn = (entries: Iterable<DirectoryEntry>, name: string) =>
      [...entries].some((entry) => entry.name === name && entry.isDirectory)
    if (!mailboxFolders.every((name) => isDirectoryIn(wanted, name))) return 0
    if (mailboxFolders.every((name) => isDirectoryIn(there.values(), name))) return 0
    for (const name of mailboxFolders) {
      const known = there.get(name)
      if (known !== undefined) await this.drop(to, known)
    }
    await makeLogAndMessages(this.context.fs, to)
    for (const name of mailboxFolders) there.set(name, { name, isDirectory: true })
    return mailboxFolders.length
  }

  /** True when it was copied. */
  private async file(
    from: string,
    to: string,
    isKnown: boolean,
    message: { readonly digest: string } | undefined,
  ): Promise<boolean> {
    if (isKnown && (await this.isSame(from, to, message))) {
      this.options.onFile((await this.context.fs.status(to)).sizeOctets)
      return false
    }
    const octets = await this.copy(from, to)
    this.files += 1
    this.octets += octets
    if (message !== undefined && this.options.digests && !(await this.isSame(from, to, message)))
      throw new StoreError('unavailable', `${to} does not read as what was written there; look at the disk`)
    this.options.onFile(octets)
    return true
  }

  /** A message by its size, and its digest where that is asked for; everything else octet by octet. */
  private async isSame(from: string, to: string, message: { readonly digest: string } | undefined): Promise<boolean> {
    const { fs } = this.context
    const sizes = await Promise.all([from, to].map(async (path) => (await fs.status(path)).sizeOctets))
    if (sizes[0] !== sizes[1]) return false
    if (message === undefined) return await this.isEqual(from, to)
    if (!this.options.digests || (await this.digestOf(to)) === message.digest) return true
    if (!(await this.isEqual(from, to))) return false
    this.damaged += 1
    return true
  }

  private async copy(from: string, to: string): Promise<number> {
    const { fs } = this.context
    const draft = `${this.drafts}/${uniqueName()}`
    const source = await this.open(from)
    let octets = 0
    try {
      if (source.sizeOctets <= pieceOctets) {
        const content = await source.read(0, source.sizeOctets)
        octets = content.length
        await fs.write(draft, content)
      } else {
        const file = await fs.create(draft)
        try {
          while (octets < source.sizeOctets) {
            this.options.signal?.throwIfAborted()
            const piece = await source.read(octets, pieceOctets)
            if (piece.length === 0) break
            await file.write(piece)
            octets += piece.length
          }
          await file.finish()
        } finally {
          await file.discard()
        }
      }
      if (octets !== source.sizeOctets) throw new StoreError('unavailable', `${from} could not be read to its end`)
    } finally {
      await source.close()
    }
    await fs.rename(draft, to)
    return octets
  }

  private async isEqual(one: string, other: string): Promise<boolean> {
    const files = await Promise.all([this.open(one), this.open(other)])
    try {
      for (let at = 0; at < files[0].sizeOctets; at += pieceOctets) {
        const [first, second] = await Promise.all([files[0].read(at, pieceOctets), files[1].read(at, pieceOctets)])
        if (!first.equals(second)) return false
      }
      return files[0].sizeOctets === files[1].sizeOctets
    } finally {
      for (const file of files) await file.close()
    }
  }

  private async digestOf(path: string): Promise<string> {
    const file = await this.open(path)
    try {
      return await digestOf(file)
    } finally {
      await file.close()
    }
  }

  /** Throws StoreError invalid for what is neither file nor directory: it is not ours, and nobody can tell what it would be elsewhere. */
  private async open(path: string) {
    try {
      return await this.context.fs.open(path)
    } catch (error) {
      if (!['EINVAL', 'ELOOP', 'ENXIO'].includes(codeOf(error) ?? '')) throw error
      const text = `${path} is neither a file nor a directory and can not be copied; remove it or move it away`
      throw new StoreError('invalid', text, { cause: error })
    }
  }

  private async drop(directory: string, { name, isDirectory }: DirectoryEntry): Promise<void> {
    if (isDirectory) await removeTree(this.context.fs, `${directory}/${name}`)
    else await this.context.fs.remove(`${directory}/${name}`)
  }
}

/** A file that went meanwhile was not copied; the next pass sees what is there instead. */
async function orGone(work: Promise<boolean>): Promise<boolean> {
  return (await unlessAbsent(work)) ?? true
}
