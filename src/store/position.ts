import { type Operation, operationsIn } from './change-set.ts'
import type { Epoch, Numbered } from './epochs.ts'
import { applyEntry, type Replica } from './replica.ts'

/** The entries that a position went over, kept for whoever writes down the state before them. */
export class PassedEntries {
  readonly entries: Numbered[] = []
  private octets = 0
  private readonly maxOctets: number

  constructor(maxOctets: number) {
    this.maxOctets = maxOctets
  }

  add(entry: Numbered): void {
    this.octets += entry.body.length
    if (!this.tooMany) this.entries.push(entry)
  }

  /** They cost more than they are worth; not all were kept. */
  get tooMany(): boolean {
    return this.octets > this.maxOctets
  }
}

/** Where a reader of the log stands: `state` is as of entry `number` of `epoch`. */
export class Position<Outcome, State extends Replica<Outcome>> {
  readonly state: State
  epoch: Epoch
  number: number
  /** Of the entries that this position went over in its epoch: what they cost whoever opens. */
  tailOctets = 0
  /** Of what those entries changed: the rest of what they cost. */
  tailChanges = 0
  /** Where the entries that this position goes over are kept. */
  passed: PassedEntries | undefined

  constructor(state: State, epoch: Epoch, number: number) {
    this.state = state
    this.epoch = epoch
    this.number = number
  }

  /** Goes over the next change set, whose lines are `body`. */
  async goOver(body: Buffer, operations: Iterable<Operation> = operationsIn(body)): Promise<Outcome[]> {
    const number = this.number + 1
    const before = this.state.changes
    const outcomes = await applyEntry(this.state, number, operations)
    this.number = number
    this.state.applied(number)
    this.tailOctets += body.length
    this.tailChanges += this.state.changes - before
    this.passed?.add({ number, body })
    return outcomes
  }

  /** The beginning of this epoch is the state where this stands. */
  goInto(epoch: Epoch): void {
    this.epoch = epoch
    this.number = epoch.start
    this.tailOctets = 0
    this.tailChanges = 0
    this.state.applied(epoch.start)
  }
}
