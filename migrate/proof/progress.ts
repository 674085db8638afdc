/** How far a certificate or a verification is. */
import type { Clock } from '#src/base/clock.ts'

export class ProofProgress {
  readonly what: 'certificate' | 'verification'
  readonly #clock: Clock
  readonly #beganMs: number
  #expected = 0
  #done = 0
  #octets = 0

  constructor(what: ProofProgress['what'], clock: Clock) {
    this.what = what
    this.#clock = clock
    this.#beganMs = clock.monotonic()
  }

  /** So many messages more. */
  expect(messages: number): void {
    this.#expected += messages
  }

  done(messages: number, octets = 0): void {
    this.#done += messages
    this.#octets += octets
  }

  /** `secondsLeft`: at the pace so far. */
  get now() {
    const elapsedMs = this.#clock.monotonic() - this.#beganMs
    const left = Math.max(0, this.#expected - this.#done)
    return {
      what: this.what,
      messages: this.#done,
      of: Math.max(this.#expected, this.#done),
      octets: this.#octets,
      ...(this.#done === 0 ? {} : { secondsLeft: Math.ceil(((elapsedMs / this.#done) * left) / 1_000) }),
    }
  }
}
