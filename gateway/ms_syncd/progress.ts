/** How far a session has come: an injection that is looked at while it works. */
import type { Clock } from '#src/base/clock.ts'
import type { Expected, Injection, Injector } from '../sync/inject/injector.ts'

/** Octets tell more than messages, but not where a backend announces others than it sends. */
const mostTaken = 0.95

export class Progress {
  readonly #clock: Clock
  readonly #begun: { readonly injector: Injector; readonly expected: Expected | undefined }[] = []
  #ahead = 0
  #sinceMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The same way into the store, counted. */
  through(injection: Injection): Injection {
    return {
      into: (target) => {
        this.#sinceMs ??= this.#clock.monotonic()
        const injector = injection.into(target)
        this.#begun.push({ injector, expected: target.expected })
        return injector
      },
      keepsUids: injection.keepsUids,
      storesAll: injection.storesAll,
      ahead: (messages) => {
        this.#ahead = messages
      },
    }
  }

  /** Messages and octets that are safe. */
  get taken(): { readonly messages: number; readonly octets: number } {
    let [messages, octets] = [0, 0]
    for (const { injector } of this.#begun) {
      messages += injector.taken
      octets += injector.takenOctets
    }
    return { messages, octets }
  }

  /** Messages that are to come, and in how many milliseconds they will be here if it goes on as it went; undefined: nothing tells. */
  get left(): { readonly messages: number; readonly ms: number | undefined } {
    let messages = this.#ahead
    let octets: number | undefined = this.#ahead === 0 ? 0 : undefined
    for (const { injector, expected } of this.#begun) {
      messages += Math.max(0, (expected?.messages ?? 0) - injector.taken)
      if (expected?.octets === undefined || injector.takenOctets > mostTaken * expected.octets) octets = undefined
      else if (octets !== undefined) octets += expected.octets - injector.takenOctets
    }
    const { taken } = this
    const spentMs = this.#clock.monotonic() - (this.#sinceMs ?? Infinity)
    const isTelling = taken.messages > 0 && taken.octets > 0 && spentMs > 0
    const share = octets === undefined ? messages / taken.messages : octets / taken.octets
    return { messages, ms: messages === 0 ? 0 : isTelling ? Math.round(spentMs * share) : undefined }
  }
}
