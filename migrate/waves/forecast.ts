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
}

/** What a pull brings. */
export type Load = Pick<Measured, 'messages' | 'octets'>

/** Milliseconds for each account, message, and MB. */
export interface Cost {
  readonly account: number
  readonly message: number
  readonly mb: number
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

/** By the later half of the pulls, where they are many enough: the first ones after a start cost up to twice as much. */
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
  const lately = Math.max(fewest, Math.ceil(pulls.length / 2))
  const since = pulls.at(-lately - 1)?.at ?? -Infinity
  // What began before that counts by the part that came behind it.
  const rows = pulls.slice(-lately).map(({ at, messages, octets, ms }) => ({
    values: [1, messages, octets / mega],
    ms,
    weight: ms > 0 ? Math.min(1, (at - since) / ms) : 1,
  }))
  const [account, message, mb] = leastSquares(rows)
  return { account, message, mb, measured: lately }
}

export const msOf = ({ account, message, mb }: Cost, { messages, octets }: Load): number =>
  account + message * messages + (mb * octets) / mega

type Three = readonly [number, number, number]
const subsets = [[0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]] as const

interface Row {
  readonly values: readonly number[]
  readonly ms: number
  readonly weight: number
}

/** The factors, none below 0, of least squared error: of each choice of columns the best is found, and the best of those taken. */
const leastSquares = (rows: readonly Row[]): Three => {
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + row.weight * of(row), 0)
  let best: Three = [sum(({ ms }) => ms) / sum(() => 1), 0, 0]
  let least = Infinity
  for (const columns of subsets) {
    const solved = solve(sum, columns)
    if (solved === undefined || solved.some((factor) => factor < 0)) continue
    const factors = [0, 0, 0] as [number, number, number]
    for (const [at, column] of columns.entries()) factors[column] = solved[at]!
    const error = sum(
      ({ values, ms }) => (ms - values.reduce((told, value, column) => told + value * factors[column]!, 0)) ** 2,
    )
    if (error >= least) continue
    least = error
    best = factors
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
