import type { Clock } from '../base/clock.ts'
import { type Json, laterVersion, linesOf, type Operation, operationsIn } from './change-set.ts'
import { atOnce, type Replica, type Steps } from './replica.ts'

/** What the account's log entries make: subscriptions, named values, and the highest UIDVALIDITY given out. */
export class AccountState implements Replica<number> {
  readonly subscriptions = new Set<string>()
  readonly values = new Map<string, Json>()
  /** An entry tells every change in octets of its own. */
  readonly changes = 0
  private uidValidity = 0
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  get weight(): number {
    return this.subscriptions.size + this.values.size
  }

  apply(operation: Operation): Steps<number> {
    return atOnce(this.change(operation))
  }

  /** Answers the UIDVALIDITY that `uidvalidity` gave out; 0 for all others. */
  private change(operation: Operation): number {
    const [word, first, second] = operation
    switch (word) {
      case 'subscribe':
        this.subscriptions.add(first as string)
        return 0
      case 'unsubscribe':
        this.subscriptions.delete(first as string)
        return 0
      case 'set':
        this.values.set(first as string, second as Json)
        return 0
      case 'unset':
        this.values.delete(first as string)
        return 0
      // A value of its own for each mailbox, at or above the one proposed.
      case 'uidvalidity':
        this.uidValidity = Math.max(this.uidValidity + 1, first as number)
        return this.uidValidity
      // Somebody brought a value along from another server.
      case 'uidvalidity-taken':
        this.uidValidity = Math.max(this.uidValidity, first as number)
        return 0
      default:
        throw laterVersion(`An account's log entry (${word})`)
    }
  }

  applied(): void {}

  /** The operations that make it, as lines. */
  image(): Iterable<Uint8Array> {
    return linesOf([
      ['uidvalidity-taken', this.uidValidity],
      ...Array.from(this.subscriptions, (name): Operation => ['subscribe', name]),
      ...Array.from(this.values, ([key, value]): Operation => ['set', key, value]),
    ])
  }

  async load(image: Buffer): Promise<void> {
    for (const operation of operationsIn(image)) this.change(operation)
  }

  /** Names and values stay what they are, whatever was lost. */
  readonly meaning = 0

  expectGaps(): void {}

  async recover(): Promise<void> {
    this.uidValidity = Math.max(this.uidValidity, Math.floor(this.clock.now() / 1000))
  }
}
