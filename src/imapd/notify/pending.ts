/** What a session is still to be told of mailboxes that it has not selected: a line for each mailbox, however much happened to it. */

/** How many messages; what the session itself did is taken off again. */
export interface Counts {
  added: number
  updated: number
  expunged: number
}

export interface NameChange {
  /** As often as it was heard of. */
  times: number
  /** It was renamed. */
  oldName: string | undefined
}

/** A client that does not read, or asks for more than it can take, is told to begin anew. RFC 5465 §5.8 */
const maxWaiting = 5000

export class Pending {
  /** By name, as the user calls the mailbox. */
  messages = new Map<string, Counts>()
  names = new Map<string, NameChange>()
  overflowed = false

  get isEmpty(): boolean {
    return this.messages.size === 0 && this.names.size === 0 && !this.overflowed
  }

  addMessages(name: string, { added, updated, expunged }: Readonly<Counts>): void {
    const counts = this.messages.get(name) ?? { added: 0, updated: 0, expunged: 0 }
    counts.added += added
    counts.updated += updated
    counts.expunged += expunged
    this.#put(this.messages, name, counts)
  }

  /** The session itself did this: others are told of it. */
  subtractMessages(name: string, added: number): void {
    const counts = this.messages.get(name)
    if (counts === undefined || counts.added < added) return
    counts.added -= added
    if (counts.added + counts.updated + counts.expunged === 0) this.messages.delete(name)
  }

  forgetMessages(name: string): void {
    this.messages.delete(name)
  }

  /** `oldName`: it was renamed, with all that is below it. */
  addName(name: string, oldName?: string): void {
    if (oldName !== undefined) {
      this.#move(this.messages, oldName, name)
      this.#move(this.names, `${oldName}/`, `${name}/`)
    }
    const change = this.names.get(name)
    // The client knows the first of its names.
    const before = oldName === undefined ? undefined : this.names.get(oldName)
    const known = before?.oldName ?? oldName ?? change?.oldName
    const times = (change?.times ?? 0) + 1
    this.#put(this.names, name, { times, oldName: known === name ? undefined : known })
    if (before !== undefined) before.oldName = undefined
  }

  subtractName(name: string): void {
    const change = this.names.get(name)
    if (change !== undefined && --change.times <= 0) this.names.delete(name)
  }

  /** Hands over everything, and begins anew. */
  take(): Pending {
    const taken = Object.assign(new Pending(), { ...this })
    this.messages = new Map()
    this.names = new Map()
    this.overflowed = false
    return taken
  }

  /** What has the name `from`, or one that it begins, up to a `/`. */
  #move<Value>(waiting: Map<string, Value>, from: string, to: string): void {
    const below = from.endsWith('/') ? from : `${from}/`
    for (const [name, value] of [...waiting])
      if (name === from || name.startsWith(below)) {
        waiting.delete(name)
        waiting.set(to + name.slice(from.length), value)
      }
  }

  #put<Value>(waiting: Map<string, Value>, name: string, value: Value): void {
    if (waiting.size >= maxWaiting && !waiting.has(name)) this.overflowed = true
    else waiting.set(name, value)
  }
}
