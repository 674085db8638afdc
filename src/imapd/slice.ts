/** Long work in slices, so that the process's other sessions get their turn. */

import { setImmediate } from 'node:timers/promises'

const sliceMs = 20

export class Slice {
  #end = performance.now() + sliceMs
  #looks = 0
  readonly #every: number

  /** `every`: the clock is read at every so manieth look; a power of two. */
  constructor(every = 16) {
    this.#every = every
  }

  /** Cheap. */
  isOver(): boolean {
    return (++this.#looks & (this.#every - 1)) === 0 && performance.now() >= this.#end
  }

  /** Lets everybody else run first. */
  async next(): Promise<void> {
    await setImmediate()
    this.#end = performance.now() + sliceMs
  }
}
