import type { Mailbox } from '#src/store/types.ts'
import type { Numbers } from './memory.ts'

/** The change sets that the gateway makes in a mailbox while this listens: they are no news from a client. */
export class OwnChanges {
  readonly #numbers: [from: number, to: number][] = []
  readonly #stop: () => void

  constructor(mailbox: Mailbox) {
    this.#stop = mailbox.onChange((own) => {
      if (!own) return
      const number = mailbox.highestModSeq
      const last = this.#numbers.at(-1)
      if (last !== undefined && number === last[1] + 1) last[1] = number
      else this.#numbers.push([number, number])
    })
  }

  get numbers(): Numbers {
    return this.#numbers
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
