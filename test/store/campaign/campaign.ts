/**
 * Real processes on one directory, killed at random; afterwards the invariants of mdir are checked against what they were told.
 * The long form: node test/store/campaign/campaign.ts [kills] [processes] [messages in each mailbox] [share of lies]
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { check } from './check.ts'
import { fill } from './fill.ts'
import { Ledger } from './ledger.ts'
import { startWorker } from './start-worker.ts'

export interface CampaignOptions {
  /** That INBOX and Archive hold from the beginning, each. */
  readonly messages?: number
  /** Of the links and renames that succeed and are said to have failed. */
  readonly lies?: number
  /** Ends it before all kills. */
  readonly signal?: AbortSignal
  /** Called now and then. */
  readonly progress?: (kills: number, ledger: Ledger) => void
}

export interface Report {
  readonly kills: number
  readonly operations: number
  readonly delivered: number
  /** There at the end. */
  readonly messages: number
  readonly seconds: number
  readonly steps: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  /** Steps that were under way when their process was killed. */
  readonly under: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

/** A worker is killed after so many pieces of news at most, some three a step, and this time. */
const mostNews = 60
const lifeMs = 20

export async function campaign(
  kills: number,
  processes: number,
  { messages = 200, lies = 0, signal, progress }: CampaignOptions = {},
): Promise<Report> {
  const root = mkdtempSync(join(tmpdir(), 'wherry-campaign-'))
  const ledger = new Ledger()
  const under = new Map<string, number>()
  try {
    await fill(root, messages, ledger)
    const began = performance.now()
    let [left, done] = [kills, 0]
    await Promise.all(
      Array.from({ length: processes }, async (_, index) => {
        while (left > 0 && ledger.faults.length === 0 && signal?.aborted !== true) {
          left -= 1
          const { child, told, ended } = startWorker({ root, name: `worker-${index}`, ledger, messages, lies })
          // Any moment in the middle of its work will do, however fast the machine is; also before its first word.
          await told(Math.floor(Math.random() * mostNews))
          await systemClock.sleep(Math.random() * lifeMs)
          child.kill('SIGKILL')
          for (const step of await ended) under.set(step, 1 + (under.get(step) ?? 0))
          done += 1
          progress?.(done, ledger)
        }
      }),
    )
    const seconds = (performance.now() - began) / 1000
    await using store = openStore({ root, clock: systemClock, log: silentLog })
    const present = await check(store.account('lena@example.com' as UserId), ledger)
    return {
      kills: done,
      operations: [...ledger.steps.values()].reduce((sum, count) => sum + count, 0),
      delivered: ledger.delivered,
      messages: present,
      seconds,
      steps: Object.fromEntries(ledger.steps),
      refused: Object.fromEntries(ledger.refused),
      under: Object.fromEntries(under),
      faults: ledger.faults,
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const [kills = 300, processes = 4, messages = 50_000, lies = 0] = process.argv.slice(2).map(Number)
  const began = performance.now()
  let shown = began
  const report = await campaign(kills, processes, {
    messages,
    lies,
    progress(done, ledger) {
      const now = performance.now()
      if (now - shown < 10_000) return
      shown = now
      const left = Math.round(((now - began) / done / 1000) * (kills - done))
      console.log(
        `${done} of ${kills} kills, ${ledger.delivered} delivered, ${ledger.faults.length} violations; ${left} s to go`,
      )
    },
  })
  console.log(report)
  const perHour = Math.round((report.kills / report.seconds) * 3600)
  console.log(
    `${report.kills} kills (${perHour} an hour), ${report.operations} operations, ${report.faults.length} violations`,
  )
  if (report.faults.length > 0) process.exitCode = 1
}
