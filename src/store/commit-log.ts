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
 * - An epoch ends with `seal`, put there in the same way. Nobody stands on a `seal` or `lost` entry, from where N + 1 would look free: from the
 *   last change set the position goes to the next epoch, in one step and only when that is durable. Whoever finds that not possible stays
 *   where he is, reads, and meets the `seal` again when he wants to commit.
 * - The next epoch is prepared inside the old folder and renamed out of it, and old epochs are renamed away oldest first: so an epoch that was
 *   removed can't come back, and nobody commits into a hole.
 * - A folder's name carries the id of what it is the log of: a writer that slept through a removal finds no folder.
 */

import { StoreError } from '../base/errors.ts'
import { breath } from './breath.ts'
import {
  type ChangeSet,
  type ChangeSetKind,
  DamagedEntry,
  encodeOperations,
  type Operation,
  sealEntry,
} from './change-set.ts'
import type { StoreContext } from './context.ts'
import { createLog, type Epoch, EpochFolders } from './epochs.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { applyEntry, operationsPerTurn, type Replica } from './replica.ts'
import { uniqueName } from './unique.ts'

/** A change that somebody wants committed. */
export interface CommitRequest<Outcome, Result> {
  /** Folder whose new names must be durable before the commit. */
  readonly folder?: string
  /**
   * The operations that make the change from the present state; none when there is nothing to do. Called again after a lost race. The state
   * stands still while they are asked for; others run in between when they are many.
   */
  plan(): Iterable<Operation>
  /** What became of them, in order. Called when they are durable and applied. */
  done(outcomes: readonly Outcome[]): Result
}

interface Waiting<Outcome> {
  readonly folder: string | undefined
  readonly plan: () => Iterable<Operation>
  readonly done: (outcomes: readonly Outcome[]) => void
  readonly fail: (error: unknown) => void
}

/** Told synchronously after the state moved; `own` counts the entries that this process committed. */
export type MoveListener = (own: boolean) => void

/** Where a reader of the log stands: `state` is as of entry `number` of `epoch`. */
interface Position<State> {
  readonly state: State
  epoch: Epoch
  number: number
}

export class CommitLog<Outcome, State extends Replica<Outcome>> {
  private at: Position<State> | undefined
  private readonly epochs: EpochFolders<State>
  private readonly context: StoreContext
  private readonly what: 'mailbox' | 'account'
  private readonly fresh: () => State
  private readonly moved: MoveListener
  private waiting: Waiting<Outcome>[] = []
  /** Reading and committing take turns. */
  private turn: Promise<unknown> = Promise.resolve()
  private refreshing: Promise<boolean> | undefined
  /** Why whoever knows the present state can never go on: every later call fails with it. */
  private over: StoreError | undefined

  constructor(
    context: StoreContext,
    what: 'mailbox' | 'account',
    directory: string,
    fresh: () => State,
    moved: MoveListener = () => {},
  ) {
    this.context = context
    this.what = what
    this.fresh = fresh
    this.epochs = new EpochFolders(context.fs, what, directory, fresh)
    this.moved = moved
  }

  /** As of `number`. Another object after entries were lost, or slept through. */
  get state(): State {
    return this.position.state
  }

  /** Of the last entry applied. */
  get number(): number {
    return this.position.number
  }

  /** Identity of what this is the log of. */
  get id(): string {
    return this.position.epoch.id
  }

  /** Directory that holds `log/` and `tmp/`; changed by a rename. */
  get directory(): string {
    return this.epochs.directory
  }
  set directory(path: string) {
    this.epochs.directory = path
  }

  /** Reads the newest state. Throws StoreError not-found when there is no log. */
  open(): Promise<void> {
    return this.inTurn(async () => {
      this.at = await this.load(undefined, false)
    })
  }

  /**
   * Applies what others committed. True when the state moved. Throws StoreError not-found when this is gone, or began anew so that what is known
   * of it means something else now: then the state stays as it was, and nothing works any more but to open it again.
   */
  refresh(): Promise<boolean> {
    if (this.refreshing === undefined) {
      const refreshing = this.inTurn(() => {
        if (this.refreshing === refreshing) this.refreshing = undefined
        return this.advance(false)
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
        done: (outcomes) => {
          try {
            resolve(request.done(outcomes))
          } catch (error) {
            reject(error)
          }
        },
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

  private get position(): Position<State> {
    if (this.at === undefined) throw new Error('the log is not open')
    return this.at
  }

  private async commitWaiting(): Promise<void> {
    const batch = this.waiting
    this.waiting = []
    try {
      await this.commitBatch(batch)
    } catch (error) {
      for (const request of batch) request.fail(error)
      return
    }
    await this.cutWhenLong()
  }

  /** Plans every request; one that can't be planned fails alone. */
  private async planAll(batch: Waiting<Outcome>[]): Promise<(readonly Operation[])[]> {
    const plans: (readonly Operation[])[] = []
    this.planned?.()
    for (let at = 0; at < batch.length; ) {
      try {
        const plan: Operation[] = []
        for (const operation of batch[at]!.plan()) {
          plan.push(operation)
          if (plan.length % operationsPerTurn === 0) await breath()
        }
        plans.push(plan)
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
    const { fs } = this.context
    const folders = new Set(batch.flatMap((request) => request.folder ?? []))
    let synced = folders.size === 0
    let written: { readonly path: string; readonly body: Buffer; readonly octets: Buffer } | undefined
    try {
      for (;;) {
        if (this.over !== undefined) throw this.over
        const plans = await this.planAll(batch)
        const operations = plans.flat()
        if (operations.length === 0) {
          for (const request of batch) request.done([])
          return
        }
        const body = await encodeOperations(operations)
        const steps: Promise<void>[] = []
        if (!synced) steps.push(...Array.from(folders, (folder) => fs.syncDirectory(folder)))
        if (written?.body.equals(body) !== true) {
          if (written !== undefined) void fs.remove(written.path).catch(() => {})
          const id = uniqueName()
          written = { path: `${this.directory}/tmp/${id}`, body, octets: sealEntry('change', id, body) }
          steps.push(fs.write(written.path, written.octets))
        }
        await allDone(steps)
        synced = true
        if (!(await this.put(written.path, written.octets))) continue
        const at = this.position
        const outcomes = await applyEntry(at.state, at.number + 1, operations)
        at.number += 1
        at.state.applied(at.number)
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
      if (written !== undefined) void fs.remove(written.path).catch(() => {})
    }
  }

  /**
   * Links a written entry as the next number and makes that durable. False when somebody was first: the state moved on.
   * On network file systems EEXIST, or any other failure, can be the answer to one's own success: only a look decides.
   */
  private async put(path: string, octets: Buffer): Promise<boolean> {
    const { fs } = this.context
    const { epoch, number } = this.position
    const entry = this.epochs.entryPath(epoch, number + 1)
    try {
      await fs.link(path, entry)
    } catch (error) {
      const there = await unlessAbsent(fs.read(entry))
      if (there === undefined || !there.equals(octets)) {
        if (there === undefined && (await this.epochs.isPresent(epoch))) throw error
        await this.advance(true)
        return false
      }
    }
    try {
      await fs.syncDirectory(this.epochs.pathOf(epoch))
    } catch (error) {
      // Removed meanwhile: those who went on after this entry have copied what it made into a later epoch, durably.
      if (codeOf(error) !== 'ENOENT' || (await this.epochs.isPresent(epoch))) throw error
    }
    return true
  }

  /** Reads and applies the entries after `number`. `toCommit`: makes the next epoch when this one is sealed, or throws. */
  private async advance(toCommit: boolean): Promise<boolean> {
    if (this.over !== undefined) throw this.over
    const before = this.position
    const { number } = before
    const reached = await this.follow(before, toCommit)
    if (reached === before) return before.number !== number
    if (!reached.state.continues(before.state))
      throw this.end(`The ${this.what} was repaired after damage, and its UIDs are others now; open it again`)
    this.at = reached
    this.moved(false)
    return true
  }

  private end(why: string): StoreError {
    this.over = new StoreError('not-found', why)
    this.moved(false)
    return this.over
  }

  /** Takes `at` as far as the log goes. Answers another position where it did not go on from there. */
  private async follow(at: Position<State>, toCommit: boolean): Promise<Position<State>> {
    for (;;) {
      const { epoch } = at
      let found: ChangeSet[]
      try {
        found = await this.epochs.readAfter(epoch, at.number)
      } catch (error) {
        if (!(error instanceof DamagedEntry)) throw error
        return await this.saveWhatIsLeft(epoch.id)
      }
      if (found.length === 0) {
        if (await this.epochs.isPresent(epoch)) return at
        return await this.load(epoch.id, toCommit)
      }
      const sync = this.context.fs.syncDirectory(this.epochs.pathOf(epoch)).then(() => true)
      if ((await unlessAbsent(sync)) === undefined) continue
      for (const entry of found) {
        if (entry.kind !== 'change') break
        await applyEntry(at.state, at.number + 1, entry.operations)
        at.number += 1
        at.state.applied(at.number)
      }
      const ended = found.at(-1)!.kind
      if (at === this.at && (found.length > 1 || ended === 'change')) this.moved(false)
      if (ended === 'seal') {
        const next = await this.goBehindSeal(at, toCommit)
        if (next === undefined) return at
        if (next !== at) return await this.follow(next, toCommit)
      } else if (ended !== 'change') return await this.saveWhatIsLeft(epoch.id)
      await breath()
    }
  }

  /**
   * From the last change set of a sealed epoch to the beginning of the next. Undefined: there is none yet, and only to commit it has to be.
   * Another position: what the next one begins with is not the state that was sealed.
   */
  private async goBehindSeal(at: Position<State>, toCommit: boolean): Promise<Position<State> | undefined> {
    const old = at.epoch
    const next: Epoch = { start: at.number + 2, id: old.id }
    let made: 'made' | 'there' | 'gone' = 'there'
    if (!(await this.epochs.isPresent(next))) {
      if (!toCommit) return undefined
      made = await this.epochs.make(old, next, 'state', at.state)
      if (made === 'gone') return await this.load(old.id, toCommit)
    }
    if (made === 'there' && (await this.epochs.beginning(next)) !== 'state') {
      const state = await this.epochs.readState(next)
      if (state !== undefined) return { state, epoch: next, number: next.start }
      return (await this.epochs.isPresent(next)) ? await this.saveWhatIsLeft(old.id) : await this.load(old.id, toCommit)
    }
    await this.context.fs.syncDirectory(`${this.directory}/log`)
    at.epoch = next
    at.number = next.start
    at.state.applied(next.start)
    if (at === this.at) this.moved(false)
    return at
  }

  private async cutWhenLong(): Promise<void> {
    if (this.over !== undefined) return
    const { epoch, number, state } = this.position
    if (number - epoch.start < Math.max(this.context.epochEntries, state.weight / 100)) return
    const { fs, log } = this.context
    try {
      const id = uniqueName()
      const path = `${this.directory}/tmp/${id}`
      const octets = sealEntry('seal', id)
      await fs.write(path, octets)
      const sealed = await this.put(path, octets).finally(() => fs.remove(path).catch(() => {}))
      if (sealed) await this.advance(true)
      if (this.position.epoch !== epoch) await this.epochs.removeBefore(this.position.epoch)
    } catch (error) {
      // What was committed is safe; a later commit tries again.
      log.log('info', 'a commit log was not cut', { directory: this.directory, error: String(error) })
    }
  }

  /** The newest state that can be read and everything after it. `id`: the log must still be the one of this thing. */
  private async load(id: string | undefined, toCommit: boolean): Promise<Position<State>> {
    for (;;) {
      const epochs = await this.list(id)
      const base = await this.newestState(epochs)
      if (base === 'moved') continue
      return base === undefined ? await this.saveWhatIsLeft(id) : await this.follow(base, toCommit)
    }
  }

  /** All epochs, ascending; those of the thing with this `id`. */
  private async list(id: string | undefined): Promise<readonly Epoch[]> {
    const epochs = await this.epochs.list()
    const newest = epochs.at(-1)
    if (id !== undefined && newest !== undefined && newest.id !== id)
      throw this.end(`The ${this.what} was removed, and another one has its name now`)
    return epochs
  }

  private async newestState(epochs: readonly Epoch[]): Promise<Position<State> | 'moved' | undefined> {
    for (const epoch of epochs.toReversed()) {
      const state = await this.epochs.readState(epoch)
      if (state !== undefined) return { state, epoch, number: epoch.start }
      // An epoch is renamed into place with its state: without, it is being removed, or damaged.
      if (!(await this.epochs.isPresent(epoch))) return 'moved'
    }
    return undefined
  }

  /**
   * Part of the log can't be read. Everything that can be is applied, the replica recovers what else it finds, and a new epoch starts from
   * there. Its number is the one that a commit to the old epoch would need, or the next one after a seal: `lost` takes that number in the old
   * epoch first, in the put-if-absent way, and a healthy process that comes from the seal finds the epoch there. So nobody goes on in the old one.
   */
  private async saveWhatIsLeft(id: string | undefined): Promise<Position<State>> {
    const { fs, log } = this.context
    for (;;) {
      const epochs = await this.list(id)
      const newest = epochs.at(-1)
      const base = await this.newestState(epochs)
      if (base === 'moved') continue
      const state = base?.state ?? this.fresh()
      state.expectGaps()
      const last = await this.applyReadable(epochs, base, state)
      if (last === 'moved') continue
      // Somebody else has saved it already.
      if (newest !== undefined && last.sound && last.kind !== 'lost') return await this.load(newest.id, false)
      log.log('err', 'a commit log is damaged; going on with what can be read', {
        directory: this.directory,
        upTo: last.number,
      })
      await state.recover(fs, this.directory)
      if (newest === undefined) {
        // Nothing is left of the log. Only an empty folder can be replaced, so two that notice make one.
        await createLog(fs, this.directory, state, 1).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
        })
        if ((await this.epochs.list()).length === 0)
          throw new StoreError('damaged', `${this.directory}/log holds no epoch; move what it holds away`)
        continue
      }
      const next: Epoch = { start: last.kind === 'lost' ? last.number : last.number + 1, id: newest.id }
      if (last.kind !== 'lost' && last.kind !== 'seal' && !(await this.putLost(newest, next.start))) continue
      if ((await this.epochs.make(newest, next, 'saved', state)) === 'gone') continue
      return await this.load(newest.id, false)
    }
  }

  /** Ends an epoch with `lost` as entry `number`. False when somebody was first, or the epoch is gone. */
  private async putLost(epoch: Epoch, number: number): Promise<boolean> {
    const { fs } = this.context
    const id = uniqueName()
    const path = `${this.directory}/tmp/${id}`
    await fs.write(path, sealEntry('lost', id))
    try {
      await fs.link(path, this.epochs.entryPath(epoch, number))
    } catch (error) {
      if (codeOf(error) === 'EEXIST' || !(await this.epochs.isPresent(epoch))) return false
      throw error
    } finally {
      await fs.remove(path).catch(() => {})
    }
    await fs.syncDirectory(this.epochs.pathOf(epoch))
    return true
  }

  /** Applies every entry after `base`, or of all epochs, that can be read. */
  private async applyReadable(
    epochs: readonly Epoch[],
    base: Position<State> | undefined,
    state: State,
  ): Promise<Readable | 'moved'> {
    let last: Readable = { number: 0, kind: undefined, sound: true }
    for (const epoch of epochs) {
      if (base !== undefined && epoch.start < base.epoch.start) continue
      if (epoch === base?.epoch) last = { number: epoch.start, kind: 'state', sound: true }
      else {
        // How it begins can't be read, but after a seal that is what is known already.
        const follows = last.sound && last.kind === 'seal' && epoch.start === last.number + 1
        const sound = follows && (await this.epochs.beginning(epoch)) === 'state'
        last = { number: epoch.start, kind: sound ? 'state' : undefined, sound }
        state.applied(epoch.start)
      }
      const numbers = await this.epochs.numbers(epoch)
      if (numbers === undefined) return 'moved'
      for (const number of numbers) {
        if (number <= last.number) continue
        const sound = last.sound && number === last.number + 1
        try {
          const entry = await this.epochs.read(epoch, number)
          last = { number, kind: entry.kind, sound }
          if (entry.kind === 'change') await applyEntry(state, number, entry.operations)
        } catch (error) {
          if (codeOf(error) === 'ENOENT') return 'moved'
          if (!(error instanceof DamagedEntry)) throw error
          last = { number, kind: undefined, sound: false }
        }
        state.applied(number)
        await breath()
      }
    }
    return last
  }
}

/** How far a log could be read. */
interface Readable {
  /** The highest number that is taken. */
  readonly number: number
  /** What has it, where that can be read. */
  readonly kind: ChangeSetKind | undefined
  /** Nothing was missing or damaged. */
  readonly sound: boolean
}

/** Waits for all before the first failure is told: nothing may still be writing when the caller cleans up. */
async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) if (result.status === 'rejected') throw result.reason
}
