const firstPauseMs = 60_000
const longestPauseMs = 6 * 3_600_000
/** Setbacks after which a message is no longer tried ahead of its pause. */
const freeTries = 2

export interface Trouble {
  /** A sentence whose subject is the server, without its full stop. */
  readonly why: string
  /** The server refused it, and the session went on: it will hardly come the next time. Else chance may have ended the session. */
  readonly isRefused: boolean
}

interface Setback extends Trouble {
  readonly count: number
  readonly notBeforeMs: number
}

/**
 * Messages of one backend account that a backend would not give, or that were arriving when a session broke. They come last and
 * ever more rarely, so that one bad message keeps no other from being fetched. In memory: a restart tries them again.
 */
export class Setbacks {
  readonly #setbacks = new Map<string, Setback>()
  /** Looked at in another way than usual, which may have ended the session: once is enough. */
  readonly #risked = new Set<string>()

  add(origin: string, nowMs: number, trouble: Trouble): void {
    const count = (this.#setbacks.get(origin)?.count ?? 0) + 1
    const pauseMs = count < freeTries ? 0 : Math.min(firstPauseMs * 2 ** (count - freeTries), longestPauseMs)
    this.#setbacks.set(origin, { count, notBeforeMs: nowMs + pauseMs, ...trouble })
  }

  of(origin: string): (Trouble & { readonly count: number }) | undefined {
    return this.#setbacks.get(origin)
  }

  /** False when this was done before and `survived` was not called. */
  risk(origin: string): boolean {
    if (this.#risked.has(origin)) return false
    this.#risked.add(origin)
    return true
  }

  survived(origin: string): void {
    this.#risked.delete(origin)
  }

  /**
   * `now` in the order to fetch them; `later` are in their pause. `isOrdered`: what chance may have stopped keeps its place the first time. Of the origins that begin with `prefix`, forgets what is not
   * wanted any more.
   */
  order<Wanted>(
    wanted: readonly Wanted[],
    originOf: (wanted: Wanted) => string,
    nowMs: number,
    prefix: string,
    isOrdered = false,
  ): { now: readonly Wanted[]; later: readonly Wanted[] } {
    if (this.#setbacks.size === 0) return { now: wanted, later: [] }
    const still = new Set(wanted.map(originOf))
    for (const origin of this.#setbacks.keys())
      if (origin.startsWith(prefix) && !still.has(origin)) {
        this.#setbacks.delete(origin)
        this.#risked.delete(origin)
      }
    const now: Wanted[] = []
    const suspect: Wanted[] = []
    const later: Wanted[] = []
    for (const each of wanted) {
      const setback = this.#setbacks.get(originOf(each))
      const keepsPlace = isOrdered && setback?.count === 1 && !setback.isRefused
      if (setback === undefined || keepsPlace) now.push(each)
      else if (setback.notBeforeMs <= nowMs) suspect.push(each)
      else later.push(each)
    }
    return { now: [...now, ...suspect], later }
  }
}
