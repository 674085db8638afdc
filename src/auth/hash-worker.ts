/** A thread of the hash pool: computes one job after the other. */
import { parentPort } from 'node:worker_threads'
import type { HashJob, HashResult, ScramSalt } from './hash-pool.ts'
import { saslPrep } from './saslprep.ts'
import { makeVerifiers, scramKeys, verifyPassword } from './verifier.ts'

const scramKeysOf = (password: Uint8Array, { hash, salt, iterations }: ScramSalt) => {
  const prepared = saslPrep(password)
  if (prepared === undefined) return undefined
  const { storedKey, serverKey } = scramKeys(hash, prepared, Buffer.from(salt), iterations)
  prepared.fill(0)
  return [storedKey, serverKey] as const
}

const compute = (job: HashJob): HashResult => {
  try {
    if (job.scram !== undefined) return { keys: scramKeysOf(job.password, job.scram) }
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
