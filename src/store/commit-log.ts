/**
 * The commit log: a state that several processes on several machines change without a lock.
 *
 *     log/000000000901.<id>/000000000901   the whole state as of 901: the first entry of an epoch
 *                           000000000902   a change set; 902 is its number, a mailbox's MODSEQ
 *                           000000000903   …
 *
 * `link(tmp/x, log/<epoch>/<N>)` is the only commit: it fails when somebody was first. What a maintainer could break:
 * - N is linked only by someone who applied everything before N; so every change set was checked against the state that it follows.
 * - Nothing is announced (applied to `state`) before the folder that names it is synced.
 * - An epoch ends with `seal`, put there in the same way. The next one is prepared inside the old folder and renamed out of it, and old
 *   epochs are renamed away oldest first: so an epoch that was removed can't come back, and nobody commits into a hole.
 * - A folder's name carries the id of what it is the log of: a writer that slept through a removal finds no folder.
 */

import { StoreError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import {
  type ChangeSet,
  DamagedEntry,
  decodeChangeSet,
  encodeChangeSet,
  type Operation,
  sealLines,
} from './change-set.ts'
import type { StoreContext } from './context.ts'
import { codeOf, type StoreFs, unlessAbsent } from './fs.ts'
import { removeTree } from './remove-tree.ts'
import { randomId, uniqueName } from './unique.ts'

/** The state that a log's operations make. Two replicas that applied the same operations are equal. */
export interface Replica<Outcome> {
  /** Applies one operation of entry `number` and tells what became of it. Throws StoreError for an unknown word. */
  apply(operation: Operation, number: number): Outcome
  /** The entry is complete. */
  applied(number: number): void
  /** Operations that make this state from an empty one. Stays valid while the replica moves on. */
  dump(): Iterable<Operation>
  /** Number of things in the state: what a dump costs. */
  readonly weight: number
  /** Entries were lost: makes the best of what is there. `directory` is the one that holds `log/`. */
  recover(fs: StoreFs, directory: string): Promise<void>
}

/** A change that somebody wants committed. */
export interface CommitRequest<Outcome, Result> {
  /** Folder whose new names must be durable before the commit. */
  readonly folder?: string
  /** The operations that make the change from the present state; none when there is nothing to do. Called again after a lost race. */
  plan(): readonly Operation[]
  /** What became of them, in order. Called when they are durable and applied. */
  done(outcomes: readonly Outcome[]): Result
}

interface Waiting<Outcome> {
  readonly folder: string | undefined
  readonly plan: () => readonly Operation[]
  readonly done: (outcomes: readonly Outcome[]) => void
  readonly fail: (error: unknown) => void
}

/** Told synchronously after the state moved; `own` counts the entries that this process committed. */
export type MoveListener = (own: boolean) => void

const numberWidth = 12
/** A tail of this many entries takes a few ms to read. Beyond it the epoch is sealed, later for a larger state. */
const minTail = 256
/** Entries read before their folder is synced and they are applied; this many of them at once. */
const readAhead = 64
const readsAtOnce = 16

const numberName = (number: number) => String(number).padStart(numberWidth, '0')
const epochPattern = /^([0-9]{12})\.([0-9a-f]{32})$/
const entryPattern = /^[0-9]{12}$/

interface Epoch {
  readonly folder: string
  readonly start: number
  readonly id: string
}

function epochOf(folder: string): Epoch | undefined {
  const match = epochPattern.exec(folder)
  return match === null ? undefined : { folder, start: Number(match[1]), id: match[2]! }
}

/** Lets others run between the pieces of a long computation. */
const breath = () => new Promise<void>((resolve) => setImmediate(resolve))

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
  const folder = `${prepared}/${numberName(start)}.${id}`
  await fs.makeDirectory(prepared)
  try {
    await fs.makeDirectory(folder)
    await fs.write(`${folder}/${numberName(start)}`, encodeChangeSet('state', uniqueName(), state.dump()))
    await fs.syncDirectory(folder)
    await fs.syncDirectory(prepared)
    await fs.rename(prepared, `${directory}/log`)
  } catch (error) {
    await removeTree(fs, prepared).catch(() => {})
    throw error
  }
  await fs.syncDirectory(directory)
}

export class CommitLog<Outcome, State extends Replica<Outcome>> {
  /** As of `number`. Replaced when it is loaded anew. */
  state: State
  /** Of the last entry applied. */
  number = 0
  /** Directory that holds `log/` and `tmp/`; changed by a rename. */
  directory: string
  private epoch: Epoch | undefined
  private readonly fs: StoreFs
  private readonly log: Log
  private readonly fresh: () => State
  private readonly moved: MoveListener
  private waiting: Waiting<Outcome>[] = []
  /** Reading and committing take turns. */
  private turn: Promise<unknown> = Promise.resolve()
  private refreshing: Promise<boolean> | undefined

  constructor(context: StoreContext, directory: string, fresh: () => State, moved: MoveListener = () => {}) {
    this.fs = context.fs
    this.log = context.log
    this.directory = directory
    this.fresh = fresh
    this.state = fresh()
    this.moved = moved
  }

  /** Identity of what this is the log of. */
  get id(): string {
    if (this.epoch === undefined) throw new Error('the log is not open')
    return this.epoch.id
  }

  /** Reads the newest state. Throws StoreError not-found when there is no log. */
  open(): Promise<void> {
    return this.inTurn(() => this.load())
  }

  /** Applies what others committed. True when the state moved. */
  refresh(): Promise<boolean> {
    if (this.refreshing === undefined) {
      const refreshing = this.inTurn(() => {
        if (this.refreshing === refreshing) this.refreshing = undefined
        return this.advance()
      })
      this.refreshing = refreshing
    }
    return this.refreshing
  }

  /** Commits; what is asked for while a commit is under way goes together into the next one. */
  commit<Result>(request: CommitRequest<Outcome, Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({
        folder: request.folder,
        plan: () => request.plan(),
        done: (outcomes) => resolve(request.done(outcomes)),
        fail: reject,
      })
      if (this.waiting.length === 1) void this.inTurn(() => this.commitWaiting()).catch(reject)
    })
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }

  private folderOf(epoch: Epoch): string {
    return `${this.directory}/log/${epoch.folder}`
  }

  private entryPath(number: number): string {
    return `${this.folderOf(this.epoch!)}/${numberName(number)}`
  }

  private async commitWaiting(): Promise<void> {
    const batch = this.waiting
    this.waiting = []
    try {
      await this.commitBatch(batch)
    } catch (error) {
      for (const request of batch) request.fail(error)
    }
    await this.cutWhenLong()
  }

  /** Plans every request; one that can't be planned fails alone. */
  private planAll(batch: Waiting<Outcome>[]): (readonly Operation[])[] {
    const plans: (readonly Operation[])[] = []
    this.planned?.()
    for (let at = 0; at < batch.length; ) {
      try {
        plans.push(batch[at]!.plan())
        at += 1
      } catch (error) {
        batch[at]!.fail(error)
        batch.splice(at, 1)
      }
    }
    return plans
  }

  /** Called before the requests of one commit are planned, one after another, against one state. */
  planned: (() => void) | undefined

  private async commitBatch(batch: Waiting<Outcome>[]): Promise<void> {
    const tmp = `${this.directory}/tmp/`
    const folders = new Set(batch.flatMap((request) => request.folder ?? []))
    let synced = folders.size === 0
    let written: { readonly path: string; readonly body: string; readonly octets: Buffer } | undefined
    try {
      for (;;) {
        const plans = this.planAll(batch)
        const operations = plans.flat()
        if (operations.length === 0) {
          for (const request of batch) request.done([])
          return
        }
        const lines = operations.map((operation) => JSON.stringify(operation))
        const body = lines.join('\n')
        const steps: Promise<void>[] = []
        if (!synced) steps.push(...Array.from(folders, (folder) => this.fs.syncDirectory(folder)))
        if (written?.body !== body) {
          if (written !== undefined) void this.fs.remove(written.path).catch(() => {})
          const id = uniqueName()
          written = { path: tmp + id, body, octets: sealLines('change', id, lines) }
          steps.push(this.fs.write(written.path, written.octets))
        }
        await allDone(steps)
        synced = true
        if (!(await this.put(written.path, written.octets))) continue
        const outcomes: Outcome[] = operations.map((operation) => this.state.apply(operation, this.number + 1))
        this.number += 1
        this.state.applied(this.number)
        this.moved(true)
        let from = 0
        for (const [index, request] of batch.entries()) {
          const upTo = from + plans[index]!.length
          request.done(outcomes.slice(from, upTo))
          from = upTo
        }
        return
      }
    } finally {
      if (written !== undefined) void this.fs.remove(written.path).catch(() => {})
    }
  }

  /**
   * Links a written entry as the next number and makes that durable. False when somebody was first: the state moved on.
   * On network file systems EEXIST, or any other failure, can be the answer to one's own success: only a look decides.
   */
  private async put(path: string, octets: Buffer): Promise<boolean> {
    const epoch = this.epoch!
    const entry = this.entryPath(this.number + 1)
    try {
      await this.fs.link(path, entry)
    } catch (error) {
      const there = await unlessAbsent(this.fs.read(entry))
      if (there === undefined || !there.equals(octets)) {
        if (there === undefined && (await this.isPresent(epoch))) throw error
        await this.advance()
        return false
      }
    }
    await this.fs.syncDirectory(this.folderOf(epoch))
    return true
  }

  private async isPresent(epoch: Epoch): Promise<boolean> {
    return (await unlessAbsent(this.fs.status(this.folderOf(epoch)))) !== undefined
  }

  /** Reads and applies the entries after `number`. */
  private async advance(): Promise<boolean> {
    let moved = false
    for (;;) {
      const epoch = this.epoch
      if (epoch === undefined) throw new Error('the log is not open')
      const found: ChangeSet[] = []
      try {
        await this.readEntries(found)
      } catch (error) {
        if (!(error instanceof DamagedEntry)) throw error
        await this.saveWhatIsLeft()
        return true
      }
      if (found.length === 0) {
        if (await this.isPresent(epoch)) return moved
        await this.load(epoch.id)
        return true
      }
      if ((await unlessAbsent(this.fs.syncDirectory(this.folderOf(epoch)).then(() => true))) === undefined) continue
      let ended: ChangeSet['kind'] = 'change'
      for (const entry of found) {
        if (entry.kind === 'change') {
          for (const operation of entry.operations) this.state.apply(operation, this.number + 1)
          this.state.applied(this.number + 1)
        }
        this.number += 1
        ended = entry.kind
      }
      moved = true
      if (ended === 'change') this.moved(false)
      else if (ended === 'seal') await this.followSeal()
      else {
        await this.saveWhatIsLeft()
        return true
      }
      await breath()
    }
  }

  /** Fills `found` with the entries after `number`, up to the first absent one, the end of the epoch or `readAhead`. */
  private async readEntries(found: ChangeSet[]): Promise<void> {
    // Mostly nothing is new: the first question is about one entry only.
    for (let atOnce = 1; found.length < readAhead; atOnce = readsAtOnce) {
      const first = this.number + found.length + 1
      const paths = Array.from({ length: atOnce }, (_, index) => this.entryPath(first + index))
      const entries = await Promise.all(paths.map((path) => unlessAbsent(this.fs.read(path))))
      for (const [index, octets] of entries.entries()) {
        if (octets === undefined) return
        const entry = decodeChangeSet(octets, paths[index]!)
        found.push(entry)
        if (entry.kind !== 'change') return
      }
    }
  }

  /** The last entry applied ends the epoch: goes on in the next one, making it when nobody did. */
  private async followSeal(): Promise<void> {
    const old = this.epoch!
    const start = this.number + 1
    const next: Epoch = { folder: `${numberName(start)}.${old.id}`, start, id: old.id }
    if (!(await this.isPresent(next)) && !(await this.makeEpoch(old, next, this.state))) {
      await this.load(old.id)
      return
    }
    await this.fs.syncDirectory(`${this.directory}/log`)
    this.epoch = next
    this.number = start
    this.state.applied(start)
    this.moved(false)
  }

  /** False when the old epoch is gone: what is to follow it may be gone as well. */
  private async makeEpoch(old: Epoch, next: Epoch, state: State): Promise<boolean> {
    const prepared = `${this.folderOf(old)}/${uniqueName()}`
    try {
      await this.fs.makeDirectory(prepared)
      const lines: string[] = []
      for (const operation of state.dump()) {
        lines.push(JSON.stringify(operation))
        await breath()
      }
      await this.fs.write(`${prepared}/${numberName(next.start)}`, sealLines('state', uniqueName(), lines))
      await this.fs.syncDirectory(prepared)
      await this.fs.rename(prepared, this.folderOf(next))
      return true
    } catch (error) {
      const present = await this.isPresent(next)
      if (!present && codeOf(error) !== 'ENOENT') throw error
      await removeTree(this.fs, prepared).catch(() => {})
      return present
    }
  }

  private async cutWhenLong(): Promise<void> {
    const epoch = this.epoch
    if (epoch === undefined || this.number - epoch.start < Math.max(minTail, this.state.weight / 100)) return
    try {
      const id = uniqueName()
      const path = `${this.directory}/tmp/${id}`
      const octets = sealLines('seal', id, [])
      await this.fs.write(path, octets)
      const sealed = await this.put(path, octets)
      await this.fs.remove(path)
      if (!sealed) return
      this.number += 1
      await this.followSeal()
      await this.removeOldEpochs()
    } catch (error) {
      // Nothing depends on it: the log stays longer than it need be until a later commit succeeds.
      this.log.log('info', 'a commit log was not cut', { directory: this.directory, error: String(error) })
    }
  }

  /** All but the present epoch and the one before it, oldest first. */
  private async removeOldEpochs(): Promise<void> {
    const old = (await this.epochs()).filter((epoch) => epoch.start < this.epoch!.start).slice(0, -1)
    for (const epoch of old) {
      const away = `${this.directory}/tmp/${uniqueName()}`
      await this.fs.rename(this.folderOf(epoch), away)
      await this.fs.syncDirectory(`${this.directory}/log`)
      await removeTree(this.fs, away)
    }
  }

  /** Ascending. Throws StoreError not-found when there is no log. */
  private async epochs(): Promise<Epoch[]> {
    const entries = await unlessAbsent(this.fs.list(`${this.directory}/log`))
    if (entries === undefined) throw new StoreError('not-found', 'The mailbox does not exist')
    return entries
      .flatMap((entry) => (entry.isDirectory ? (epochOf(entry.name) ?? []) : []))
      .sort((a, b) => a.start - b.start)
  }

  /** Takes the newest state that can be read and everything after it. `id`: the log must still be the one of this thing. */
  private async load(id?: string): Promise<void> {
    for (;;) {
      const epochs = await this.epochs()
      const newest = epochs.at(-1)
      if (newest !== undefined && id !== undefined && newest.id !== id)
        throw new StoreError('not-found', 'The mailbox was removed, and another one has its name now')
      const base = await this.newestBase(epochs)
      if (base === 'moved') continue
      if (base === undefined) {
        await this.saveWhatIsLeft()
        return
      }
      this.epoch = base.epoch
      this.state = base.state
      this.number = base.epoch.start
      await this.advance()
      this.moved(false)
      return
    }
  }

  private async newestBase(epochs: readonly Epoch[]): Promise<{ epoch: Epoch; state: State } | 'moved' | undefined> {
    for (const epoch of epochs.toReversed()) {
      const state = await this.readBase(epoch)
      if (state !== undefined) {
        await unlessAbsent(this.fs.syncDirectory(this.folderOf(epoch)))
        await unlessAbsent(this.fs.syncDirectory(`${this.directory}/log`))
        return { epoch, state }
      }
      // An epoch is renamed into place with its base: without, it is being removed, or damaged.
      if (!(await this.isPresent(epoch))) return 'moved'
    }
    return undefined
  }

  /** Undefined when absent or damaged. */
  private async readBase(epoch: Epoch): Promise<State | undefined> {
    const path = `${this.folderOf(epoch)}/${numberName(epoch.start)}`
    const octets = await unlessAbsent(this.fs.read(path))
    if (octets === undefined) return undefined
    try {
      const entry = decodeChangeSet(octets, path)
      const state = this.fresh()
      for (const operation of entry.operations) {
        state.apply(operation, epoch.start)
        await breath()
      }
      state.applied(epoch.start)
      return state
    } catch (error) {
      if (error instanceof DamagedEntry) return undefined
      throw error
    }
  }

  /**
   * Part of the log can't be read. Everything that can be is applied, the replica recovers what else it finds, and a new epoch
   * starts from there. The old one is ended with `lost` in the put-if-absent way, so that nobody goes on in it.
   */
  private async saveWhatIsLeft(): Promise<void> {
    for (;;) {
      const epochs = await this.epochs()
      const newest = epochs.at(-1)
      const base = await this.newestBase(epochs)
      if (base === 'moved') continue
      const state = base?.state ?? this.fresh()
      const last = await this.applyReadable(
        epochs.filter((epoch) => epoch.start >= (base?.epoch.start ?? 0)),
        base?.epoch.start ?? 0,
        state,
      )
      // Somebody else has saved it already.
      if (newest !== undefined && base?.epoch === newest && last.sound && last.kind !== 'lost') {
        await this.load(newest.id)
        return
      }
      this.log.log('err', 'a commit log is damaged; going on with what can be read', {
        directory: this.directory,
        upTo: last.number,
      })
      await state.recover(this.fs, this.directory)
      if (newest === undefined) {
        // Nothing is left of the log. Only an empty folder can be replaced, so two that notice make one.
        await createLog(this.fs, this.directory, state, 1).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
        })
        if ((await this.epochs()).length === 0)
          throw new StoreError('damaged', `${this.directory}/log holds no epoch; move what it holds away`)
        continue
      }
      this.epoch = newest
      this.number = last.number
      if (last.kind !== 'lost') {
        const id = uniqueName()
        const path = `${this.directory}/tmp/${id}`
        await this.fs.write(path, sealLines('lost', id, []))
        try {
          await this.fs.link(path, this.entryPath(last.number + 1))
        } catch (error) {
          if (codeOf(error) === 'EEXIST' || !(await this.isPresent(newest))) continue
          throw error
        } finally {
          await this.fs.remove(path)
        }
        await this.fs.syncDirectory(this.folderOf(newest))
        this.number += 1
      }
      const start = this.number + 1
      const next: Epoch = { folder: `${numberName(start)}.${newest.id}`, start, id: newest.id }
      if (!(await this.isPresent(next))) await this.makeEpoch(newest, next, state)
      await this.load(newest.id)
      return
    }
  }

  /** Applies every entry after `after` that can be read. */
  private async applyReadable(epochs: readonly Epoch[], after: number, state: State): Promise<Readable> {
    let last: Readable = { number: after, kind: undefined, sound: true }
    for (const epoch of epochs) {
      const numbers = (await this.fs.list(this.folderOf(epoch)))
        .flatMap((entry) => (entryPattern.test(entry.name) ? Number(entry.name) : []))
        .sort((a, b) => a - b)
      for (const number of numbers) {
        if (number <= last.number) continue
        const path = `${this.folderOf(epoch)}/${numberName(number)}`
        const sound = last.sound && number === last.number + 1
        try {
          const entry = decodeChangeSet(await this.fs.read(path), path)
          last = { number, kind: entry.kind, sound }
          if (entry.kind === 'change') for (const operation of entry.operations) state.apply(operation, number)
        } catch (error) {
          if (!(error instanceof DamagedEntry)) throw error
          last = { number, kind: undefined, sound: false }
        }
        state.applied(number)
      }
      if (epoch.start > last.number) last = { number: epoch.start, kind: undefined, sound: false }
    }
    return last
  }
}

/** How far a log could be read. */
interface Readable {
  /** The highest number that is taken. */
  readonly number: number
  /** What has it, where that can be read. */
  readonly kind: ChangeSet['kind'] | undefined
  /** Nothing was missing or damaged. */
  readonly sound: boolean
}

/** Waits for all before the first failure is told: nothing may still be writing when the caller cleans up. */
async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) if (result.status === 'rejected') throw result.reason
}
