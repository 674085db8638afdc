/**
 * Reads a commit log as it lies on the disk, all of it, and changes nothing: opening it would repair it. Others may commit, cut and remove
 * epochs meanwhile.
 */

import { StoreError } from '../../base/errors.ts'
import { breath } from '../breath.ts'
import { type ChangeSet, DamagedEntry, operationsIn } from '../change-set.ts'
import { type Epoch, EpochFolders } from '../epochs.ts'
import { codeOf, type StoreFs } from '../fs.ts'
import { applyEntry, type Replica } from '../replica.ts'
import type { FindingKind } from './finding.ts'

export interface LogProblem {
  readonly kind: FindingKind
  readonly path: string
  readonly detail: string
  /** Where in the log; undefined for what concerns it as a whole. */
  readonly epoch: Epoch | undefined
}

export interface LogView<State> {
  readonly epochs: readonly Epoch[]
  readonly problems: readonly LogProblem[]
  /** As far as the newest epoch could be read; undefined when its beginning can't be. */
  readonly newest: { readonly state: State; epoch: Epoch; number: number } | undefined
}

/** How an epoch ended. */
interface End {
  readonly id: string
  readonly number: number
  readonly kind: 'change' | 'seal' | 'lost' | undefined
  /** Of the state at its end; undefined when that can't be told. */
  readonly digest: string | undefined
}

/** Something went while it was looked at. */
export class Moved extends Error {
  override readonly name = 'Moved'
}

/** Looks at a log that goes away under the reader before it is given up; each time another epoch has begun. */
const maxAttempts = 20
const entriesPerTurn = 20

export class LogScan<State extends Replica<unknown>> {
  readonly folders: EpochFolders<State>
  private readonly digestOf: (state: State) => Promise<string>

  /** `digestOf`: equal for equal states, whichever way they came to be. */
  constructor(
    fs: StoreFs,
    what: 'mailbox' | 'account',
    directory: string,
    fresh: () => State,
    digestOf: (state: State) => Promise<string>,
  ) {
    this.folders = new EpochFolders(fs, what, directory, fresh)
    this.digestOf = digestOf
  }

  /** Throws StoreError not-found when there is no log (any more). */
  async read(): Promise<LogView<State>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.readOnce()
      } catch (error) {
        if (!(error instanceof Moved) || attempt === maxAttempts) throw error
      }
    }
  }

  /** Goes on from where `view` ends to what has been committed since. Throws StoreError not-found when there is no log any more. */
  async refresh(view: LogView<State>): Promise<LogView<State>> {
    const { newest } = view
    if (newest === undefined || !(await this.folders.isPresent(newest.epoch))) return await this.read()
    try {
      for (;;) {
        const found = await this.folders.readAfter(newest.epoch, newest.number)
        for (const entry of found) {
          if (entry.kind !== 'change')
            return (await this.folders.list()).at(-1)!.start > newest.number ? await this.read() : view
          await this.apply(newest.state, newest.number + 1, entry)
          newest.number += 1
        }
        if (found.length === 0) return view
      }
    } catch (error) {
      if (error instanceof DamagedEntry) return await this.read()
      throw error
    }
  }

  private async readOnce(): Promise<LogView<State>> {
    const epochs = await this.folders.list()
    const problems: LogProblem[] = []
    let newest: { state: State; epoch: Epoch; number: number } | undefined
    let end: End | undefined
    const whole = (kind: FindingKind, detail: string) =>
      problems.push({ kind, path: `${this.folders.directory}/log`, detail, epoch: undefined })
    if (epochs.length === 0) whole('log-base', 'it is empty')
    // Which of them is the right one nobody can tell.
    if (epochs.some(({ id }) => id !== epochs[0]!.id)) whole('log-chain', 'its epochs are of several logs')
    for (const epoch of epochs) {
      const state = await this.beginning(epoch, problems)
      if (end !== undefined) await this.checkJoin(epoch, state, end, problems)
      end = await this.entries(epoch, state, problems, epoch !== epochs.at(-1))
      if (state !== undefined) {
        const isEnded = end.kind === 'seal' || end.kind === 'lost'
        newest = { state, epoch, number: isEnded ? end.number - 1 : end.number }
      } else newest = undefined
    }
    return { epochs, problems, newest }
  }

  private async beginning(epoch: Epoch, problems: LogProblem[]): Promise<State | undefined> {
    let detail = 'what it is based on can not be read'
    try {
      const state = await this.folders.readState(epoch)
      if (state !== undefined) return state
    } catch (error) {
      if (problemOf(error) === undefined) throw error
      detail = (error as Error).message
    }
    if (!(await this.folders.isPresent(epoch))) throw new Moved('it changes faster than it can be read')
    problems.push({ kind: 'log-base', path: this.folders.pathOf(epoch), detail, epoch })
    return undefined
  }

  /** An epoch begins where the one before it ended, with the state that it ended with. */
  private async checkJoin(epoch: Epoch, state: State | undefined, end: End, problems: LogProblem[]): Promise<void> {
    const path = this.folders.pathOf(epoch)
    const chain = (detail: string) => problems.push({ kind: 'log-chain', path, detail, epoch })
    // Another log's is told already.
    if (end.id !== epoch.id) return
    // Damage at the end is told already.
    if (end.kind === undefined) return
    const expected = end.kind === 'lost' ? end.number : end.number + 1
    if (end.kind === 'change') return void chain(`the one before it has no end behind entry ${end.number}`)
    if (epoch.start !== expected) return void chain(`it begins with ${epoch.start} instead of ${expected}`)
    if (end.kind !== 'seal' || state === undefined || end.digest === undefined) return
    if ((await this.folders.beginning(epoch)) !== 'state' || (await this.digestOf(state)) === end.digest) return
    problems.push({ kind: 'log-replay', path, detail: 'the entries before it make another state', epoch })
  }

  /** Applies the entries of an epoch to the state that it begins with. */
  private async entries(
    epoch: Epoch,
    state: State | undefined,
    problems: LogProblem[],
    hasNext: boolean,
  ): Promise<End> {
    const numbers = await this.folders.numbers(epoch)
    if (numbers === undefined) throw new Moved('it changes faster than it can be read')
    let kind: End['kind'] = 'change'
    let whole = state !== undefined
    let number = epoch.start
    for (; number < (numbers.at(-1) ?? 0); ) {
      const path = this.folders.entryPath(epoch, number + 1)
      if (kind === 'seal' || kind === 'lost') {
        problems.push({ kind: 'log-chain', path, detail: `entries come behind the end of the epoch, ${number}`, epoch })
        break
      }
      number += 1
      const entry = await this.entry(epoch, number, problems)
      if (entry === undefined) {
        kind = undefined
        whole = false
        continue
      }
      if (entry.kind === 'state' || entry.kind === 'saved')
        problems.push({ kind: 'log-entry', path, detail: `it is of kind ${entry.kind}, which begins an epoch`, epoch })
      else kind = entry.kind
      if (entry.kind !== 'change' || state === undefined) continue
      try {
        await this.apply(state, number, entry)
      } catch (error) {
        const as = problemOf(error)
        if (as === undefined) throw error
        problems.push({ kind: as, path, detail: (error as Error).message, epoch })
        whole = false
      }
      if (number % entriesPerTurn === 0) await breath()
    }
    const digest = hasNext && whole && state !== undefined ? await this.digestOf(state) : undefined
    return { id: epoch.id, number, kind, digest }
  }

  private async entry(epoch: Epoch, number: number, problems: LogProblem[]): Promise<ChangeSet | undefined> {
    const path = this.folders.entryPath(epoch, number)
    try {
      return await this.folders.read(epoch, number)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') {
        if (!(await this.folders.isPresent(epoch))) throw new Moved('it changes faster than it can be read')
        problems.push({ kind: 'log-hole', path, detail: 'later ones are there', epoch })
        return undefined
      }
      const kind = problemOf(error)
      if (kind === undefined) throw error
      problems.push({ kind, path, detail: (error as Error).message, epoch })
      return undefined
    }
  }

  private async apply(state: State, number: number, entry: ChangeSet): Promise<void> {
    await applyEntry(state, number, operationsIn(entry.body))
    state.applied(number)
  }
}

/** What a failure to read or apply says of the log; undefined for one of the disk. */
function problemOf(error: unknown): FindingKind | undefined {
  if (error instanceof StoreError) return error.kind === 'unavailable' ? 'log-later' : undefined
  // A directory, link or FIFO where an entry belongs.
  if (['EISDIR', 'EINVAL', 'ELOOP'].includes(codeOf(error) ?? '')) return 'log-entry'
  if (codeOf(error)?.startsWith('E') === true && !(error instanceof DamagedEntry)) return undefined
  // Octets that are what was written, and still no operation.
  return 'log-entry'
}
