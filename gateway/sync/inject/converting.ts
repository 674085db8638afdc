/** GW-24: each message passes a content checking server before it goes its way. Several are there at a time; they go on in the order in which they came. */
import type { Clock } from '#src/base/clock.ts'
import type { BodySink } from '../../backend/types.ts'
import { internalDateOf } from '../header.ts'
import type { CheckVerdict, ContentChecker } from './cccp.ts'
import { type HeldMessage, Holding } from './held.ts'
import { InFlight } from './in-flight.ts'
import type { Incoming, Injection, Injector, Target } from './injector.ts'
import { Journal } from './journal.ts'
import { Postponed } from './postponed.ts'
import { Refused } from './refused.ts'

export interface Checking {
  readonly checker: ContentChecker
  /** Messages that could not be checked go on as they are; else they wait at the backend. */
  readonly isFailOpen: boolean
}

export const convertingInjection = (checking: Checking, next: Injection, clock: Clock): Injection => ({
  into: (target) => new ConvertingInjector(checking, target, next.into(target), clock),
  keepsUids: next.keepsUids,
})

const who = 'the content checking server'

class ConvertingInjector implements Injector {
  readonly #checking: Checking
  readonly #target: Target
  readonly #next: Injector
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #inFlight = new InFlight()
  readonly #postponed: Postponed
  readonly #refused: Refused
  #turn: Promise<void> = Promise.resolve()

  constructor(checking: Checking, target: Target, next: Injector, clock: Clock) {
    this.#checking = checking
    this.#target = target
    this.#next = next
    this.#clock = clock
    this.#journal = new Journal(target.account, target.mailbox.id)
    this.#postponed = new Postponed(target.log)
    this.#refused = new Refused(target, this.#journal, clock)
  }

  get taken(): number {
    return this.#next.taken + this.#refused.taken
  }

  get takenOctets(): number {
    return this.#next.takenOctets + this.#refused.takenOctets
  }

  get leftAway(): number {
    return this.#next.leftAway + this.#refused.taken
  }

  get postponed(): readonly string[] {
    return [...this.#postponed.origins, ...this.#next.postponed]
  }

  open(message: Incoming, onAbort: () => void): BodySink {
    const holding = new Holding()
    return {
      write: (chunk) => {
        this.#inFlight.check()
        return holding.write(chunk)
      },
      // A server that lists a message and then sends nothing has not given it.
      end: () => (holding.sizeOctets === 0 ? onAbort() : this.#take(message, holding)),
      abort: () => {
        onAbort()
        this.#inFlight.add(0, holding.discard())
      },
    }
  }

  #take(message: Incoming, holding: Holding): void | Promise<void> {
    const held = holding.finish()
    const verdict = held.then((original) => this.#check(message, original))
    const before = this.#turn
    const work = (async () => {
      const original = await held
      try {
        const decided = await verdict.finally(() => before)
        await this.#pass(message, original, decided)
      } finally {
        await original.release()
      }
    })()
    this.#turn = work.catch(() => {})
    return this.#inFlight.add(holding.sizeOctets, work)
  }

  async #check({ origin }: Incoming, original: HeldMessage): Promise<CheckVerdict> {
    const { account, mailbox } = this.#target
    const { checker, isFailOpen } = this.#checking
    try {
      return await checker.check({ userId: account.userId, origin, mailbox: mailbox.name, message: original })
    } catch (error) {
      if (!isFailOpen) throw error
      return { kind: 'undecided', text: (error as Error).message }
    }
  }

  async #pass(message: Incoming, original: HeldMessage, verdict: CheckVerdict): Promise<void> {
    const { log } = this.#target
    const { origin, isCompared } = message
    if (verdict.kind === 'undecided') {
      if (!this.#checking.isFailOpen) return this.#postponed.add(origin, who, verdict.text)
      log.log('warning', 'a message could not be checked; it goes on as it is', { origin, reason: verdict.text })
    } else this.#postponed.interrupt()
    const internalDate = message.internalDate ?? internalDateOf(original.start, Math.floor(this.#clock.now() / 1_000))
    if (verdict.kind === 'unchanged' || verdict.kind === 'undecided')
      return this.#goOn({ ...message, internalDate }, original.chunks())
    if (verdict.kind === 'refused')
      return this.#refused.add({ ...message, internalDate }, original, `${who} of this site`, verdict.text)
    // Before the message: its origin is never known with the digest of what was put in its place.
    if (isCompared === true) await this.#journal.record(origin, { digest: original.digest })
    const changed = { ...message, internalDate, originalDigest: original.digest }
    try {
      await this.#goOn(changed, verdict.message.chunks())
    } finally {
      await verdict.message.release()
    }
  }

  async #goOn(message: Incoming, chunks: AsyncIterable<Buffer>): Promise<void> {
    const sink = this.#next.open(message, () => {})
    try {
      for await (const chunk of chunks) await sink.write(chunk)
    } catch (error) {
      sink.abort(error as Error)
      throw error
    }
    await sink.end()
  }

  async finish(): Promise<void> {
    try {
      await this.#inFlight.done()
    } finally {
      await this.#refused.settle().finally(() => this.#next.finish())
    }
  }
}
