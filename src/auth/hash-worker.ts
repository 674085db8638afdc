/** A thread of the hash pool: computes one job after the other. */
import { parentPort } from 'node:worker_threads'
import type { HashJob, HashResult } from './hash-pool.ts'
import { makeVerifiers, verifyPassword } from './verifier.ts'

const compute = (job: HashJob): HashResult => {
  try {
    return job.verifier === undefined
      ? { verifiers: makeVerifiers(job.password) }
      : { matches: verifyPassword(job.password, job.verifier) }
  } catch (error) {
    return { failure: (error as Error).message }
  } finally {
    job.password.fill(0)
  }
}

parentPort?.on('message', (job: HashJob) => {
  parentPort?.postMessage(compute(job))
})
