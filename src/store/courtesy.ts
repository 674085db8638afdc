import { randomInt } from 'node:crypto'
import type { Clock } from '../base/clock.ts'

/** Who made no entry for this long is not counted among those who want to. */
const rememberedMs = 3000
/** Commits after a lost race that make room for others: when nobody came in all of these pauses, nobody wants to. */
const politeCommits = 64
const catchUps = 8
const maxPauseMs = 50
/** Wins over which the others' share is averaged. */
const averagedOver = 8

/**
 * Lets other processes come to their commits. Who made the last entry knows the state already and would be first again and again, since all
 * others have to read and apply that entry. So who makes more than his share leaves them the time that this takes, as he knows it from the
 * races that he lost.
 */
export class Courtesy {
  private readonly clock: Clock
  /** Others who made entries, and when one was seen last. */
  private readonly met = new Map<string, number>()
  private politeFor = 0
  private wonAt = Number.NEGATIVE_INFINITY
  /** Number of the last entry made here. */
  private number: number | undefined
  /** From a lost race to the next attempt, on average. */
  private catchUpMs = 0
  /** Entries that others made between two made here, on average. */
  private others = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** An entry of somebody else was seen. */
  meet(writer: string): void {
    this.met.set(writer, this.clock.monotonic())
  }

  /** Before a commit is planned. */
  async pause(): Promise<void> {
    if (this.politeFor === 0) return
    this.politeFor -= 1
    const now = this.clock.monotonic()
    for (const [writer, at] of this.met) if (now - at > rememberedMs) this.met.delete(writer)
    const excess = 1 - this.others / this.met.size
    if (!(excess > 0)) return
    const pauseMs = (catchUps * this.catchUpMs * excess * randomInt(50, 150)) / 100
    const leftMs = this.wonAt + Math.min(maxPauseMs, pauseMs) - now
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
    this.politeFor = politeCommits
    this.catchUpMs += (this.clock.monotonic() - since - this.catchUpMs) / averagedOver
  }
}
