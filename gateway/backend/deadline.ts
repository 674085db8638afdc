/** Ends waits for a server that says nothing, or hardly anything. The limits are those of `Limits`. */
import { systemClock } from '#src/base/clock.ts'
import type { Limits } from './types.ts'

export interface Waiting {
  /** The TCP connection, or the TLS handshake, is done. */
  readonly connected: boolean
  /** How long the first octet of the awaited reply may take; undefined: nothing is awaited, or we hold the server back ourselves. */
  readonly replyMs: number | undefined
}

export class Deadline {
  readonly #limits: Limits
  readonly #waiting: () => Waiting
  readonly #late: (what: string, allowedMs: number) => void
  #timer: NodeJS.Timeout | undefined
  /** When there was progress last, and how many octets had come by then. */
  #markMs = 0
  #markOctets = 0
  #octets = 0
  /** Octets came since the awaited reply became the oldest. */
  #speaking = false

  constructor(limits: Limits, waiting: () => Waiting, late: (what: string, allowedMs: number) => void) {
    this.#limits = limits
    this.#waiting = waiting
    this.#late = late
  }

  /** A wait begins, or another reply is the oldest now. */
  begin(): void {
    this.#speaking = false
    this.mark()
    const { connectMs, replyMs, capaMs, progressMs } = this.#limits
    this.#timer ??= setInterval(() => this.#look(), Math.max(5, Math.min(connectMs, replyMs, capaMs, progressMs) / 8))
  }

  /** There was progress. */
  mark(): void {
    this.#markMs = systemClock.monotonic()
    this.#markOctets = this.#octets
  }

  arrived(octets: number): void {
    this.#octets += octets
    this.#speaking = true
    if (this.#octets - this.#markOctets >= this.#limits.progressOctets) this.mark()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    // When this process was held up itself, the octets may be waiting behind this timer: they are read first.
    if (this.#overdue() !== undefined) setImmediate(() => this.#overdue()?.())
  }

  #overdue(): (() => void) | undefined {
    const { connected, replyMs } = this.#waiting()
    if (replyMs === undefined || this.#timer === undefined) return undefined
    const allowedMs = !connected ? this.#limits.connectMs : this.#speaking ? this.#limits.progressMs : replyMs
    if (systemClock.monotonic() - this.#markMs < allowedMs) return undefined
    const what = !connected ? 'did not accept the connection' : this.#speaking ? 'sends too slowly' : 'does not answer'
    return () => this.#late(what, allowedMs)
  }
}
