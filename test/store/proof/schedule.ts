/** Several processes over one simulated disk: a schedule decides which of them makes the next call. */

import type { StoreOptions } from '#src/store/store.ts'
import type { Account, Store } from '#src/store/types.ts'
import { storeIn, user } from '../actions.ts'
import type { Call, MemoryDisk } from '../disk.ts'
import { type Ledger, root } from './ledger.ts'
import { DiskClock, quiet } from './turns.ts'

/** One process: its store, and the times at which its part of the history begins and ends. */
export interface Actor {
  readonly store: Store
  readonly account: Account
  readonly ledger: Ledger
  readonly name: string
  /** Resolves when all are ready: only from then on, and until all have finished, the schedule is varied. */
  ready(): Promise<void>
  /** Resolves when all have. */
  finished(): Promise<void>
}

export type Work = (actor: Actor) => Promise<void>

/** A call that somebody is about to make. */
export interface Waiting {
  readonly actor: number
  readonly call: Call
  readonly proceed: () => void
}

/** Which call is made next, as an index; undefined ends the history here. */
export type Choose = (waiting: readonly Waiting[]) => number | undefined

export interface Setting {
  readonly disk: MemoryDisk
  readonly works: readonly Work[]
  readonly ledger: Ledger
  readonly store?: Partial<StoreOptions>
}

/** Runs the works as processes of their own. Answers whether all came to their end. */
export async function interleave(setting: Setting, choose: Choose): Promise<boolean> {
  const { disk, works, ledger } = setting
  const waiting: Waiting[] = []
  const failures: unknown[] = []
  const unready = new Set(works.keys())
  const unfinished = new Set(works.keys())
  const begin: (() => void)[] = []
  const end: (() => void)[] = []
  let running = works.length
  let varied = false
  for (const [actor, work] of works.entries()) {
    const gate = (call: Call) =>
      varied
        ? new Promise<undefined>((resolve) => waiting.push({ actor, call, proceed: () => resolve(undefined) }))
        : undefined
    const store = storeIn(root, { fs: disk.fs(gate), clock: new DiskClock(disk), ...setting.store })
    work({
      store,
      account: store.account(user),
      ledger,
      name: `actor-${actor}`,
      ready: () => {
        unready.delete(actor)
        return new Promise((resolve) => begin.push(resolve))
      },
      finished: () => {
        unfinished.delete(actor)
        return new Promise((resolve) => end.push(resolve))
      },
    })
      // What goes on beside the work comes to its end as well.
      .then(() => store.close())
      .catch((error: unknown) => failures.push(error))
      .finally(() => {
        running -= 1
      })
  }
  for (;;) {
    await quiet()
    if (failures.length > 0) throw failures[0]
    if (begin.length > 0 && unready.size === 0) {
      varied = true
      for (const resolve of begin.splice(0)) resolve()
    } else if (waiting.length > 0) {
      const next = choose(waiting)
      if (next === undefined) return false
      const [chosen] = waiting.splice(next, 1)
      chosen!.proceed()
    } else if (end.length > 0 && unfinished.size === 0) {
      // What the works left to be done beside them is done as well.
      varied = false
      for (const resolve of end.splice(0)) resolve()
    } else if (running === 0) return true
    else throw new Error('nobody can go on')
  }
}
