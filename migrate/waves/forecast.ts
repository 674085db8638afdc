/**
 * How long a wave will take: what the users' pulls cost so far, by messages and octets, and the order in which the others get their turn.
 * docs/decisions/0271-forecast-by-what-was-pulled.md
 */
import { Slice } from '#gateway/backend/slice.ts'

/** One pull of one user. */
export interface Measured {
  /** Its end, in milliseconds since 1970. */
  readonly at: number
  readonly messages: number
  readonly octets: number
  readonly ms: number
  /** What its ms_syncd had pulled when it began, by `workOf`; undefined: it was warm. */
  readonly before?: number
}

/** What a pull brings. */
export type Load = Pick<Measured, 'messages' | 'octets'>

/** Milliseconds for each account, message, and MB. */
export interface Cost {
  readonly account: number
  readonly message: number
  readonly mb: number
  /** The part of it that the first pull of a process cost more; absent: none. */
  readonly cold?: number
  /** Pulls that it was made of; 0: it is a guess. */
  readonly measured: number
}

const mega = 1 << 20
/** A server in the neighbourhood. */
const guess: Cost = { account: 300, message: 4, mb: 150, measured: 0 }
/** With fewer, the guess is scaled by them. */
const fewest = 5
/** What was pulled long ago tells little of now. */
const most = 1_000
/** So many are looked at together, before the earlier half counts no more. */
const many = 40
/** A process that has just begun takes up to twice as long, until its code is compiled: by e for each so much work less. */
const mostCold = 1
const warmUp = 350

/** How much of a process a pull wears in. */
export const workOf = ({ messages }: Pick<Load, 'messages'>): number => messages + 10

/** By the later half of the pulls, where they are many. What the first ones of an ms_syncd cost more is told apart: the others don't. */
export const costOf = (all: readonly Measured[]): Cost => {
  const pulls = all.toSorted((a, b) => a.at - b.at).slice(-most)
  if (pulls.length === 0) return guess
  if (pulls.length < fewest) {
    const spent = pulls.reduce((sum, { ms }) => sum + ms, 0)
    const guessed = pulls.reduce((sum, pull) => sum + msOf(guess, pull), 0)
    return {
      account: (guess.account * spent) / guessed,
      message: (guess.message * spent) / guessed,
      mb: (guess.mb * spent) / guessed,
      measured: pulls.length,
    }
  }
  const lately = Math.min(pulls.length, Math.max(many, Math.ceil(pulls.length / 2)))
  const since = pulls.at(-lately - 1)?.at ?? -Infinity
  let best = { factors: [0, 0, 0] as Three, error: Infinity, cold: 0 }
  const late = pulls.slice(-lately)
  const isWarm = late.every(({ before = Infinity }) => before > 5 * warmUp)
  for (let cold = 0; cold <= (isWarm ? 0 : mostCold); cold += mostCold / 10) {
    // What began before that counts by the part that came behind it.
    const rows = late.map(({ at, messages, octets, ms, before = Infinity }) => {
      const dearer = dearerBy(cold, before)
      return {
        values: [dearer, dearer * messages, (dearer * octets) / mega],
        ms,
        weight: ms > 0 ? Math.min(1, (at - since) / ms) : 1,
      }
    })
    const fit = leastSquares(rows)
    if (fit.error < best.error) best = { ...fit, cold }
  }
  const [account, message, mb] = best.factors
  return { account, message, mb, cold: best.cold, measured: lately }
}

const dearerBy = (cold: number, before: number): number => 1 + cold * Math.exp(-before / warmUp)

export const msOf = ({ account, message, mb }: Cost, { messages, octets }: Load): number =>
  account + message * messages + (mb * octets) / mega

type Three = readonly [number, number, number]
const subsets = [[0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]] as const

interface Fit {
  readonly factors: Three
  readonly error: number
}

interface Row {
  readonly values: readonly number[]
  readonly ms: number
  readonly weight: number
}

/** The factors, none below 0, of least squared error: of each choice of columns the best is found, and the best of those taken. */
const leastSquares = (rows: readonly Row[]): Fit => {
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + row.weight * of(row), 0)
  let best: Fit = { factors: [sum(({ ms }) => ms) / sum(({ values }) => values[0]!), 0, 0], error: Infinity }
  for (const columns of subsets) {
    const solved = solve(sum, columns)
    if (solved === undefined || solved.some((factor) => factor < 0)) continue
    const factors = [0, 0, 0] as [number, number, number]
    for (const [at, column] of columns.entries()) factors[column] = solved[at]!
    const error = sum(
      ({ values, ms }) => (ms - values.reduce((told, value, column) => told + value * factors[column]!, 0)) ** 2,
    )
    if (error < best.error) best = { factors, error }
  }
  return best
}

/** Normal equations, by elimination; undefined where the columns depend on each other. */
const solve = (
  sum: (of: (row: Row) => number) => number,
  columns: readonly number[],
): readonly number[] | undefined => {
  const matrix = columns.map((left) => [
    ...columns.map((right) => sum(({ values }) => values[left]! * values[right]!)),
    sum(({ values, ms }) => values[left]! * ms),
  ])
  for (let pivot = 0; pivot < matrix.length; pivot++) {
    const row = matrix[pivot]!
    const scale = sum(({ values }) => values[columns[pivot]!]! ** 2)
    if (!(Math.abs(row[pivot]!) > 1e-9 * scale)) return undefined
    for (const other of matrix) {
      if (other === row) continue
      const factor = other[pivot]! / row[pivot]!
      for (let at = pivot; at < row.length; at++) other[at]! -= factor * row[at]!
    }
  }
  return matrix.map((row, at) => row.at(-1)! / row[at]!)
}

export interface Job {
  readonly host: string
  readonly ms: number
}

/** Milliseconds until all are done, begun in this order, at most `atOnce` together and at most `perHost` (0: no limit) at one host. */
export const duration = async (jobs: readonly Job[], atOnce: number, perHost: number): Promise<number> => {
  const slice = new Slice()
  const queues = [...Map.groupBy([...jobs.entries()], ([, { host }]) => host).values()].map((waiting) => ({
    waiting,
    next: 0,
    running: 0,
  }))
  const running: { readonly end: number; readonly queue: (typeof queues)[number] }[] = []
  let now = 0
  for (;;) {
    if (slice.isOver()) await slice.next()
    let first: (typeof queues)[number] | undefined
    for (const queue of running.length >= atOnce ? [] : queues) {
      if (queue.next === queue.waiting.length || (perHost > 0 && queue.running >= perHost)) continue
      if (first === undefined || queue.waiting[queue.next]![0] < first.waiting[first.next]![0]) first = queue
    }
    if (first !== undefined) {
      running.push({ end: now + first.waiting[first.next]![1].ms, queue: first })
      first.next += 1
      first.running += 1
      continue
    }
    if (running.length === 0) return now
    const soonest = running.reduce((best, { end }, at) => (end < running[best]!.end ? at : best), 0)
    const [ended] = running.splice(soonest, 1)
    now = ended!.end
    ended!.queue.running -= 1
  }
}

export interface Ended extends Measured {
  readonly host: string
  readonly cost: Cost
}

/** With fewer, nothing is said of their pace. */
const fewestTogether = 10

/**
 * How long the later half of these pulls took all together, of what `duration` says of them by their costs: there are more under way than hold a place, and one
 * that began in a bad moment makes all look dear.
 */
export const paceOf = async (all: readonly Ended[], atOnce: number, perHost: number): Promise<number> => {
  const pulls = all.toSorted((a, b) => a.at - b.at).slice(-most)
  const lately = Math.ceil(pulls.length / 2)
  if (lately < fewestTogether) return 1
  const late = pulls.slice(-lately)
  let busyMs = 0
  let from = Infinity
  const since = pulls.at(-lately - 1)?.at ?? -Infinity
  // From the last: not what lies between a pull and those that were begun later.
  for (const { at, ms } of late.toReversed()) {
    const begun = Math.max(since, at - ms)
    busyMs += Math.max(0, Math.min(at, from) - begun)
    from = Math.min(from, begun)
  }
  const jobs = late.map(({ host, cost, before = Infinity, ...load }) => ({
    host,
    ms: msOf(cost, load) * dearerBy(cost.cold ?? 0, before),
  }))
  return Math.min(2, Math.max(0.5, busyMs / (await duration(jobs, atOnce, perHost))))
}
