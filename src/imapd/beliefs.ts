import type { Uid } from '../base/ids.ts'
import type { Flag, MessageList } from '../store/types.ts'

type Flags = ReadonlySet<Flag>

/**
 * What the client believes of flags, where that is not what it was told by the last announcements. A command concerns many messages in one
 * way, so nothing is kept for each of them: `owed` and `assumed` are the UIDs of the command itself.
 */
export class Beliefs implements Iterable<readonly [uid: Uid, flags: Flags | undefined]> {
  readonly #before: MessageList
  #owed: readonly Uid[] = []
  #assumed: readonly Uid[] = []
  #effect: (flags: Flags) => Flags = (flags) => flags
  /** Told in between, and not what the last announcements told. */
  readonly #told = new Map<Uid, Flags>()
  /** Sets are shared by many messages. */
  readonly #effects = new Map<Flags, Flags>()

  /** `before`: the messages as the last announcements told them. */
  constructor(before: MessageList) {
    this.#before = before
  }

  /** The client awaits the flags of these messages, whatever they are. Ascending; of one command between two announcements. */
  owe(uids: readonly Uid[]): void {
    this.#owed = uids
  }

  /** The client takes its own change of these messages as made. Ascending; of one command between two announcements. */
  assume(uids: readonly Uid[], effect: (flags: Flags) => Flags): void {
    this.#assumed = uids
    this.#effect = effect
  }

  told(uid: Uid, flags: Flags): void {
    const before = this.before(uid)
    if (before === undefined || !sameFlags(before, flags)) this.#told.set(uid, flags)
    else this.#told.delete(uid)
  }

  /** The command is over, and nobody told of the messages that it did not concern. `now`: flags of those that are there. */
  settle(now: (uid: Uid) => Flags | undefined): void {
    for (const uid of [...this.#owed, ...this.#assumed]) {
      const flags = now(uid)
      if (flags !== undefined) this.told(uid, flags)
    }
    this.#owed = []
    this.#assumed = []
  }

  /** By the last announcements; undefined for a message that they did not know. */
  before(uid: Uid): Flags | undefined {
    const index = this.#before.positionOf(uid)
    return index < this.#before.length && this.#before.uidAt(index) === uid ? this.#before.flagsAt(index) : undefined
  }

  has(uid: Uid): boolean {
    return this.#told.has(uid) || contains(this.#owed, uid) || contains(this.#assumed, uid)
  }

  /** All that `has`; undefined flags: they are awaited. */
  *[Symbol.iterator](): Generator<readonly [Uid, Flags | undefined], void, undefined> {
    for (const uid of this.#owed) yield [uid, undefined]
    for (const uid of this.#assumed) {
      const before = this.before(uid)
      yield [uid, before && this.#afterEffect(before)]
    }
    yield* this.#told
  }

  #afterEffect(before: Flags): Flags {
    let after = this.#effects.get(before)
    if (after === undefined) {
      after = this.#effect(before)
      this.#effects.set(before, after)
    }
    return after
  }
}

export function sameFlags(a: Flags, b: Flags): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const flag of a) if (!b.has(flag)) return false
  return true
}

function contains(uids: readonly Uid[], uid: Uid): boolean {
  let low = 0
  let high = uids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (uids[middle]! < uid) low = middle + 1
    else high = middle
  }
  return uids[low] === uid
}
