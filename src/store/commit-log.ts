/**
 * The commit log: a state that several processes on several machines change without a lock.
 *
 *     log/000000000901.<id>/base           the whole state as of some number up to 901
 *                           000000000901   what the base lacks of the state as of 901: the first entry of an epoch
 *                           000000000902   a change set; 902 is its number, a mailbox's MODSEQ
 *                           000000000903   …
 *
 * `link(tmp/x, log/<epoch>/<N>)` is the only commit: it fails when somebody was first. What a maintainer could break:
 * - N is linked only by someone who applied everything before N; so every change set was checked against the state that it follows.
 * - Nothing is announced (applied to `state`) before the folder that names it is synced.
 * - An epoch ends with `seal`, put there in the same way. Nobody stands on a `seal` or `lost` entry, from where N + 1 would look free: from the
 *   last change set the position goes to the next epoch, in one step and only when that is durable. Whoever finds that not possible stays
 *   where he is, reads, and meets the `seal` again when he wants to commit.
 * - A base is written while commits go on, so it is as of an earlier number than the seal; the first entry tells what came between.
 * - The next epoch is prepared inside the old folder and renamed out of it, and old epochs are renamed away oldest first: so an epoch that was
 *   removed can't come back, and nobody commits into a hole.
 * - A folder's name carries the id of what it is the log of: a writer that slept through a removal finds no folder.
 */

import { StoreError } from '../base/errors.ts'
import { breath } from './breath.ts'
import { encodeOperations, entryPieces, type Operation } from './change-set.ts'
import type { StoreContext } from './context.ts'
import { Courtesy } from './courtesy.ts'
import { cutEpoch, isLong } from './epoch-cut.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { LogReader } from './log-reader.ts'
import { allDone, makeDurable, type NewFiles } from './new-files.ts'
import type { Position } from './position.ts'
import { operationsPerTurn, type Replica } from './replica.ts'
import { processOf, uniqueName } from './unique.ts'

/** A change that somebody wants committed. */
export interface CommitRequest<Outcome, Result> {
  readonly files?: NewFiles
  /**
   * The operations that make the change from the present state; none when there is nothing to do. Called again after a lost race. The state
   * stands still while they are asked for; others run in between when they are many, and where one is undefined.
   */
  plan(): Iterable<Operation | undefined>
  /** What became of them, in order. Called when they are durable and applied. */
  done(outcomes: readonly Outcome[]): Result
}

interface Waiting<Outcome> {
  readonly files: NewFiles | undefined
  readonly plan: () => Iterable<Operation | undefined>
  readonly done: (outcomes: readonly Outcome[]) => void
  readonly fail: (error: unknown) => void
}

/** Told synchronously after the state moved; `own` counts the entries that this process committed. */
export type MoveListener = (own: boolean) => void

/** What is written to be linked. */
interface Written {
  readonly path: string
  readonly body: Buffer
  /** The whole entry. */
  readonly pieces: readonly Buffer[]
}

export class CommitLog<Outcome, State extends Replica<Outcome>> {
  private at: Position<Outcome, State> | undefined
  /** Of the state that was opened. */
  private meaning = 0
  private readonly reader: LogReader<Outcome, State>
  private readonly context: StoreContext
  private readonly what: 'mailbox' | 'account'
  private readonly moved: MoveListener
  private readonly courtesy: Courtesy
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
    this.moved = moved
    this.courtesy = new Courtesy(context.clock)
    this.reader = new LogReader(context, what, directory, fresh, {
      read: ({ id }) => this.courtesy.meet(processOf(id)),
      moved: (at) => {
        if (at === this.at && at.state.meaning === this.meaning) this.moved(false)
      },
      ended: (why) => this.end(why),
    })
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

  /** Paths of the last entry applied and of the one that will be next. */
  get entries(): { readonly last: string; readonly next: string } {
    const { epoch, number } = this.position
    const { epochs } = this.reader
    return { last: epochs.entryPath(epoch, number), next: epochs.entryPath(epoch, number + 1) }
  }

  /** Directory that holds `log/` and `tmp/`; changed by a rename. */
  get directory(): string {
    return this.reader.epochs.directory
  }
  set directory(path: string) {
    this.reader.epochs.directory = path
  }

  /** Reads the newest state. Throws StoreError not-found when there is no log. */
  open(): Promise<void> {
    return this.inTurn(async () => {
      this.at = await this.reader.load(undefined, false)
      this.meaning = this.at.state.meaning
    })
  }

  /**
   * Applies what others committed. True when the state moved. Throws StoreError not-found when this is gone, or began anew so that what is known
   * of it means something else now: then nothing works any more but to open it again.
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
        files: request.files,
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

  /** Removes epochs that nobody needs any more. */
  async removeOldEpochs(): Promise<void> {
    await this.reader.epochs.removeBefore(this.position.epoch, this.context.epochKeepMs)
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }

  private get position(): Position<Outcome, State> {
    if (this.at === undefined) throw new Error('the log is not open')
    return this.at
  }

  private async commitWaiting(): Promise<void> {
    await this.courtesy.pause()
    // Who just heard of the commit before and wants another one comes along.
    await breath()
    const batch = this.waiting.splice(0)
    try {
      await this.commitBatch(batch)
    } catch (error) {
      for (const request of batch) request.fail(error)
      return
    }
    this.cutWhenLong()
  }

  /** Plans every request; one that can't be planned fails alone. */
  private async planAll(batch: Waiting<Outcome>[]): Promise<(readonly Operation[])[]> {
    const plans: (readonly Operation[])[] = []
    this.planned?.()
    for (let at = 0; at < batch.length; ) {
      try {
        const plan: Operation[] = []
        for (const operation of batch[at]!.plan()) {
          if (operation !== undefined) plan.push(operation)
          if (operation === undefined || plan.length % operationsPerTurn === 0) await breath()
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
    const ready = new Set<Waiting<Outcome>>()
    let written: Written | undefined
    let lostSince: number | undefined
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
        const fresh = batch.filter((request) => !ready.has(request))
        const files = makeDurable(
          fs,
          fresh.map((request) => request.files),
        )
        const steps: Promise<unknown>[] = [files]
        if (written?.body.equals(body) !== true) {
          if (written !== undefined) void fs.remove(written.path).catch(() => {})
          const id = uniqueName()
          written = { path: `${this.directory}/tmp/${id}`, body, pieces: entryPieces('change', id, body) }
          steps.push(fs.write(written.path, ...written.pieces))
        }
        await allDone(steps)
        for (const request of fresh) ready.add(request)
        const failed = new Map<Waiting<Outcome>, unknown>()
        for (const [index, result] of (await files).entries())
          if (result.status === 'rejected') failed.set(fresh[index]!, result.reason)
        if (failed.size > 0) {
          batch.splice(0, batch.length, ...batch.filter((request) => !failed.has(request)))
          for (const [request, reason] of failed) request.fail(reason)
          continue
        }
        if (lostSince !== undefined) this.courtesy.caughtUp(lostSince)
        const began = this.context.clock.monotonic()
        if (!(await this.put(written.path, written.pieces))) {
          lostSince = began
          // What came meanwhile goes along.
          batch.push(...this.waiting.splice(0))
          continue
        }
        this.courtesy.won(this.number + 1)
        const outcomes = await this.position.goOver(body, operations)
        if (this.position.state.meaning === this.meaning) this.moved(true)
        else this.end(anew(this.what))
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
  private async put(path: string, pieces: readonly Buffer[]): Promise<boolean> {
    const { fs } = this.context
    const { epochs } = this.reader
    const { epoch, number } = this.position
    const entry = epochs.entryPath(epoch, number + 1)
    try {
      await fs.link(path, entry)
    } catch (error) {
      const there = await unlessAbsent(fs.read(entry))
      if (there === undefined || !there.equals(Buffer.concat(pieces))) {
        if (there === undefined && (await epochs.isPresent(epoch))) throw error
        await this.advance(true)
        return false
      }
    }
    try {
      await fs.syncDirectory(epochs.pathOf(epoch))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || (await epochs.isPresent(epoch))) throw error
      if (!(await this.reader.wasPassedOn(epoch)))
        throw new StoreError('unavailable', `The ${this.what} was moved or removed at the same moment; try again`)
    }
    return true
  }

  /** Reads and applies the entries after `number`. `toCommit`: makes the next epoch when this one is sealed, or throws. */
  private async advance(toCommit: boolean): Promise<boolean> {
    if (this.over !== undefined) throw this.over
    const before = this.position
    const { number } = before
    const reached = await this.reader.follow(before, toCommit)
    if (reached.state.meaning !== this.meaning) throw this.end(anew(this.what))
    if (reached === before) return before.number !== number
    this.at = reached
    this.moved(false)
    return true
  }

  private end(why: string): StoreError {
    this.over = new StoreError('not-found', why)
    this.moved(false)
    return this.over
  }

  /** Begins to cut the log, which goes on beside the commits. */
  private cutWhenLong(): void {
    const { context, id } = this
    const at = this.position
    if (this.over !== undefined || context.cuts.has(id) || !isLong(at, context)) return
    const cut = cutEpoch(this.reader, at, {
      isCurrent: () => this.over === undefined && this.at === at,
      inTurn: (work) => this.inTurn(work),
      put: (path, octets) => this.put(path, [octets]),
      advance: () => this.advance(true),
    })
      .catch((error: unknown) => {
        // What was committed is safe; a later commit tries again.
        context.log.log('info', 'a commit log was not cut', { directory: this.directory, error: String(error) })
      })
      .finally(() => context.cuts.delete(id))
    context.cuts.set(id, cut)
  }
}

const anew = (what: string): string =>
  `The ${what} began anew, or was repaired after damage, and its UIDs are others now; open it again`
