/** Reading a commit log: from its newest state, over its entries, behind its seals. What must not break is told in commit-log.ts. */

import { StoreError } from '../base/errors.ts'
import { breath } from './breath.ts'
import { type ChangeSet, DamagedEntry } from './change-set.ts'
import type { StoreContext } from './context.ts'
import { type Epoch, EpochFolders, readAhead } from './epochs.ts'
import { unlessAbsent } from './fs.ts'
import { Position } from './position.ts'
import { saveWhatIsLeft } from './recovery.ts'
import type { Replica } from './replica.ts'

/** Who wants to know of it. */
export interface LogListener<Outcome, State extends Replica<Outcome>> {
  /** This entry was read. */
  read(entry: ChangeSet): void
  /** The position went over entries. */
  moved(at: Position<Outcome, State>): void
  /** Whoever knows the present state can never go on. Answers the error to fail with. */
  ended(why: string): StoreError
}

export class LogReader<Outcome, State extends Replica<Outcome>> {
  readonly epochs: EpochFolders<State>
  readonly context: StoreContext
  readonly what: 'mailbox' | 'account'
  readonly fresh: () => State
  private readonly listener: LogListener<Outcome, State>

  constructor(
    context: StoreContext,
    what: 'mailbox' | 'account',
    directory: string,
    fresh: () => State,
    listener: LogListener<Outcome, State>,
  ) {
    this.context = context
    this.what = what
    this.fresh = fresh
    this.listener = listener
    this.epochs = new EpochFolders(context.fs, what, directory, fresh)
  }

  /**
   * The newest state that can be read and everything after it. `id`: the log must still be the one of this thing. `toCommit`: makes the next
   * epoch when the last one is sealed, or throws. Throws StoreError not-found.
   */
  async load(id: string | undefined, toCommit: boolean): Promise<Position<Outcome, State>> {
    for (;;) {
      const epochs = await this.list(id)
      const base = await this.newestState(epochs)
      if (base === 'moved') continue
      const at = base === undefined ? undefined : await this.follow(base, toCommit)
      if (at !== undefined && !(await this.endsTooEarly(at, epochs))) return at
      await saveWhatIsLeft(this, id)
    }
  }

  /** Takes a position as far as the log goes. Answers another one where it did not go on from there. */
  async follow(at: Position<Outcome, State>, toCommit: boolean): Promise<Position<Outcome, State>> {
    for (;;) {
      const { epoch } = at
      let found: ChangeSet[]
      try {
        found = await this.epochs.readAfter(epoch, at.number)
      } catch (error) {
        if (!(error instanceof DamagedEntry)) throw error
        return await this.repair(epoch.id)
      }
      if (found.length === 0) {
        if (await this.epochs.isPresent(epoch)) return at
        return await this.load(epoch.id, toCommit)
      }
      const sync = this.context.fs.syncDirectory(this.epochs.pathOf(epoch)).then(() => true)
      if ((await unlessAbsent(sync)) === undefined) continue
      for (const entry of found) {
        this.listener.read(entry)
        if (entry.kind === 'change') await at.goOver(entry.body)
      }
      const ended = found.at(-1)!.kind
      if (found.length > 1 || ended === 'change') this.listener.moved(at)
      if (ended === 'seal') {
        const next = await this.goBehindSeal(at, toCommit)
        if (next === undefined) return at
        if (next !== at) return await this.follow(next, toCommit)
      } else if (ended !== 'change') return await this.repair(epoch.id)
      // The next one was absent while the folder was there: it was synced since.
      else if (found.length < readAhead) return at
      await breath()
    }
  }

  /** All epochs, ascending; those of the thing with this `id`. */
  async list(id: string | undefined): Promise<readonly Epoch[]> {
    const epochs = await this.epochs.list()
    const newest = epochs.at(-1)
    if (id !== undefined && newest !== undefined && newest.id !== id)
      throw this.listener.ended(`The ${this.what} was removed, and another one has its name now`)
    return epochs
  }

  /**
   * Of an epoch that was gone: others went on after its last entry and have copied what it made into a later one, durably. Not so when all of
   * the log went elsewhere; and when the same epoch is there again, it was put back or brought back, perhaps without the entry.
   */
  async wasPassedOn(epoch: Epoch): Promise<boolean> {
    try {
      const epochs = await this.list(epoch.id)
      return epochs.length > 0 && !epochs.some(({ start }) => start === epoch.start)
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found') return false
      throw error
    }
  }

  async newestState(epochs: readonly Epoch[]): Promise<Position<Outcome, State> | 'moved' | undefined> {
    for (const epoch of epochs.toReversed()) {
      const state = await this.epochs.readState(epoch)
      if (state !== undefined) return new Position<Outcome, State>(state, epoch, epoch.start)
      // An epoch is renamed into place with its state: without, it is being removed, or damaged.
      if (!(await this.epochs.isPresent(epoch))) return 'moved'
    }
    return undefined
  }

  private async repair(id: string): Promise<Position<Outcome, State>> {
    await saveWhatIsLeft(this, id)
    return await this.load(id, false)
  }

  /**
   * From the last change set of a sealed epoch to the beginning of the next. Undefined: there is none yet, and only to commit it has to be.
   * Another position: what the next one begins with is not the state that was sealed.
   */
  private async goBehindSeal(
    at: Position<Outcome, State>,
    toCommit: boolean,
  ): Promise<Position<Outcome, State> | undefined> {
    const old = at.epoch
    const next: Epoch = { start: at.number + 2, id: old.id }
    let made: 'made' | 'there' | 'gone' = 'there'
    if (!(await this.epochs.isPresent(next))) {
      if (!toCommit) return undefined
      // Who sealed it is about to make it, or died.
      made = await this.epochs.make(old, next, 'state', at.number, at.state)
      if (made === 'gone') return await this.load(old.id, toCommit)
    }
    if (made === 'there' && (await this.epochs.beginning(next)) !== 'state') {
      const state = await this.epochs.readState(next)
      if (state !== undefined) return new Position<Outcome, State>(state, next, next.start)
      return (await this.epochs.isPresent(next)) ? await this.repair(old.id) : await this.load(old.id, toCommit)
    }
    await this.context.fs.syncDirectory(`${this.epochs.directory}/log`)
    at.goInto(next)
    this.listener.moved(at)
    return at
  }

  /**
   * Entries lie behind the first absent one: one was taken away. Only a listing tells, and whoever comes new is the one to ask for it: from
   * there on each entry is seen before the next one can be made.
   */
  private async endsTooEarly(at: Position<Outcome, State>, epochs: readonly Epoch[]): Promise<boolean> {
    if (at.epoch.start < epochs.at(-1)!.start) return await this.epochs.isPresent(at.epoch)
    const numbers = await this.epochs.numbers(at.epoch)
    // The next number may have come meanwhile, or be the seal.
    if (numbers === undefined || numbers.length === 0 || numbers.at(-1)! <= at.number + 1) return false
    return !numbers.includes(at.number + 1) && (await this.isStillAbsent(at))
  }

  /** Not only for the listing, which may miss a name that comes while it is made. */
  private async isStillAbsent({ epoch, number }: Position<Outcome, State>): Promise<boolean> {
    const entry = await unlessAbsent(this.context.fs.status(this.epochs.entryPath(epoch, number + 1)))
    return entry === undefined && (await this.epochs.isPresent(epoch))
  }
}
