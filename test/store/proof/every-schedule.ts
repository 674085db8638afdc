/** All schedules of a history, depth first, but for those that can make no difference (`reduction.ts`). */

import { Footprints, type KnownCall, meet, Names } from './reduction.ts'
import type { Choose } from './schedule.ts'

/** A point of a history where several could go on. */
interface Fork {
  /** The next call of each actor. */
  readonly heads: ReadonlyMap<number, KnownCall>
  /** Actors whose call here need not be tried: it was, or nothing happened since that it could meet. */
  readonly asleep: Map<number, KnownCall>
  taken: number
}

export interface Counted {
  /** Histories that came to their end and were checked. */
  readonly histories: number
  /** Histories that were given up, since they could only repeat another one. */
  readonly repeated: number
  /** There are no others. */
  readonly complete: boolean
}

class Schedules {
  private readonly forks: Fork[] = []
  private readonly footprints: Footprints
  private readonly before: ReadonlySet<string>
  private readonly reduced: boolean
  /** Of the present history: forks passed, and who sleeps. */
  private depth = 0
  private asleep = new Map<number, KnownCall>()
  private names: Names

  constructor(actors: number, before: ReadonlySet<string>, reduced: boolean) {
    this.footprints = new Footprints(actors)
    this.before = before
    this.names = new Names(before)
    this.reduced = reduced
  }

  readonly choose: Choose = (waiting) => {
    // Within one process, calls are made in the order in which it asks for them.
    const heads = new Map<number, KnownCall>()
    for (const { actor, call } of waiting) if (!heads.has(actor)) heads.set(actor, this.names.of(actor, call))
    const taken = this.privateOne(heads) ?? this.fork(heads)
    if (taken === undefined) return undefined
    this.footprints.learn(taken, heads.get(taken)!)
    return waiting.findIndex(({ actor }) => actor === taken)
  }

  private privateOne(heads: ReadonlyMap<number, KnownCall>): number | undefined {
    if (this.reduced) for (const [actor, call] of heads) if (this.footprints.isPrivate(actor, call)) return actor
    return undefined
  }

  /** The actor whose turn it is; undefined when all sleep. */
  private fork(heads: ReadonlyMap<number, KnownCall>): number | undefined {
    let fork = this.forks[this.depth]
    if (fork === undefined) {
      const asleep = new Map(this.asleep)
      const taken = awake(heads, asleep)
      if (taken === undefined) return undefined
      fork = { heads, asleep, taken }
      this.forks.push(fork)
    }
    const { taken } = fork
    const call = fork.heads.get(taken)!
    if (heads.get(taken) !== call) throw new Error(`a history did not come again: ${call.key}`)
    this.depth += 1
    this.asleep = new Map()
    if (this.reduced)
      for (const [actor, sleeping] of fork.asleep)
        if (actor !== taken && !meet(sleeping, call)) this.asleep.set(actor, sleeping)
    return taken
  }

  /** Goes to the next schedule. `again`: all so far counts for nothing. */
  next(): 'next' | 'again' | 'done' {
    this.depth = 0
    this.asleep = new Map()
    this.names = new Names(this.before)
    if (this.footprints.wrong) {
      this.footprints.again()
      this.forks.length = 0
      return 'again'
    }
    for (let last = this.forks.at(-1); last !== undefined; last = this.forks.at(-1)) {
      last.asleep.set(last.taken, last.heads.get(last.taken)!)
      const next = awake(last.heads, last.asleep)
      if (next !== undefined) {
        last.taken = next
        return 'next'
      }
      this.forks.pop()
    }
    return 'done'
  }
}

function awake(heads: ReadonlyMap<number, KnownCall>, asleep: ReadonlyMap<number, KnownCall>): number | undefined {
  for (const actor of heads.keys()) if (!asleep.has(actor)) return actor
  return undefined
}

/**
 * Runs `run` with every schedule, up to `limit` of them. `before`: unique names on the disk as the histories find it. `reduced`: leave out
 * what can make no difference.
 */
export async function everySchedule(
  actors: number,
  before: ReadonlySet<string>,
  limit: number,
  run: (choose: Choose) => Promise<'ended' | 'repeats' | 'stop'>,
  reduced = true,
): Promise<Counted> {
  const schedules = new Schedules(actors, before, reduced)
  let histories = 0
  let repeated = 0
  for (;;) {
    const outcome = await run(schedules.choose)
    if (outcome === 'repeats') repeated += 1
    else histories += 1
    if (outcome === 'stop' || histories + repeated >= 2 * limit || histories === limit)
      return { histories, repeated, complete: false }
    const next = schedules.next()
    if (next === 'done') return { histories, repeated, complete: true }
    if (next === 'again') [histories, repeated] = [0, 0]
  }
}
