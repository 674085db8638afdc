/** Parses ms_sync.xml in a thread of its own: with some thousand users it takes longer than a service may be deaf. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { ConfigError, type Finding } from './finding.ts'
import { type ParsedUserDatabase, parseUserDatabase } from './ms-sync.ts'

type Outcome = { readonly parsed: ParsedUserDatabase } | { readonly findings: readonly Finding[] }

/** As `parseUserDatabase`. */
export const parseInThread = (octets: Buffer, file: string): Promise<ParsedUserDatabase> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { octets, file } })
    worker.on('message', (outcome: Outcome) => {
      if ('parsed' in outcome) resolve(outcome.parsed)
      else reject(new ConfigError(outcome.findings))
    })
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error('the thread that reads ms_sync.xml ended')))
  })

const outcomeOf = (octets: Uint8Array, file: string): Outcome => {
  try {
    return { parsed: parseUserDatabase(Buffer.from(octets), file) }
  } catch (error) {
    if (error instanceof ConfigError) return { findings: error.findings }
    throw error
  }
}

if (!isMainThread && workerData?.octets instanceof Uint8Array && typeof workerData.file === 'string')
  parentPort?.postMessage(outcomeOf(workerData.octets, workerData.file))
