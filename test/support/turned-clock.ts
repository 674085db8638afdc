import type { Clock } from '#src/base/clock.ts'

/** Wall clock and deadlines move only when a test says so. */
export class TurnedClock implements Clock {
  #now = Date.parse('2026-11-22T12:00:00Z')
  readonly #sleeps = new Set<{ readonly at: number; readonly wake: () => void }>()
  now = () => this.#now
  monotonic = () => this.#now
  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleep = {
        at: this.#now + ms,
        wake: () => {
          this.#sleeps.delete(sleep)
          resolve()
        },
      }
      this.#sleeps.add(sleep)
      signal?.addEventListener('abort', () => {
        this.#sleeps.delete(sleep)
        reject(signal.reason)
      })
    })

  turn(seconds: number): void {
    this.#now += seconds * 1_000
    for (const sleep of [...this.#sleeps]) if (sleep.at <= this.#now) sleep.wake()
  }
}
