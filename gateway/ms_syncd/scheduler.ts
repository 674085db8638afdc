import PQueue from 'p-queue'

/** Logins go before polls. */
export const loginPriority = 1
export const pollPriority = 0

/**
 * Bounds the backend sessions of the process: in all, and per host, so that a slow host keeps only its own users waiting.
 * A job takes the slot of its host first; the other way round, jobs waiting for a slow host would hold the slots of all.
 */
export class Scheduler {
  readonly #all: PQueue
  readonly #perHost: number
  readonly #hosts = new Map<string, PQueue>()

  constructor(sessions: number) {
    this.#all = new PQueue({ concurrency: sessions })
    this.#perHost = Math.max(1, Math.ceil(sessions / 2))
  }

  /** A job that has not begun when the signal is aborted rejects with its reason when its turn comes; a running one watches the signal itself. */
  run<T>(host: string, priority: number, signal: AbortSignal, job: () => Promise<T>): Promise<T> {
    const key = host.toLowerCase()
    let queue = this.#hosts.get(key)
    if (queue === undefined) {
      queue = new PQueue({ concurrency: this.#perHost })
      this.#hosts.set(key, queue)
    }
    const hostQueue = queue
    const start = () => {
      signal.throwIfAborted()
      return job()
    }
    return hostQueue
      .add(() => this.#all.add(start, { priority }), { priority })
      .finally(() => {
        // The queue still counts this job; it is gone when the callbacks of its promise have run.
        setImmediate(() => {
          if (hostQueue.size === 0 && hostQueue.pending === 0 && this.#hosts.get(key) === hostQueue)
            this.#hosts.delete(key)
        })
      })
  }

  /** Hosts with a queue; for tests and figures. */
  get hosts(): number {
    return this.#hosts.size
  }
}
