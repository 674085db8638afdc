/** unique-ids: 1 to 70 octets from 0x21 to 0x7E. RFC 1939 §7 */
import { randomBytes } from 'node:crypto'

const MAX_OCTETS = 70
const UNIQUE_ID = /^[\x21-\x7e]{1,70}$/

/** What of the messages of a maildrop makes their unique-ids; by index from 0, ascending by UID. */
export interface Identities {
  readonly length: number
  uidAt(index: number): number
  /** The unique-id of where the message came from, if it came from a maildrop. */
  uidlAt(index: number): string | undefined
}

/**
 * Unique-ids for the messages of a maildrop: the one that the message brought along, else `<UIDVALIDITY>-<UID>` in hex. Of messages that
 * brought the same, from two backends, all but the first get their UID behind it. The ids are not kept, since they can be a million: only
 * those of the few that would be another's.
 */
export class UniqueIds {
  readonly #uidValidity: number
  readonly #messages: Identities
  readonly #distinguished = new Map<number, string>()
  /** Hash table of the messages looked at: index + 1, 0 where it is free. The ids themselves are made when two are to be compared. */
  #table: Uint32Array
  #lookedAt = 0

  constructor(uidValidity: number, messages: Identities) {
    this.#uidValidity = uidValidity
    this.#messages = messages
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * messages.length + 1)))
  }

  /** Compares the next `count` messages with those before them. True when all have been. */
  look(count: number): boolean {
    const end = Math.min(this.#messages.length, this.#lookedAt + count)
    for (; this.#lookedAt < end; this.#lookedAt++) this.#take(this.#lookedAt)
    if (end < this.#messages.length) return false
    this.#table = new Uint32Array(0)
    return true
  }

  /** Only when `look` was at all of them. */
  at(index: number): string {
    return this.#distinguished.get(index) ?? this.#given(index)
  }

  #take(index: number): void {
    const given = this.#given(index)
    let id = given
    for (let n = 0; !this.#claim(id, index); n++) {
      const suffix = n === 0 ? `:${this.#own(index)}` : `:${this.#own(index)}:${n}`
      id = given.slice(0, MAX_OCTETS - suffix.length) + suffix
    }
    if (id !== given) this.#distinguished.set(index, id)
  }

  /** False when a message before this one has the id. */
  #claim(id: string, index: number): boolean {
    const table = this.#table
    for (let slot = hash(id); ; slot++) {
      const taken = table[slot & (table.length - 1)]!
      if (taken === 0) {
        table[slot & (table.length - 1)] = index + 1
        return true
      }
      if (this.at(taken - 1) === id) return false
    }
  }

  #given(index: number): string {
    const uidl = this.#messages.uidlAt(index)
    return uidl !== undefined && UNIQUE_ID.test(uidl) ? uidl : this.#own(index)
  }

  #own(index: number): string {
    return `${hex(this.#uidValidity)}-${hex(this.#messages.uidAt(index))}`
  }
}

const hex = (n: number): string => n.toString(16).padStart(8, '0')

/** Not to be foreseen by whoever names the messages. */
const seed = randomBytes(4).readUInt32LE()

/** FNV-1a, 32 bits, with a seed of its own. */
function hash(text: string): number {
  let value = seed
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}
