/**
 * Reads small parts of many files. What is asked for in one turn of the event loop goes to a reading thread together (`part-reader.ts`); a few parts go through
 * Node's pool, so that who reads a message now and then has no thread. Where the disk lets one wait, what is asked for together is shared among several threads.
 */

import { Worker } from 'node:worker_threads'
import type { PartsRead, PartWanted } from './part-reader.ts'

/** Part of a file. */
export interface FilePart {
  /** Of the whole file. */
  readonly sizeOctets: number
  readonly octets: Buffer
}

interface Asked extends PartWanted {
  resolve(part: FilePart): void
  reject(error: unknown): void
}

interface Thread {
  readonly worker: Worker
  batch: readonly Asked[]
  sinceMs: number
}

/** Fewer than these are not worth a trip to a thread. */
const fewParts = 4
/** Of one trip: some ms, at most 2 MiB. */
const partsAtOnce = 32
const maxThreads = 4
/** Of one part. What takes longer is not in the system's memory: to wait for several at once is worth more threads. */
const slowPartMs = 0.3
/** A trip that is under way for longer keeps nobody else waiting. */
const stuckMs = 50

export class PartReaders {
  readonly #readAlone: (wanted: PartWanted) => Promise<FilePart>
  readonly #threads = new Set<Thread>()
  #asked: Asked[] = []
  #waiting: Asked[][] = []
  readonly #slowPartMs: number
  readonly #startThread: () => Worker
  /** What a part of the last trip took. */
  #partMs = 0

  /** `readAlone` reads one by other means. */
  constructor(readAlone: (wanted: PartWanted) => Promise<FilePart>, { slowMs = slowPartMs, start = startThread } = {}) {
    this.#readAlone = readAlone
    this.#slowPartMs = slowMs
    this.#startThread = start
  }

  read(path: string, start: number, length: number): Promise<FilePart> {
    const { promise, resolve, reject } = Promise.withResolvers<FilePart>()
    // Whoever asks for several does so before the next tick.
    if (this.#asked.push({ path, start, length, resolve, reject }) === 1) process.nextTick(() => this.#send())
    return promise
  }

  #send(): void {
    const asked = this.#asked
    this.#asked = []
    const together = this.#isSlow ? Math.ceil(asked.length / maxThreads) : partsAtOnce
    if (asked.length < fewParts) this.#alone(asked)
    else for (let at = 0; at < asked.length; at += together) this.#waiting.push(asked.slice(at, at + together))
    this.#assign()
  }

  #alone(asked: readonly Asked[]): void {
    for (const one of asked) this.#readAlone(one).then(one.resolve, one.reject)
  }

  #assign(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread()
      if (thread === undefined) {
        // Nobody comes back for them.
        if (this.#threads.size === 0) for (const batch of this.#waiting.splice(0)) this.#alone(batch)
        return
      }
      thread.batch = this.#waiting.shift()!
      thread.sinceMs = performance.now()
      // Only who works keeps the process from ending.
      thread.worker.ref()
      thread.worker.postMessage(thread.batch.map(({ path, start, length }): PartWanted => ({ path, start, length })))
    }
  }

  get #isSlow(): boolean {
    return this.#partMs > this.#slowPartMs
  }

  #freeThread(): Thread | undefined {
    const stuck = performance.now() - stuckMs
    let areAllStuck = true
    for (const thread of this.#threads) {
      if (thread.batch.length === 0) return thread
      if (thread.sinceMs > stuck) areAllStuck = false
    }
    return (areAllStuck || this.#isSlow) && this.#threads.size < maxThreads ? this.#start() : undefined
  }

  /** Undefined when the system has no thread left. */
  #start(): Thread | undefined {
    let worker: Worker
    try {
      worker = this.#startThread()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_INIT_FAILED') return undefined
      throw error
    }
    const thread: Thread = { worker, batch: [], sinceMs: 0 }
    this.#threads.add(thread)
    worker.on('message', (read: PartsRead) => {
      const { batch } = thread
      thread.batch = []
      worker.unref()
      this.#partMs = read.ms / batch.length
      this.#assign()
      give(batch, read)
    })
    // A thread that can't be had, or ended, costs time and nothing else.
    const onEnd = () => {
      if (!this.#threads.delete(thread)) return
      this.#alone(thread.batch)
      this.#assign()
    }
    worker.on('error', onEnd)
    worker.on('exit', onEnd)
    return thread
  }
}

/** Throws ERR_WORKER_INIT_FAILED. */
function startThread(): Worker {
  return new Worker(new URL('part-reader.ts', import.meta.url), { trackUnmanagedFds: false })
}

function give(batch: readonly Asked[], { octets, outcomes }: PartsRead): void {
  for (const [index, { resolve, reject }] of batch.entries()) {
    const outcome = outcomes[index]!
    if ('code' in outcome) reject(Object.assign(new Error(outcome.message), { code: outcome.code }))
    else {
      const { sizeOctets, at, length } = outcome
      resolve({ sizeOctets, octets: Buffer.from(octets, at, length) })
    }
  }
}
