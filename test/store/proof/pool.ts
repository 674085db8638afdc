/** The jobs of the proofs, given to as many processes as there are cores. */

import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { longHistory } from './interleavings.ts'
import type { Job, Result } from './jobs.ts'
import type { Table } from './table.ts'

interface Answer {
  readonly proof: string
  readonly result: Result
  readonly busyMs: number
}

/** A job: by its number among all, or, beyond them, as one more long history. */
function jobAt(jobs: readonly Job[], seed: number, index: number): Job {
  return jobs[index] ?? longHistory(seed, index - jobs.length)
}

/** The work of a child process: jobs by number, one after another. */
export function serve(jobs: readonly Job[], seed: number): void {
  process.on('disconnect', () => process.exit())
  // Meant for the parent, which still wants the answer.
  process.on('SIGINT', () => {})
  process.on('message', (index: number) => {
    const job = jobAt(jobs, seed, index)
    const began = process.cpuUsage()
    job
      .run(seed)
      .catch((error: unknown): Result => ({ cases: 1, details: {}, faults: [`${job.name}: ${String(error)}`] }))
      .then((result) => {
        const { user, system } = process.cpuUsage(began)
        process.send!({ proof: job.proof, result, busyMs: (user + system) / 1000 } satisfies Answer)
      })
  })
}

export interface Pool {
  readonly jobs: number
  /** Long histories follow the jobs until there were so many interleavings. */
  readonly interleavings: number
  readonly table: Table
  /** Ends it before all jobs. */
  readonly signal: AbortSignal
  /** `done`: of the jobs and those histories. */
  readonly progress: (done: number) => void
}

/** Runs this program in several processes with `--serve` and these arguments; ends at the first violation. */
export async function runJobs(program: string, args: readonly string[], pool: Pool): Promise<void> {
  const { table, interleavings, signal, progress } = pool
  let next = 0
  let done = 0
  const give = async (worker: ChildProcess) => {
    const isDone = () => signal.aborted || table.faults.length > 0
    while (!isDone() && (next < pool.jobs || table.cases('interleavings') < interleavings)) {
      worker.send(next)
      next += 1
      const answer = await new Promise<Answer | undefined>((resolve) => {
        worker.once('message', (message: Answer) => resolve(message))
        worker.once('exit', () => resolve(undefined))
      })
      worker.removeAllListeners()
      if (answer === undefined) {
        table.faults.push('a process of the proof ended')
        return
      }
      done += 1
      table.add(answer.proof, answer.result, answer.busyMs)
      progress(done)
    }
    worker.kill()
  }
  const workers = Array.from({ length: availableParallelism() }, () =>
    fork(program, ['--serve', ...args], { serialization: 'advanced' }),
  )
  await Promise.all(workers.map(give))
}
