/** Long work in slices, so that the other users of the process get their turn. */
import { setImmediate } from 'node:timers/promises'
import { systemClock } from '#src/base/clock.ts'

const sliceMs = 10

/** `if (slice.isOver()) await slice.next()` in each turn of a loop. */
export class Slice {
  #endMs = systemClock.monotonic() + sliceMs
  #looks = 0

  /** Cheap: the clock is read at every 64th look. */
  isOver(): boolean {
    return (++this.#looks & 63) === 0 && this.isLate()
  }

  /** Without the short cut. */
  isLate(): boolean {
    return systemClock.monotonic() >= this.#endMs
  }

  async next(): Promise<void> {
    await setImmediate()
    this.#endMs = systemClock.monotonic() + sliceMs
  }
}
