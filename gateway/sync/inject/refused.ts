/** Messages that a server of this site refused for good: a stub is in their place, and they are not fetched again. docs/decisions/0181-a-stub-until-the-message-comes.md */
import type { Clock } from '#src/base/clock.ts'
import { headerOf } from '../header.ts'
import { refusedStub, type Stub, showStubs } from '../stub.ts'
import type { HeldMessage } from './held.ts'
import type { Incoming, Target } from './injector.ts'
import type { Injected, Journal } from './journal.ts'

/** Their headers are in memory until they are shown. */
const mostAtOnce = 20

export class Refused {
  readonly #target: Target
  readonly #journal: Journal
  readonly #clock: Clock
  #stubs: Stub[] = []
  #entries: [origin: string, injected: Injected][] = []
  #settling: Promise<void> = Promise.resolve()
  /** Those that are safe, and their octets. */
  taken = 0
  takenOctets = 0

  constructor(target: Target, journal: Journal, clock: Clock) {
    this.#target = target
    this.#journal = journal
    this.#clock = clock
  }

  /** `who`: with article. Throws StoreError. */
  async add(message: Incoming, held: HeldMessage, who: string, reply: string): Promise<void> {
    const { origin, internalDate, isCompared, originalDigest } = message
    this.#target.log.log('warning', `${who} refuses a message; a stub is shown in its place`, { origin, reply })
    const header = Buffer.from(headerOf(held.start))
    this.#stubs.push({ ...refusedStub(origin, header, who, reply), internalDate })
    const digest = isCompared === true ? { digest: originalDigest ?? held.digest } : {}
    this.#entries.push([origin, { refusedAt: Math.floor(this.#clock.now() / 1_000), ...digest }])
    this.takenOctets += held.sizeOctets
    if (this.#stubs.length >= mostAtOnce) await this.settle()
  }

  /** Resolves when all of them are safe: each has its stub before it is not fetched any more. Throws StoreError. */
  settle(): Promise<void> {
    const [stubs, entries] = [this.#stubs, this.#entries]
    this.#stubs = []
    this.#entries = []
    this.#settling = this.#settling.then(async () => {
      await showStubs(this.#target.mailbox, stubs, Math.floor(this.#clock.now() / 1_000))
      await Promise.all(entries.map(([origin, injected]) => this.#journal.record(origin, injected)))
      this.taken += entries.length
    })
    return this.#settling
  }
}
