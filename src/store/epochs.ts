/**
 * The folders of a commit log on the disk. `log/<start>.<id>/<start>` is a whole state and `log/<start>.<id>/<N>` what was committed after it.
 * Nothing here knows how far anybody has read.
 */

import { StoreError } from '../base/errors.ts'
import {
  type ChangeSet,
  type ChangeSetKind,
  DamagedEntry,
  decodeChangeSet,
  encodeOperations,
  kindOf,
  maxHeadOctets,
  sealEntry,
} from './change-set.ts'
import { type StoreFs, unlessAbsent } from './fs.ts'
import { removeTree } from './remove-tree.ts'
import { applyEntry, type Replica } from './replica.ts'
import { randomId, uniqueName } from './unique.ts'

const numberWidth = 12
const epochPattern = /^([0-9]{12})\.([0-9a-f]{32})$/
const entryPattern = /^[0-9]{12}$/
/** Entries read before they are applied; this many of them at once. */
const readAhead = 64
const readsAtOnce = 16

export interface Epoch {
  /** Number of its first entry. */
  readonly start: number
  /** Identity of what this is the log of. */
  readonly id: string
}

const numberName = (number: number) => String(number).padStart(numberWidth, '0')
const folderName = ({ start, id }: Epoch) => `${numberName(start)}.${id}`

/**
 * Makes the log of something new in `directory` (which has `tmp/`). Nobody sees it before it is complete and durable.
 * Throws EEXIST or ENOTEMPTY when there is one already.
 */
export async function createLog(
  fs: StoreFs,
  directory: string,
  state: Replica<unknown>,
  start: number,
  id: string = randomId(),
): Promise<void> {
  const prepared = `${directory}/tmp/${uniqueName()}`
  const folder = `${prepared}/${folderName({ start, id })}`
  await fs.makeDirectory(prepared)
  try {
    await fs.makeDirectory(folder)
    const operations = await encodeOperations(state.dump())
    await fs.write(`${folder}/${numberName(start)}`, sealEntry('state', uniqueName(), operations))
    await fs.syncDirectory(folder)
    await fs.syncDirectory(prepared)
    await fs.rename(prepared, `${directory}/log`)
  } catch (error) {
    await removeTree(fs, prepared).catch(() => {})
    throw error
  }
  await fs.syncDirectory(directory)
}

export class EpochFolders<State extends Replica<unknown>> {
  /** Directory that holds `log/` and `tmp/`; changed by a rename. */
  directory: string
  private readonly fs: StoreFs
  private readonly what: 'mailbox' | 'account'
  private readonly fresh: () => State

  constructor(fs: StoreFs, what: 'mailbox' | 'account', directory: string, fresh: () => State) {
    this.fs = fs
    this.what = what
    this.directory = directory
    this.fresh = fresh
  }

  pathOf(epoch: Epoch): string {
    return `${this.directory}/log/${folderName(epoch)}`
  }

  entryPath(epoch: Epoch, number: number): string {
    return `${this.pathOf(epoch)}/${numberName(number)}`
  }

  async isPresent(epoch: Epoch): Promise<boolean> {
    return (await unlessAbsent(this.fs.status(this.pathOf(epoch)))) !== undefined
  }

  /** Ascending. Throws StoreError not-found when there is no log. */
  async list(): Promise<Epoch[]> {
    const entries = await unlessAbsent(this.fs.list(`${this.directory}/log`))
    if (entries === undefined) throw new StoreError('not-found', `The ${this.what} does not exist`)
    return entries
      .flatMap((entry) => {
        const match = entry.isDirectory ? epochPattern.exec(entry.name) : null
        return match === null ? [] : [{ start: Number(match[1]), id: match[2]! }]
      })
      .sort((a, b) => a.start - b.start)
  }

  /** Numbers of the entries of an epoch, ascending; undefined when it is gone. */
  async numbers(epoch: Epoch): Promise<number[] | undefined> {
    return (await unlessAbsent(this.fs.list(this.pathOf(epoch))))
      ?.flatMap((entry) => (entryPattern.test(entry.name) ? Number(entry.name) : []))
      .sort((a, b) => a - b)
  }

  /** Throws DamagedEntry, ENOENT. */
  async read(epoch: Epoch, number: number): Promise<ChangeSet> {
    const path = this.entryPath(epoch, number)
    return decodeChangeSet(await this.fs.read(path), path)
  }

  /** The entries after `number`, up to the first absent one, the end of the epoch or `readAhead`. Throws DamagedEntry. */
  async readAfter(epoch: Epoch, number: number): Promise<ChangeSet[]> {
    const found: ChangeSet[] = []
    // Mostly nothing is new: the first question is about one entry only.
    for (let atOnce = 1; found.length < readAhead; atOnce = readsAtOnce) {
      const first = number + found.length + 1
      const paths = Array.from({ length: atOnce }, (_, index) => this.entryPath(epoch, first + index))
      const entries = await Promise.all(paths.map((path) => unlessAbsent(this.fs.read(path))))
      for (const [index, octets] of entries.entries()) {
        if (octets === undefined) return found
        const entry = decodeChangeSet(octets, paths[index]!)
        found.push(entry)
        if (entry.kind !== 'change') return found
      }
    }
    return found
  }

  /** The state that an epoch begins with, its name durable; undefined when it is absent or damaged. */
  async readState(epoch: Epoch): Promise<State | undefined> {
    const path = this.entryPath(epoch, epoch.start)
    const octets = await unlessAbsent(this.fs.read(path))
    if (octets === undefined) return undefined
    const state = this.fresh()
    try {
      await applyEntry(state, epoch.start, decodeChangeSet(octets, path).operations)
    } catch (error) {
      if (error instanceof DamagedEntry) return undefined
      throw error
    }
    state.applied(epoch.start)
    await unlessAbsent(this.fs.syncDirectory(this.pathOf(epoch)))
    await unlessAbsent(this.fs.syncDirectory(`${this.directory}/log`))
    return state
  }

  /** What an epoch begins with, by the head of its first entry alone: `state` or `saved`; undefined when that can't be read. */
  async beginning(epoch: Epoch): Promise<ChangeSetKind | undefined> {
    const file = await unlessAbsent(this.fs.open(this.entryPath(epoch, epoch.start)))
    if (file === undefined) return undefined
    try {
      return kindOf(await file.read(0, maxHeadOctets))
    } finally {
      await file.close()
    }
  }

  /**
   * Makes the epoch that follows `old`, unless somebody else was first; `made` tells. It is prepared inside the old folder and renamed
   * out of it, so that it fails (`gone`) when the old one was removed: what is to follow it may be gone as well.
   */
  async make(old: Epoch, next: Epoch, kind: 'state' | 'saved', state: State): Promise<'made' | 'there' | 'gone'> {
    const prepared = `${this.pathOf(old)}/${uniqueName()}`
    try {
      await this.fs.makeDirectory(prepared)
      const operations = await encodeOperations(state.dump())
      await this.fs.write(`${prepared}/${numberName(next.start)}`, sealEntry(kind, uniqueName(), operations))
      await this.fs.syncDirectory(prepared)
      await this.fs.rename(prepared, this.pathOf(next))
      return 'made'
    } catch (error) {
      await removeTree(this.fs, prepared).catch(() => {})
      if (await this.isPresent(next)) return 'there'
      // Whatever the call said: a rename into a folder that is being removed may answer anything.
      if (!(await this.isPresent(old))) return 'gone'
      throw error
    }
  }

  /** Removes all but `epoch` and the one before it, oldest first. */
  async removeBefore(epoch: Epoch): Promise<void> {
    const old = (await this.list()).filter(({ start }) => start < epoch.start).slice(0, -1)
    for (const one of old) {
      const away = `${this.directory}/tmp/${uniqueName()}`
      await this.fs.rename(this.pathOf(one), away)
      await this.fs.syncDirectory(`${this.directory}/log`)
      await removeTree(this.fs, away)
    }
  }
}
