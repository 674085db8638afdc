/** Says when something is due: one timer for any number of things, as a heap of their times. */
import type { Clock } from '#src/base/clock.ts'
import { Slice } from '../backend/slice.ts'

/** A timer takes no more. */
const longestSleepMs = 2 ** 31 - 1

interface Entry<T> {
  readonly item: T
  dueMs: number
  /** Place in the heap. */
  at: number
}

/** Times are on the scale of `clock.monotonic()`. */
export class Agenda<T> {
  readonly #clock: Clock
  readonly #due: (item: T) => void
  readonly #entries = new Map<T, Entry<T>>()
  /** No entry is due before the one at half its place. */
  readonly #heap: Entry<T>[] = []
  #wake = new AbortController()
  #sleepsUntilMs = -Infinity

  /** `due` is called once for each time that was set; it may set the next one, and must not throw. Until `signal` is aborted. */
  constructor(clock: Clock, signal: AbortSignal, due: (item: T) => void) {
    this.#clock = clock
    this.#due = due
    void this.#run(signal)
  }

  get size(): number {
    return this.#heap.length
  }

  /** Replaces the time that was set before; Infinity: never. */
  set(item: T, dueMs: number): void {
    const entry = this.#entries.get(item)
    if (dueMs === Infinity) {
      if (entry !== undefined) this.#remove(entry)
      return
    }
    if (entry === undefined) this.#add({ item, dueMs, at: this.#heap.length })
    else {
      entry.dueMs = dueMs
      this.#up(entry)
      this.#down(entry)
    }
    if (dueMs < this.#sleepsUntilMs) this.#wake.abort()
  }

  async #run(signal: AbortSignal): Promise<void> {
    const slice = new Slice()
    while (!signal.aborted) {
      for (
        let first = this.#heap[0];
        first !== undefined && first.dueMs <= this.#clock.monotonic();
        first = this.#heap[0]
      ) {
        this.#remove(first)
        this.#due(first.item)
        if (slice.isOver()) await slice.next()
      }
      if (signal.aborted) return
      await this.#sleep(signal)
    }
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController()
    this.#sleepsUntilMs = this.#heap[0]?.dueMs ?? Infinity
    const ms = Math.min(Math.max(this.#sleepsUntilMs - this.#clock.monotonic(), 0), longestSleepMs)
    // Woken or stopped: both are looked at next.
    await this.#clock.sleep(ms, AbortSignal.any([signal, this.#wake.signal])).catch(() => {})
    this.#sleepsUntilMs = -Infinity
  }

  #add(entry: Entry<T>): void {
    this.#entries.set(entry.item, entry)
    this.#heap.push(entry)
    this.#up(entry)
  }

  #remove(entry: Entry<T>): void {
    this.#entries.delete(entry.item)
    const last = this.#heap.pop()!
    if (last === entry) return
    this.#put(last, entry.at)
    this.#up(last)
    this.#down(last)
  }

  #up(entry: Entry<T>): void {
    while (entry.at > 0) {
      const above = this.#heap[(entry.at - 1) >> 1]!
      if (above.dueMs <= entry.dueMs) return
      this.#swap(entry, above)
    }
  }

  #down(entry: Entry<T>): void {
    for (;;) {
      const left = this.#heap[2 * entry.at + 1]
      const right = this.#heap[2 * entry.at + 2]
      const least = right !== undefined && right.dueMs < left!.dueMs ? right : left
      if (least === undefined || entry.dueMs <= least.dueMs) return
      this.#swap(entry, least)
    }
  }

  #swap(a: Entry<T>, b: Entry<T>): void {
    const { at } = a
    this.#put(a, b.at)
    this.#put(b, at)
  }

  #put(entry: Entry<T>, at: number): void {
    this.#heap[at] = entry
    entry.at = at
  }
}
