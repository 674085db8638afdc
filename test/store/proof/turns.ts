/**
 * Time for proofs. A proof runs a history again and again over a disk in memory: what the store leaves to the event loop (`setImmediate`) is
 * then done in the same turn, so that it is known without waiting when nothing more will happen before somebody is let go on.
 */

import type { Clock } from '#src/base/clock.ts'
import type { MemoryDisk } from '../disk.ts'

let depth = 0
let pending = 0
let taken = 0
const { stackTraceLimit } = Error
const inLoop = globalThis.setImmediate

/** All pending microtasks are done, and what they started. */
const microtasks = () => new Promise<void>((resolve) => process.nextTick(resolve))
/** A real turn of the event loop. */
const turn = () => new Promise<void>((resolve) => inLoop(resolve))

function atOnce(callback: (...details: unknown[]) => void, ...details: unknown[]): void {
  pending += 1
  process.nextTick(() => {
    pending -= 1
    taken += 1
    callback(...details)
  })
}

/** While `work` runs, `setImmediate` needs no turn of the event loop, and the thousands of absent files cost no stack trace. */
export async function inOneTurn<T>(work: () => Promise<T>): Promise<T> {
  depth += 1
  if (depth === 1) {
    globalThis.setImmediate = atOnce as unknown as typeof setImmediate
    Error.stackTraceLimit = 0
  }
  try {
    return await work()
  } finally {
    depth -= 1
    if (depth === 0) {
      globalThis.setImmediate = inLoop
      Error.stackTraceLimit = stackTraceLimit
    }
  }
}

/** Resolves when nothing goes on by itself any more: everything waits for a call, or for time to pass. */
export async function quiet(): Promise<void> {
  let before: number
  do {
    before = taken
    await microtasks()
  } while (pending > 0 || taken !== before)
}

/** Lets the rest of the process live. */
export const breathe = turn

/** Waits below this are pauses between attempts: they end at once. */
const pauseMs = 1000

/** The time of a simulated disk. It stands still unless `pass` is called. */
export class DiskClock implements Clock {
  private readonly disk: MemoryDisk
  private sleepers: { readonly until: number; readonly wake: () => void }[] = []

  constructor(disk: MemoryDisk) {
    this.disk = disk
  }

  now(): number {
    return this.disk.now
  }

  monotonic(): number {
    return this.disk.now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason)
      else if (ms < pauseMs) atOnce(() => resolve())
      else {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        this.sleepers.push({ until: this.disk.now + ms, wake: resolve })
      }
    })
  }

  pass(ms: number): void {
    this.disk.now += ms
    const due = this.sleepers.filter(({ until }) => until <= this.disk.now)
    this.sleepers = this.sleepers.filter(({ until }) => until > this.disk.now)
    for (const { wake } of due) wake()
  }
}
