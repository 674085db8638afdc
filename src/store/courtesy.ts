import { randomInt } from 'node:crypto'
import type { Clock } from '../base/clock.ts'

/** Others are taken to be about for this long after they were first in a race. */
const rememberedMs = 3000
const maxPauseMs = 50
/** Wins over which the others' share is averaged. */
const averagedOver = 8

/**
 * Lets other processes come to their commits. Who made the last entry knows the state already and would be first again and again, since all
 * others have to read and apply that entry. So he leaves them the time that this takes, as he knows it from the races that he lost, and the
 * more of it the fewer entries others made between his own.
 */
export class Courtesy {
  private readonly clock: Clock
  private lostAt = Number.NEGATIVE_INFINITY
  private wonAt = Number.NEGATIVE_INFINITY
  /** Number of the last entry made here. */
  private number: number | undefined
  /** From a lost race to the next attempt: the slowest lately, since others have worse luck than who wins. */
  private catchUpMs = 0
  /** Entries that others made between two made here, on average. */
  private others = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Before a commit is planned. */
  async pause(): Promise<void> {
    const now = this.clock.monotonic()
    if (now - this.lostAt > rememberedMs) return
    const fair = (8 * this.catchUpMs) / (1 + this.others)
    const leftMs = this.wonAt + Math.min(maxPauseMs, (fair * randomInt(50, 150)) / 100) - now
    if (leftMs > 0) await this.clock.sleep(leftMs)
  }

  /** Entry `number` was made here. */
  won(number: number): void {
    if (this.number !== undefined) this.others += (number - this.number - 1 - this.others) / averagedOver
    this.number = number
    this.wonAt = this.clock.monotonic()
  }

  /** The attempt that began at `since` failed, and the next one is about to begin. */
  caughtUp(since: number): void {
    this.lostAt = this.clock.monotonic()
    this.catchUpMs = Math.max(this.catchUpMs * 0.9, this.lostAt - since)
  }
}
