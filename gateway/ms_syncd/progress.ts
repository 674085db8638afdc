/** How far a session has come: an injection that is looked at while it works. */
import type { Injection, Injector } from '../sync/inject/injector.ts'

export class Progress {
  readonly #injectors: Injector[] = []

  /** The same way into the store, counted. */
  through(injection: Injection): Injection {
    return {
      into: (target) => {
        const injector = injection.into(target)
        this.#injectors.push(injector)
        return injector
      },
    }
  }

  /** Messages and octets that are safe. */
  get taken(): { readonly messages: number; readonly octets: number } {
    let [messages, octets] = [0, 0]
    for (const { taken, takenOctets } of this.#injectors) {
      messages += taken
      octets += takenOctets
    }
    return { messages, octets }
  }
}
