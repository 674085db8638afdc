/**
 * All schedules of a history, depth first, but for those that can make no difference (`reduction.ts`): source-DPOR, after P. Abdulla,
 * S. Aronis, B. Jonsson, K. Sagonas, "Source Sets: A Foundation for Optimal Dynamic Partial Order Reduction" (2017).
 *
 * - A history is run once in some order. Two calls in it that meet, with nothing between that orders them anyway, are a race; before the
 *   earlier one somebody else is put on the list who begins what leads to the other order.
 * - A process whose call was tried first at a point sleeps there until another makes a call that its own can meet (sleep sets), so that
 *   no trace is tried twice.
 */

import { Constants, type KnownCall, meet, Names } from './reduction.ts'
import type { Choose, Waiting } from './schedule.ts'

/** A call of a history, with what could have been made in its place. */
interface Point {
  /** The next call of each actor. */
  readonly heads: ReadonlyMap<number, KnownCall>
  /** Actors whose call here need not be tried: it was, or nothing happened since that it could meet. */
  readonly asleep: Map<number, KnownCall>
  /** Actors whose call here is tried. */
  readonly wanted: Set<number>
  taken: number
  /** By actor: calls up to this number, of all in the history, come before this one in every order of its trace. */
  clock: readonly number[]
}

export interface Counted {
  /** Histories that came to their end and were checked. */
  readonly histories: number
  /** Orders of calls that they stand for, those that differ only in calls that don't meet included. */
  readonly orders: number
  /** Histories that were given up, since they could only repeat another one. */
  readonly repeated: number
  /** There are no others. */
  readonly complete: boolean
}

class Schedules {
  private readonly points: Point[] = []
  private readonly actors: number
  private readonly constants: Constants
  private readonly reduced: boolean
  private names: Names
  /** Of the present history: calls made, and those of them that are as in the one before. */
  private depth = 0
  private known = 0

  constructor(actors: number, before: ReadonlySet<string>, reduced: boolean) {
    this.actors = actors
    this.constants = new Constants(before)
    this.names = new Names(this.constants)
    this.reduced = reduced
  }

  readonly choose: Choose = (waiting) => {
    const point = this.points[this.depth] ?? this.newPoint(this.headsOf(waiting))
    if (point === undefined) return undefined
    const { taken } = point
    const next = waiting.findIndex(({ actor }) => actor === taken)
    if (next < 0 || this.names.of(taken, waiting[next]!.call) !== callOf(point))
      throw new Error(`a history did not come again: ${callOf(point).key}`)
    if (this.depth >= this.known && this.reduced) this.findRaces(this.depth, point)
    this.depth += 1
    return next
  }

  /** Within one process, calls are made in the order in which it asks for them. */
  private headsOf(waiting: readonly Waiting[]): ReadonlyMap<number, KnownCall> {
    const heads = new Map<number, KnownCall>()
    for (const { actor, call } of waiting) if (!heads.has(actor)) heads.set(actor, this.names.of(actor, call))
    return heads
  }

  /** Undefined when all sleep. */
  private newPoint(heads: ReadonlyMap<number, KnownCall>): Point | undefined {
    const asleep = new Map<number, KnownCall>()
    const last = this.points.at(-1)
    if (last !== undefined && this.reduced) {
      const call = callOf(last)
      for (const [actor, sleeping] of last.asleep)
        if (actor !== last.taken && !meet(sleeping, call)) asleep.set(actor, sleeping)
    }
    for (const taken of heads.keys()) {
      if (asleep.has(taken)) continue
      const point = { heads, asleep, wanted: new Set(this.reduced ? [taken] : heads.keys()), taken, clock: [] }
      this.points.push(point)
      return point
    }
    return undefined
  }

  private findRaces(at: number, point: Point): void {
    const { taken } = point
    const call = callOf(point)
    const own = this.points.findLastIndex((other, index) => index < at && other.taken === taken)
    const clock = own < 0 ? new Array<number>(this.actors).fill(0) : [...this.points[own]!.clock]
    for (let index = at - 1; index >= 0; index -= 1) {
      const earlier = this.points[index]!
      if (clock[earlier.taken]! > index || earlier.taken === taken || !meet(callOf(earlier), call)) continue
      this.reverse(index, at, clock)
      for (const [actor, time] of earlier.clock.entries()) clock[actor] = Math.max(clock[actor]!, time)
    }
    clock[taken] = at + 1
    point.clock = clock
  }

  /** Sees to it that a history is tried in which the call `at` comes before the one at `index`. `clock`: what comes before it anyway. */
  private reverse(index: number, at: number, clock: readonly number[]): void {
    const { taken, wanted, asleep } = this.points[index]!
    // What can be made without the earlier call, up to the later one, and who can begin that.
    const rest: number[] = []
    const beginners = new Set<number>()
    const seen = new Set<number>()
    const take = (number: number, before: readonly number[]) => {
      const actor = this.points[number]!.taken
      if (!seen.has(actor) && rest.every((other) => before[this.points[other]!.taken]! <= other)) beginners.add(actor)
      seen.add(actor)
      rest.push(number)
    }
    for (let number = index + 1; number < at; number += 1) {
      const { clock: before } = this.points[number]!
      if (before[taken]! <= index) take(number, before)
    }
    take(at, clock)
    let beginner: number | undefined
    for (const actor of beginners) {
      if (wanted.has(actor) || asleep.has(actor)) return
      beginner = actor
    }
    wanted.add(beginner!)
  }

  /** Orders of the calls of the history that just ended, all those in which calls that meet come as in it. */
  orders(): number {
    return ordersOf(this.points.slice(0, this.depth), this.actors)
  }

  /** Goes to the next schedule; false when there is none. */
  next(): boolean {
    this.depth = 0
    this.names = new Names(this.constants)
    for (let last = this.points.at(-1); last !== undefined; last = this.points.at(-1)) {
      last.asleep.set(last.taken, callOf(last))
      const next = [...last.wanted].find((actor) => !last!.asleep.has(actor))
      if (next !== undefined) {
        last.taken = next
        this.known = this.points.length - 1
        return true
      }
      this.points.pop()
    }
    return false
  }
}

/** The number of ways to go through the calls of all actors, one by one, none before what comes before it in every order. */
function ordersOf(points: readonly Point[], actors: number): number {
  // By actor, for each of its calls, how many of each other one's come before it.
  const needs: number[][][] = Array.from({ length: actors }, () => [])
  // By the number of calls made, how many of them are whose.
  const made: number[][] = [new Array<number>(actors).fill(0)]
  for (const { taken, clock } of points) {
    needs[taken]!.push(clock.map((time, actor) => (actor === taken ? 0 : made[time]![actor]!)))
    const last = made.at(-1)!
    made.push(last.with(taken, last[taken]! + 1))
  }
  const lengths = needs.map((of) => of.length + 1)
  const strides = lengths.map((_, actor) => lengths.slice(0, actor).reduce((size, length) => size * length, 1))
  const ways = new Float64Array(lengths.reduce((size, length) => size * length, 1))
  const at = new Array<number>(actors).fill(0)
  ways[0] = 1
  for (let cell = 0; cell < ways.length; cell += 1) {
    const count = ways[cell]!
    if (count === 0) continue
    for (let actor = 0; actor < actors; actor += 1) at[actor] = Math.floor(cell / strides[actor]!) % lengths[actor]!
    for (let actor = 0; actor < actors; actor += 1) {
      const need = needs[actor]![at[actor]!]
      if (need === undefined || !isReached(need, at)) continue
      const next = cell + strides[actor]!
      ways[next] = ways[next]! + count
    }
  }
  return ways.at(-1)!
}

function isReached(need: readonly number[], at: readonly number[]): boolean {
  for (let actor = 0; actor < need.length; actor += 1) if (at[actor]! < need[actor]!) return false
  return true
}

const callOf = ({ heads, taken }: Point) => heads.get(taken)!

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
  let orders = 0
  let repeated = 0
  for (;;) {
    const outcome = await run(schedules.choose)
    if (outcome === 'repeats') repeated += 1
    else {
      histories += 1
      orders += reduced ? schedules.orders() : 1
    }
    if (outcome === 'stop' || histories + repeated >= 2 * limit || histories === limit)
      return { histories, orders, repeated, complete: false }
    if (!schedules.next()) return { histories, orders, repeated, complete: true }
  }
}
