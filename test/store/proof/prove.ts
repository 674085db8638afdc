/**
 * The proofs of the store, as a table: `npm run prove:store -- [--seed n] [--scale x] [--only text]`.
 *
 * `--scale` is the share of the whole (1): 0.01 takes a minute. `--only` leaves out the jobs whose proof and name don't contain the text. A
 * violation tells the job; with the same seed it comes again, with its order of calls.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { systemClock } from '#src/base/clock.ts'
import { campaign } from '../campaign/campaign.ts'
import { crashStates } from './crash-states.ts'
import { failingCalls } from './failing-calls.ts'
import { fileChecks } from './files.ts'
import { endings, longHistory, shortHistories } from './interleavings.ts'
import type { Job, Result } from './jobs.ts'
import { planted, tryPlanted } from './planted.ts'

/** Of a whole proof. */
const interleavingsWanted = 1_000_000
const endingsWanted = 4_000
const killsWanted = 10_000

interface Options {
  readonly seed: number
  readonly scale: number
  readonly only: string
}

/** All jobs that are known before the first one ran; the same in every process. */
export function jobsOf({ scale, only }: Options): readonly Job[] {
  const jobs = [
    ...fileChecks,
    ...failingCalls(Math.min(1, scale * 10)),
    ...crashStates(Math.min(1, scale * 5)),
    ...endings(Math.ceil(endingsWanted * Math.min(1, scale * 3))),
    ...shortHistories(Math.min(1, scale)),
  ]
  return jobs.filter(({ proof, name }) => proof.includes(only) || name.includes(only))
}

/** A job: by its number among all, or, beyond them, as one more long history. */
function jobAt(jobs: readonly Job[], { seed }: Options, index: number): Job {
  return jobs[index] ?? longHistory(seed, index - jobs.length)
}

class Table {
  readonly rows = new Map<string, { cases: number; busyMs: number; faults: number; details: Record<string, number> }>()
  readonly faults: string[] = []

  add(proof: string, result: Result, busyMs: number): void {
    let row = this.rows.get(proof)
    if (row === undefined) {
      row = { cases: 0, busyMs: 0, faults: 0, details: {} }
      this.rows.set(proof, row)
    }
    row.cases += result.cases
    row.busyMs += busyMs
    row.faults += result.faults.length
    for (const [name, count] of Object.entries(result.details)) row.details[name] = (row.details[name] ?? 0) + count
    this.faults.push(...result.faults.map((fault) => `${proof}: ${fault}`))
  }

  cases(proof: string): number {
    return this.rows.get(proof)?.cases ?? 0
  }

  toString(): string {
    const lines = [['proof', 'cases', 'violations', 'cases per CPU second', 'of which']]
    for (const [proof, { cases, busyMs, faults, details }] of this.rows)
      lines.push([
        proof,
        String(cases),
        String(faults),
        busyMs === 0 ? '' : String(Math.round((cases / busyMs) * 1000)),
        Object.entries(details)
          .map(([name, count]) => `${name} ${count}`)
          .join(', '),
      ])
    const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
    return lines
      .map((line) =>
        line
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd(),
      )
      .join('\n')
  }
}

interface Answer {
  readonly index: number
  readonly proof: string
  readonly result: Result
  readonly busyMs: number
}

/** The work of a child process: jobs by number, one after another. */
function serve(options: Options): void {
  const jobs = jobsOf(options)
  process.on('message', (index: number) => {
    const job = jobAt(jobs, options, index)
    const began = process.cpuUsage()
    job
      .run(options.seed)
      .catch((error: unknown): Result => ({ cases: 1, details: {}, faults: [`${job.name}: ${String(error)}`] }))
      .then((result) => {
        const { user, system } = process.cpuUsage(began)
        process.send!({ index, proof: job.proof, result, busyMs: (user + system) / 1000 } satisfies Answer)
      })
  })
}

/** Gives the jobs to as many processes as there are cores, and takes more long histories until enough interleavings were seen. */
async function runAll(options: Options, table: Table, args: readonly string[]): Promise<void> {
  const jobs = jobsOf(options)
  const wanted = 'interleavings'.includes(options.only) ? interleavingsWanted * options.scale : 0
  const began = systemClock.monotonic()
  let next = 0
  let done = 0
  const progress = () => {
    const seconds = (systemClock.monotonic() - began) / 1000
    const seen = table.cases('interleavings')
    const share = Math.min(
      done / Math.max(1, jobs.length),
      wanted === 0 ? 1 : (0.3 * done) / jobs.length + (0.7 * seen) / wanted,
    )
    const left = share > 0.01 ? `${Math.ceil((seconds / share - seconds) / 60)} min left` : ''
    process.stderr.write(
      `\r${done} of ${jobs.length} jobs, ${seen} of ${wanted} interleavings, ${table.faults.length} violations, ${left}   `,
    )
  }
  const child = async (worker: ChildProcess) => {
    while (table.faults.length === 0 && (next < jobs.length || table.cases('interleavings') < wanted)) {
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
      progress()
    }
    worker.kill()
  }
  const workers = Array.from({ length: availableParallelism() }, () =>
    fork(import.meta.filename, ['--serve', ...args], { serialization: 'advanced' }),
  )
  await Promise.all(workers.map(child))
  process.stderr.write('\n')
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      serve: { type: 'boolean', default: false },
      'no-kills': { type: 'boolean', default: false },
      'no-planted': { type: 'boolean', default: false },
    },
  })
  const options = { seed: Number(values.seed), scale: Number(values.scale), only: values.only }
  if (values.serve) return serve(options)
  const args = [`--seed=${options.seed}`, `--scale=${options.scale}`, `--only=${options.only}`]
  const table = new Table()
  await runAll(options, table, args)
  if (!values['no-kills'] && 'kills'.includes(options.only)) {
    const began = systemClock.monotonic()
    const kills = Math.ceil(killsWanted * options.scale)
    const { faults, delivered, messages } = await campaign(kills, 4)
    const result = { cases: kills, details: { delivered, messages }, faults }
    table.add('kills', result, systemClock.monotonic() - began)
  }
  console.log(`seed ${options.seed}, scale ${options.scale}\n${table}`)
  for (const fault of table.faults) console.log(`\nviolation of ${fault}`)
  let caught = true
  if (!values['no-planted'] && 'planted'.includes(options.only)) {
    console.log('\nplanted bugs')
    for (const bug of planted) {
      const by = await tryPlanted(bug)
      caught &&= by !== undefined
      console.log(`  ${bug.name.padEnd(60)} ${by ?? 'NOT CAUGHT'}`)
    }
  }
  if (table.faults.length > 0 || !caught) process.exitCode = 1
}

if (import.meta.main) await main()
