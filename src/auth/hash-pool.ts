/**
 * Threads that hash passwords. Node's own asynchronous scrypt and PBKDF2 run on the four threads that file and name look-ups need
 * too: 40 logins at once would stop every file operation for seconds. Here they have threads of their own, and a bounded queue.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AuthError } from '../base/errors.ts'
import type { ScramHash, ScramKeys, Verifiers } from './verifier.ts'

/** What a thread is asked: to check against `verifier`, to make SCRAM keys, or without either to make verifiers. */
export interface HashJob {
  readonly password: Uint8Array
  readonly verifier?: string
  readonly scram?: ScramSalt
}
export interface ScramSalt {
  readonly hash: ScramHash
  readonly salt: Uint8Array
  readonly iterations: number
}
export type HashResult =
  | { readonly matches: boolean }
  /** StoredKey and ServerKey; undefined for a password that SCRAM can't carry. */
  | { readonly keys: readonly [Uint8Array, Uint8Array] | undefined }
  | { readonly verifiers: Verifiers }
  | { readonly failure: string }

export interface HashPool {
  /** Whether the password made the scrypt verifier. Throws AuthError unavailable when too many wait. */
  verify(password: Uint8Array, scrypt: string): Promise<boolean>
  make(password: Uint8Array): Promise<Verifiers>
  /** SCRAM keys of a password; undefined for one that SCRAM can't carry. */
  scram(password: Uint8Array, salt: ScramSalt): Promise<ScramKeys | undefined>
}

interface Waiting {
  readonly job: HashJob
  resolve(result: HashResult): void
  reject(error: Error): void
}
interface Thread {
  readonly worker: Worker
  current: Waiting | undefined
}

/** One core is left to the event loop. */
export const hashThreads = Math.max(1, Math.min(4, availableParallelism() - 1))

/** Threads start when they are first needed, and keep the process alive only while they compute. */
export const createHashPool = ({
  threads = hashThreads,
  maxWaiting = 200,
}: {
  readonly threads?: number
  readonly maxWaiting?: number
} = {}): HashPool => {
  const pool: Thread[] = []
  const waiting: Waiting[] = []

  const startThread = (): Thread => {
    const worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { name: 'hash' })
    const thread: Thread = { worker, current: undefined }
    worker.unref()
    worker.on('message', (result: HashResult) => {
      const done = thread.current
      thread.current = undefined
      worker.unref()
      done?.resolve(result)
      next(thread)
    })
    // A thread that died (out of memory) takes its one job with it; the next job starts another.
    const gone = (error?: Error) => {
      const index = pool.indexOf(thread)
      if (index < 0) return
      pool.splice(index, 1)
      thread.current?.reject(new AuthError('unavailable', 'the password could not be checked', { cause: error }))
      if (waiting.length > 0) next(startThread())
    }
    worker.on('error', gone)
    worker.on('exit', () => gone())
    pool.push(thread)
    return thread
  }

  const next = (thread: Thread) => {
    const first = waiting.shift()
    if (first === undefined) return
    thread.current = first
    thread.worker.ref()
    thread.worker.postMessage(first.job)
  }

  const run = (job: HashJob): Promise<HashResult> =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxWaiting) {
        reject(new AuthError('unavailable', 'too many logins at once; try again soon'))
        return
      }
      // A copy: the thread wipes it.
      waiting.push({ job: { ...job, password: Uint8Array.from(job.password) }, resolve, reject })
      const idle = pool.find(({ current }) => current === undefined)
      if (idle !== undefined) next(idle)
      else if (pool.length < threads) next(startThread())
    })

  const failed = (result: HashResult) =>
    new AuthError('unavailable', 'the password could not be checked', {
      cause: new Error('failure' in result ? result.failure : 'unexpected answer of a hash thread'),
    })

  return {
    verify: async (password, verifier) => {
      const result = await run({ password, verifier })
      if (!('matches' in result)) throw failed(result)
      return result.matches
    },
    make: async (password) => {
      const result = await run({ password })
      if (!('verifiers' in result)) throw failed(result)
      return result.verifiers
    },
    scram: async (password, scram) => {
      const result = await run({ password, scram })
      if (!('keys' in result)) throw failed(result)
      if (result.keys === undefined) return undefined
      const [storedKey, serverKey] = result.keys
      return {
        ...scram,
        salt: Buffer.from(scram.salt),
        storedKey: Buffer.from(storedKey),
        serverKey: Buffer.from(serverKey),
      }
    },
  }
}
