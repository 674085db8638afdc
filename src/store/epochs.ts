/**
 * The folders of a commit log on the disk. An epoch `log/<start>.<id>/` begins with the state as of `start`: its `base`, as of some M up to
 * `start`, and what the base lacks in the first entry `<start>`; `<N>` is what was committed after it. Nothing here knows how far anybody
 * has read.
 */

import { StoreError } from '../base/errors.ts'
import { readBase, writeBase } from './base-file.ts'
import {
  type ChangeSet,
  type ChangeSetKind,
  DamagedEntry,
  decodeChangeSet,
  encodeOperations,
  kindOf,
  maxHeadOctets,
  type Operation,
  operationsIn,
  sealEntry,
} from './change-set.ts'
import { codeOf, type DirectoryEntry, type StoreFs, unlessAbsent } from './fs.ts'
import { fileSystemTime } from './leavings.ts'
import { removeTree } from './remove-tree.ts'
import { applyEntry, type Replica } from './replica.ts'
import { randomId, uniqueName } from './unique.ts'

const numberWidth = 12
/** Leaves room for more commits than there will be below the numbers that have a name. */
const maxStart = 900_000_000_000
const epochPattern = /^([0-9]{12})\.([0-9a-f]{32})$/
const entryPattern = /^[0-9]{12}$/
const baseName = 'base'
/** Entries read before they are applied; this many of them at once. */
export const readAhead = 64
const readsAtOnce = 16

export interface Epoch {
  /** Number of its first entry. */
  readonly start: number
  /** Identity of what this is the log of. */
  readonly id: string
}

/** The lines of a change set and its number. */
export interface Numbered {
  readonly number: number
  readonly body: Buffer
}

/** A base that waits for its epoch, in a folder inside the one of the epoch before. */
export interface Prepared {
  readonly name: string
  /** What the base is as of. */
  readonly number: number
}

const numberName = (number: number) => String(number).padStart(numberWidth, '0')
const folderName = ({ start, id }: Epoch) => `${numberName(start)}.${id}`

/** Name of a file in an epoch's folder. */
export const isLogFile = (name: string) => name === baseName || entryPattern.test(name)

const always = async () => true

/** What epochs that nobody needs may take on the disk for each log, by their bases and by the room that a small file takes. */
const maxKeptOctets = 64 * 1_048_576
const entryOctets = 4096

/** The first entry of an epoch. */
async function firstEntry(kind: 'state' | 'saved', base: number, replay: readonly Numbered[]): Promise<Buffer> {
  const line = (operation: Operation) => encodeOperations([operation])
  const pieces = [await line(['base', base])]
  for (const { number, body } of replay) pieces.push(await line(['entry', number]), body)
  return sealEntry(kind, uniqueName(), Buffer.concat(pieces))
}

/**
 * Makes the log of something new in `directory` (which has `tmp/`), whose first number is `start`. Nobody sees it before it is complete and
 * durable. Throws EEXIST or ENOTEMPTY when there is one already; StoreError invalid for a `start` that can't be.
 */
export async function createLog(
  fs: StoreFs,
  directory: string,
  state: Replica<unknown>,
  start: number,
  id?: string,
): Promise<void> {
  if (!Number.isInteger(start) || start < 1 || start > maxStart)
    throw new StoreError('invalid', `A log can begin at 1 to ${maxStart}, not at ${start}`)
  const prepared = `${directory}/tmp/${uniqueName()}`
  await fs.makeDirectory(prepared)
  try {
    await beginLog(fs, prepared, state, start, id)
    await fs.rename(prepared, `${directory}/log`)
  } catch (error) {
    await removeTree(fs, prepared).catch(() => {})
    throw error
  }
  await fs.syncDirectory(directory)
}

/** Makes the first epoch of a log in `log`, an empty directory that nobody sees yet; durable when resolved. */
export async function beginLog(
  fs: StoreFs,
  log: string,
  state: Replica<unknown>,
  start: number,
  id: string = randomId(),
): Promise<void> {
  const folder = `${log}/${folderName({ start, id })}`
  await fs.makeDirectory(folder)
  await writeBase(fs, `${folder}/${baseName}`, start, state.image(), always)
  await fs.write(`${folder}/${numberName(start)}`, await firstEntry('state', start, []))
  await fs.syncDirectory(folder)
  await fs.syncDirectory(log)
}

/** Identity of what a directory has the log of, without a look into it; undefined where there is none. */
export async function findLogId(fs: StoreFs, directory: string): Promise<string | undefined> {
  return epochsIn((await unlessAbsent(fs.list(`${directory}/log`))) ?? []).at(-1)?.id
}

/** Ascending. */
const epochsIn = (entries: readonly DirectoryEntry[]): Epoch[] =>
  entries
    .flatMap((entry) => {
      const match = entry.isDirectory ? epochPattern.exec(entry.name) : null
      return match === null ? [] : [{ start: Number(match[1]), id: match[2]! }]
    })
    .sort((a, b) => a.start - b.start)

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
    return epochsIn(entries)
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
    for (let atOnce = 1; found.length < readAhead; atOnce = Math.min(readsAtOnce, 4 * atOnce)) {
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

  /** The state that an epoch begins with, its name durable; undefined when something of it is absent or damaged. */
  async readState(epoch: Epoch): Promise<State | undefined> {
    const state = this.fresh()
    try {
      await this.replay(epoch, state)
    } catch (error) {
      if (error instanceof DamagedEntry || codeOf(error) === 'ENOENT') return undefined
      throw error
    }
    await unlessAbsent(this.fs.syncDirectory(this.pathOf(epoch)))
    await unlessAbsent(this.fs.syncDirectory(`${this.directory}/log`))
    return state
  }

  /** Makes a fresh state the one that an epoch begins with. Throws DamagedEntry, ENOENT. */
  private async replay(epoch: Epoch, state: State): Promise<void> {
    const { body } = await this.read(epoch, epoch.start)
    let number: number | undefined
    let operations: Operation[] = []
    for (const operation of operationsIn(body)) {
      if (number === undefined) {
        number = operation[0] === 'base' ? (operation[1] as number) : undefined
        if (number === undefined) throw new DamagedEntry(`${this.entryPath(epoch, epoch.start)} names no base`)
        await state.load(await readBase(this.fs, `${this.pathOf(epoch)}/${baseName}`, number))
      } else if (operation[0] === 'entry') {
        await applyEntry(state, number, operations)
        state.applied(number)
        number = operation[1] as number
        operations = []
      } else operations.push(operation)
    }
    if (number === undefined) throw new DamagedEntry(`${this.entryPath(epoch, epoch.start)} names no base`)
    await applyEntry(state, number, operations)
    state.applied(number)
    if (number < epoch.start) state.applied(epoch.start)
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
   * Writes the base of the epoch that will follow `old`, as of `number`, while others go on. Undefined, and nothing is left of it, when
   * `wanted`, which is asked now and then, said no.
   */
  async prepare(
    old: Epoch,
    number: number,
    image: Iterable<Uint8Array>,
    wanted: () => Promise<boolean>,
  ): Promise<Prepared | undefined> {
    const prepared: Prepared = { name: uniqueName(), number }
    try {
      const folder = this.preparedPath(old, prepared)
      await this.fs.makeDirectory(folder)
      if (await writeBase(this.fs, `${folder}/${baseName}`, number, image, wanted)) return prepared
    } catch (error) {
      await this.discard(old, prepared)
      throw error
    }
    await this.discard(old, prepared)
    return undefined
  }

  async discard(old: Epoch, prepared: Prepared): Promise<void> {
    await removeTree(this.fs, this.preparedPath(old, prepared)).catch(() => {})
  }

  private preparedPath(old: Epoch, { name }: Prepared): string {
    return `${this.pathOf(old)}/${name}`
  }

  /**
   * Makes a prepared base and the change sets after it, `replay`, the epoch that follows `old`, unless somebody else was first; `made` tells.
   * It is renamed out of the old folder, so that it fails (`gone`) when the old one was removed: what is to follow it may be gone as well.
   */
  async complete(
    old: Epoch,
    prepared: Prepared,
    next: Epoch,
    kind: 'state' | 'saved',
    replay: readonly Numbered[],
  ): Promise<'made' | 'there' | 'gone'> {
    const folder = this.preparedPath(old, prepared)
    try {
      await this.fs.write(`${folder}/${numberName(next.start)}`, await firstEntry(kind, prepared.number, replay))
      await this.fs.syncDirectory(folder)
      await this.fs.rename(folder, this.pathOf(next))
      return 'made'
    } catch (error) {
      await this.discard(old, prepared)
      return await this.whyNot(old, next, error)
    }
  }

  /** Both steps at once, for a state that stands still meanwhile, as of `number`. Leaves off when somebody else was first. */
  async make(
    old: Epoch,
    next: Epoch,
    kind: 'state' | 'saved',
    number: number,
    state: State,
  ): Promise<'made' | 'there' | 'gone'> {
    let prepared: Prepared | undefined
    try {
      prepared = await this.prepare(old, number, state.image(), async () => !(await this.isPresent(next)))
    } catch (error) {
      return await this.whyNot(old, next, error)
    }
    return prepared === undefined ? 'there' : await this.complete(old, prepared, next, kind, [])
  }

  /** Whatever the call said: a rename into a folder that is being removed may answer anything. */
  private async whyNot(old: Epoch, next: Epoch, error: unknown): Promise<'there' | 'gone'> {
    if (await this.isPresent(next)) return 'there'
    if (!(await this.isPresent(old))) return 'gone'
    throw error
  }

  /**
   * Removes epochs older than the one before `epoch`, oldest first. Those that were followed less than `keepMs` ago stay as long as they are
   * small together: a tool that copies the store reads now what it listed then. docs/decisions/0131-what-a-copy-under-load-holds.md
   */
  async removeBefore(epoch: Epoch, keepMs: number): Promise<void> {
    const before = (await this.list()).filter(({ start }) => start < epoch.start)
    const old = before.slice(0, -1)
    for (const one of old.slice(0, old.length - (await this.countKept(before, keepMs)))) {
      const away = `${this.directory}/tmp/${uniqueName()}`
      // Somebody else may be at it.
      if ((await unlessAbsent(this.fs.rename(this.pathOf(one), away).then(() => true))) === undefined) continue
      await this.fs.syncDirectory(`${this.directory}/log`)
      await removeTree(this.fs, away)
    }
  }

  /** How many of these epochs, from the one before the last back, stay. */
  private async countKept(before: readonly Epoch[], keepMs: number): Promise<number> {
    const old = before.slice(0, -1)
    if (keepMs === 0 || old.length === 0) return 0
    const now = await fileSystemTime(this.fs, this.directory)
    let octets = 0
    let count = 0
    for (let next = before.at(-1)!.start; count < old.length; count += 1) {
      const one = old[old.length - 1 - count]!
      // It changed for the last time when the next one was renamed out of it.
      const folder = await unlessAbsent(this.fs.status(this.pathOf(one)))
      const base = await unlessAbsent(this.fs.status(`${this.pathOf(one)}/${baseName}`))
      if (folder === undefined || base === undefined || now - folder.changedMs >= keepMs) break
      octets += base.sizeOctets + (next - one.start) * entryOctets
      if (octets > maxKeptOctets) break
      next = one.start
    }
    return count
  }
}
