/** Long work in slices, so that the process's other sessions get their turn. */

import { setImmediate } from 'node:timers/promises'

const sliceMs = 20

export class Slice {
  #end = performance.now() + sliceMs
  #looks = 0

  /** Cheap: the clock is read at every 16th look. */
  isOver(): boolean {
    return (++this.#looks & 15) === 0 && performance.now() >= this.#end
  }

  /** Lets everybody else run first. */
  async next(): Promise<void> {
    await setImmediate()
    this.#end = performance.now() + sliceMs
  }
}
