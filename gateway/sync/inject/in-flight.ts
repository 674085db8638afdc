/** Work that goes on while the next message arrives: so much at a time that neither memory nor the other side is flooded. */

const mostMessages = 8
const mostOctets = 32 * 1_048_576

export class InFlight {
  #messages = 0
  #octets = 0
  #failure: unknown
  #change = Promise.withResolvers<void>()

  /** Begins to count `work`; answers a promise when the next has to wait. What it fails with is told by `check` and `done`. */
  add(octets: number, work: Promise<void>): void | Promise<void> {
    this.#messages++
    this.#octets += octets
    work
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#messages--
        this.#octets -= octets
        this.#change.resolve()
        this.#change = Promise.withResolvers<void>()
      })
    if (this.#messages < mostMessages && this.#octets < mostOctets) return
    return this.#until(() => this.#messages < mostMessages && this.#octets < mostOctets)
  }

  /** Throws what a piece of work failed with. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when nothing is under way; throws as `check`. */
  async done(): Promise<void> {
    await this.#until(() => this.#messages === 0)
    this.check()
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#change.promise
  }
}
