/** Who waits for messages of a user goes before the pull of all the others, which rests meanwhile. docs/decisions/0025-announced-first.md */

import type { Clock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'

/** Somebody who was let in looks for a first page: so long until he asks for it. */
const firstPageMs = 5_000
/** Who reads one message reads another. */
const betweenMs = 300
/** Then the pull goes on for a moment, whoever waits: it has to come to its end. */
const longestRestMs = 10_000
const stepMs = 50
/** Requests of one user that wait for one another. Clients have a few connections, each of which waits for one. */
const mostWaiting = 32

/** Of one user. */
export class Readers {
  readonly #clock: Clock
  #waiting = 0
  /** Of `clock.monotonic()`. */
  #calmFromMs = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  letIn(): void {
    this.#calmFrom(firstPageMs)
  }

  /** While `work` brings what somebody waits for. Throws AuthError when too many wait already. */
  async wait<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting)
      throw new AuthError(
        'unavailable',
        'too many messages of this user are asked for at a time; try again in a moment',
      )
    this.#waiting += 1
    try {
      return await work()
    } finally {
      this.#waiting -= 1
      this.#calmFrom(betweenMs)
    }
  }

  /** Resolves when nobody waits, or for too long, or `signal` is aborted. */
  async rest(signal: AbortSignal): Promise<void> {
    const latestMs = this.#clock.monotonic() + longestRestMs
    while (!signal.aborted) {
      const now = this.#clock.monotonic()
      if (now >= latestMs || (this.#waiting === 0 && now >= this.#calmFromMs)) return
      await this.#clock.sleep(stepMs)
    }
  }

  #calmFrom(ms: number): void {
    this.#calmFromMs = Math.max(this.#calmFromMs, this.#clock.monotonic() + ms)
  }
}
