import type { Identified } from './origin.ts'

const firstPauseMs = 60_000
const longestPauseMs = 6 * 3_600_000
/** Setbacks after which a message is no longer tried ahead of its pause. */
const freeTries = 2

/**
 * Messages of one maildrop that a backend would not give, or that were arriving when a session broke. They come last and
 * ever more rarely, so that one bad message keeps no other from being fetched. In memory: a restart tries them again.
 */
export class Setbacks {
  readonly #setbacks = new Map<string, { count: number; notBeforeMs: number }>()

  add(origin: string, nowMs: number): void {
    const count = (this.#setbacks.get(origin)?.count ?? 0) + 1
    const pauseMs = count < freeTries ? 0 : Math.min(firstPauseMs * 2 ** (count - freeTries), longestPauseMs)
    this.#setbacks.set(origin, { count, notBeforeMs: nowMs + pauseMs })
  }

  /** `now` in the order to fetch them; `later` are in their pause. Forgets what is not wanted any more. */
  order(wanted: readonly Identified[], nowMs: number): { now: readonly Identified[]; later: readonly Identified[] } {
    if (this.#setbacks.size === 0) return { now: wanted, later: [] }
    const still = new Set(wanted.map(({ origin }) => origin))
    for (const origin of this.#setbacks.keys()) if (!still.has(origin)) this.#setbacks.delete(origin)
    const now = wanted.filter(({ origin }) => !this.#setbacks.has(origin))
    const suspect = wanted.filter(({ origin }) => (this.#setbacks.get(origin)?.notBeforeMs ?? Infinity) <= nowMs)
    const later = wanted.filter(({ origin }) => (this.#setbacks.get(origin)?.notBeforeMs ?? 0) > nowMs)
    return { now: [...now, ...suspect], later }
  }
}
