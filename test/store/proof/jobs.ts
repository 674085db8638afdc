/** A proof is made of jobs: small enough to be shared between processes, and to be run again alone from their name and the seed. */

import { crc32 } from 'node:zlib'
import { mulberry32 } from '#test/support/random.ts'

export interface Result {
  /** Cases that were tried. */
  readonly cases: number
  /** What else is worth a column: added up over the jobs of a proof. */
  readonly details: Readonly<Record<string, number>>
  /** Violations, each with what is needed to see it again. */
  readonly faults: readonly string[]
}

export interface Job {
  /** The proof that it belongs to. */
  readonly proof: string
  readonly name: string
  run(seed: number): Promise<Result>
}

/** Chances that depend on the seed and the job alone. */
export function chances(seed: number, job: string): () => number {
  return mulberry32(seed ^ crc32(job))
}

export function below(chance: () => number, limit: number): number {
  return Math.floor(chance() * limit)
}

/** Each k-th, so that about `share` (0 to 1) of them are left; the first always. */
export function sample<T>(items: readonly T[], share: number): readonly T[] {
  const step = Math.max(1, Math.round(1 / share))
  return items.filter((_, index) => index % step === 0)
}
