import { breath } from './breath.ts'
import type { Operation } from './change-set.ts'
import type { StoreFs } from './fs.ts'

/** A computation that stops now and then, so that others get their turn. */
export type Steps<Result> = Iterator<undefined, Result>

/** One that is done at once. */
export const atOnce = <Result>(value: Result): Steps<Result> => ({ next: () => ({ done: true, value }) })

/** The state that a log's operations make. Two replicas that applied the same operations are equal. */
export interface Replica<Outcome> {
  /** Applies one operation of entry `number` and tells what became of it. Throws StoreError for an unknown word. */
  apply(operation: Operation, number: number): Steps<Outcome>
  /** The entry is complete: readers see what it made. */
  applied(number: number): void
  /** The state as it is now, in octets, to be written while the replica moves on. Pieces of at most some 100 KB, made when asked for. */
  image(): Iterable<Uint8Array>
  /**
   * Makes this fresh replica what an image tells. Takes the buffer over (typed arrays may be views of it). Gives others their turn.
   * Throws DamagedEntry; StoreError unavailable for an image that a later version made.
   */
  load(image: Buffer): Promise<void>
  /** Number of things in the state: what an image costs. */
  readonly weight: number
  /** Number of things that operations changed since this object was made, as far as an entry can tell of many in a few octets. */
  readonly changes: number
  /** Whoever knows a state of another meaning can't go on with this one: its numbers stand for other things, as after some recoveries. */
  readonly meaning: number
  /** From here on entries may be missing: what an operation names may be another thing by now, or unknown. Ends with `recover`. */
  expectGaps(): void
  /** Entries were lost: makes the best of what is there. `directory` is the one that holds `log/`. */
  recover(fs: StoreFs, directory: string): Promise<void>
}

/** Operations made or applied before others get their turn: a few ms. */
export const operationsPerTurn = 250

/** Applies an entry but for `applied`, which the caller calls in the same breath in which it moves its position. */
export async function applyEntry<Outcome>(
  state: Replica<Outcome>,
  number: number,
  operations: Iterable<Operation>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const operation of operations) {
    const steps = state.apply(operation, number)
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) await breath()
    outcomes.push(step.value)
    if (outcomes.length % operationsPerTurn === 0) await breath()
  }
  return outcomes
}
