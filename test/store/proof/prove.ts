/**
 * The proofs of the store, as a table: `npm run prove:store -- [--seed n] [--scale x] [--only text] [--minutes n] [--no-kills] [--no-planted] [--json]`.
 *
 * `--scale` is the share of the whole (1): 0.01 takes a minute. After `--minutes`, or at SIGINT, it ends with what it has tried (but for the planted bugs). `--only` leaves out the jobs whose proof and name don't contain the text. A
 * violation tells the job; with the same seed it comes again, with its order of calls. Exit code 1: a violation, or a planted bug that was not caught.
 */

import { systemClock } from '#src/base/clock.ts'
import { programArgs } from '#test/support/program-args.ts'
import { campaign } from '../campaign/campaign.ts'
import { crashStates } from './crash-states.ts'
import { failingCalls } from './failing-calls.ts'
import { fileChecks } from './files.ts'
import { endings, shortHistories } from './interleavings.ts'
import type { Job, Result } from './jobs.ts'
import { occurrences, planted, tryPlanted } from './planted.ts'
import { runJobs, serve } from './pool.ts'
import { aligned, Table } from './table.ts'

/** Of a whole proof. */
const interleavingsWanted = 1_000_000
const endingsWanted = 4_000
const killsWanted = 10_000
/** Processes that are killed work at the same time, on mailboxes of so many messages; of so many kills, the rest on small ones. */
const killedAtOnce = 4
const largeMessages = 50_000
const killsAtLarge = 500

interface Options {
  readonly seed: number
  readonly scale: number
  readonly only: string
}

/** All jobs that are known before the first one ran; the same in every process. */
function jobsOf({ scale, only }: Options): readonly Job[] {
  const jobs = [
    ...fileChecks,
    ...crashStates(Math.min(1, scale * 50)),
    ...failingCalls(Math.min(1, scale * 10)),
    // A proof that is ended early has tried some of both.
    ...evenly(endings(Math.ceil(endingsWanted * Math.min(1, scale * 3))), shortHistories(Math.min(1, scale))),
  ]
  return jobs.filter(({ proof, name }) => proof.includes(only) || name.includes(only))
}

function evenly<T>(some: readonly T[], others: readonly T[]): readonly T[] {
  const placed = [some, others].flatMap((items) => items.map((item, index) => ({ item, at: index / items.length })))
  return placed.sort((a, b) => a.at - b.at).map(({ item }) => item)
}

/** A terminal is told every second, a file every minute. */
const tellMs = process.stderr.isTTY ? 1000 : 60_000

/** Says on one line how far everything is, and how long the slowest of it will take. */
class Progress {
  private toldMs = 0
  private readonly began = systemClock.monotonic()
  private readonly parts = new Map<string, { readonly text: string; readonly share: number }>()

  tell(part: string, text: string, share: number): void {
    this.parts.set(part, { text, share })
    const now = systemClock.monotonic()
    if (now - this.toldMs < tellMs) return
    this.toldMs = now
    const seconds = (now - this.began) / 1000
    const least = Math.min(...Array.from(this.parts.values(), (one) => one.share))
    const left = least > 0.005 ? `, ${Math.ceil((seconds / least - seconds) / 60)} min left` : ''
    const texts = Array.from(this.parts.values(), (one) => one.text)
    const line = `${texts.join('; ')}${left}`
    process.stderr.write(process.stderr.isTTY ? `\r${line}   ` : `${line}\n`)
  }
}

interface Proving {
  readonly table: Table
  readonly progress: Progress
  readonly signal: AbortSignal
}

async function proveByJobs(
  options: Options,
  args: readonly string[],
  { table, progress, signal }: Proving,
): Promise<void> {
  const jobs = jobsOf(options).length
  const interleavings = 'interleavings'.includes(options.only) ? interleavingsWanted * options.scale : 0
  await runJobs(import.meta.filename, args, {
    jobs,
    interleavings,
    table,
    signal,
    progress: (done) => {
      const seen = table.cases('interleavings')
      const share = Math.min(done / jobs, interleavings === 0 ? 1 : (0.2 * done) / jobs + (0.8 * seen) / interleavings)
      const violations = `${table.faults.length} violations`
      progress.tell(
        'jobs',
        `${Math.min(done, jobs)} of ${jobs} jobs, ${seen} of ${interleavings} interleavings, ${violations}`,
        share,
      )
    },
  })
}

async function proveByKills(scale: number, { table, progress, signal }: Proving): Promise<void> {
  const kills = Math.ceil(killsWanted * scale)
  const atLarge = scale < 1 ? 0 : killsAtLarge
  const tell = (done: number) => progress.tell('kills', `${done} of ${kills} kills`, done / kills)
  const parts = [
    { count: kills - atLarge, messages: 200 },
    { count: atLarge, messages: largeMessages },
  ]
  let before = 0
  for (const { count, messages } of parts) {
    if (count === 0 || table.faults.length > 0 || signal.aborted) continue
    const began = systemClock.monotonic()
    const report = await campaign(count, killedAtOnce, {
      messages,
      signal,
      progress: (done) => tell(before + done),
    })
    before += count
    table.add('kills', killsOf(report, messages), systemClock.monotonic() - began)
  }
}

function killsOf(report: Awaited<ReturnType<typeof campaign>>, messages: number): Result {
  const { kills, faults, delivered, operations, under } = report
  const details: Record<string, number> = { 'acknowledged steps': operations, delivered }
  if (messages === largeMessages) details[`on mailboxes of ${messages}`] = kills
  for (const [step, count] of Object.entries(under)) details[`during ${step}`] = count
  return { cases: kills, details, faults }
}

interface Tried {
  readonly bug: string
  readonly breaks: string
  /** undefined: by nothing. */
  readonly caughtBy: string | undefined
}

async function provePlanted(progress: Progress): Promise<readonly Tried[]> {
  const old = planted.filter((bug) => occurrences(bug) !== 1)
  if (old.length > 0) throw new Error(`planted bugs are out of date: ${old.map(({ name }) => name).join(', ')}`)
  const tried: Tried[] = []
  for (const bug of planted) {
    progress.tell('planted', `${tried.length} of ${planted.length} planted bugs`, tried.length / planted.length)
    tried.push({ bug: bug.name, breaks: bug.breaks, caughtBy: await tryPlanted(bug) })
  }
  return tried
}

async function main(): Promise<void> {
  const { values } = programArgs({
    options: {
      seed: { type: 'string', default: '1' },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      minutes: { type: 'string', default: '10000' },
      serve: { type: 'boolean', default: false },
      'no-kills': { type: 'boolean', default: false },
      'no-planted': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const options = { seed: Number(values.seed), scale: Number(values.scale), only: values.only }
  if (values.serve) return serve(jobsOf(options), options.seed)
  const args = [`--seed=${options.seed}`, `--scale=${options.scale}`, `--only=${options.only}`]
  const table = new Table()
  const began = systemClock.monotonic()
  const ending = new AbortController()
  process.once('SIGINT', () => ending.abort())
  const timeout = setTimeout(() => ending.abort(), Number(values.minutes) * 60_000)
  const proving = { table, progress: new Progress(), signal: ending.signal }
  const kills = !values['no-kills'] && 'kills'.includes(options.only)
  await Promise.all([proveByJobs(options, args, proving), ...(kills ? [proveByKills(options.scale, proving)] : [])])
  clearTimeout(timeout)
  const minutes = () => Math.round((systemClock.monotonic() - began) / 6000) / 10
  if (!values.json) {
    console.log(`seed ${options.seed}, scale ${options.scale}, ${minutes()} minutes\n${table}`)
    for (const fault of table.faults) console.log(`\nviolation of ${fault}`)
  }
  const tried = !values['no-planted'] && 'planted'.includes(options.only) ? await provePlanted(new Progress()) : []
  const caught = tried.filter(({ caughtBy }) => caughtBy !== undefined).length
  if (values.json)
    console.log(JSON.stringify({ ...options, minutes: minutes(), ...table.toJSON(), planted: tried }, null, 2))
  else if (tried.length > 0) {
    const rows = tried.map(({ bug, breaks, caughtBy }) => [bug, breaks, caughtBy ?? 'NOT CAUGHT'])
    console.log(`\n${aligned([['planted bug', 'what it breaks', 'caught by'], ...rows])}`)
    console.log(`\n${caught} of ${tried.length} planted bugs caught; ${minutes()} minutes in all`)
  }
  if (table.faults.length > 0 || caught < tried.length) process.exitCode = 1
}

if (import.meta.main) await main()
