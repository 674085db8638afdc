/** Which backend sessions run. docs/decisions/0162-fair-between-hosts.md */
import PQueue from 'p-queue'
import { FairQueue, type SessionOptions } from './fair-queue.ts'

/** Logins go before polls. */
export const loginPriority = 1
export const pollPriority = 0

/** Every so-manieth slot is kept for logins. */
const loginShare = 8
/** A host's logins may take this many times what is free, its polls once. */
const loginWeight = 4

export interface SessionWork<T> {
  readonly host: string
  readonly priority: number
  /** Work that has not begun when it is aborted rejects with its reason when its turn comes; running work watches it itself. */
  readonly signal: AbortSignal
  readonly work: () => Promise<T>
  /** Sessions that the host takes, at least 1; as many as the scheduler lets it have unless told. Asked whenever one could begin. */
  readonly limit?: (isLogin: boolean) => number
}

export interface Scheduled<T> {
  readonly done: Promise<T>
  /** Goes before polls from now on. */
  hurry(): void
}

/**
 * Bounds the backend sessions of the process. A host's polls get at most as many slots as are free: one busy host has half of them, two have a
 * third each, and so on, so that a slow host keeps only its own users waiting and the next one finds room.
 */
export class Scheduler {
  readonly #slots: number
  readonly #kept: number
  readonly #queue: PQueue<FairQueue, SessionOptions>
  readonly #running = new Map<string, number>()
  #lastId = 0
  #waiting = 0

  constructor(slots: number) {
    this.#slots = slots
    this.#kept = Math.floor(slots / loginShare)
    this.#queue = new PQueue<FairQueue, SessionOptions>({ concurrency: slots, queueClass: FairQueue })
  }

  run<T>({ host, priority, signal, work, limit = () => Infinity }: SessionWork<T>): Scheduled<T> {
    const key = host.toLowerCase()
    const id = `session ${++this.#lastId}`
    const running = () => this.#running.get(key) ?? 0
    const hasRoom = (isLogin: boolean) => this.#share(isLogin) > 0
    const mayBegin = (isLogin: boolean) => running() < Math.min(this.#share(isLogin), limit(isLogin))
    let waits = true
    const begin = async () => {
      waits = false
      this.#waiting--
      this.#running.set(key, running() + 1)
      try {
        signal.throwIfAborted()
        return await work()
      } finally {
        const left = running() - 1
        if (left === 0) this.#running.delete(key)
        else this.#running.set(key, left)
      }
    }
    this.#waiting++
    const done = this.#queue.add(begin, { id, host: key, priority, running, hasRoom, mayBegin })
    const hurry = () => {
      if (waits) this.#queue.setPriority(id, loginPriority)
    }
    return { done, hurry }
  }

  /** What one host may have of what is free. */
  #share(isLogin: boolean): number {
    const free = this.#slots - this.#queue.pending
    return isLogin ? loginWeight * free : free - this.#kept
  }

  /** Sessions that run, and that wait. */
  get counts(): { readonly running: number; readonly waiting: number } {
    return { running: this.#queue.pending, waiting: this.#waiting }
  }
}
