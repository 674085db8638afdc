/** Short forms of what `npm run prove:store` does at length, by the same code. */

import { describe, expect, it } from 'vitest'
import { crashStates } from './crash-states.ts'
import { everySchedule } from './every-schedule.ts'
import { failingCalls } from './failing-calls.ts'
import { fileChecks } from './files.ts'
import { endings, longHistory, pairs, shortHistories } from './interleavings.ts'
import { type Job, sample } from './jobs.ts'
import { Ledger } from './ledger.ts'
import { occurrences, planted, tryPlanted } from './planted.ts'
import { interleave } from './schedule.ts'
import { delivers, expunges, flags, namesOn, preparedDisk, works } from './steps.ts'
import { inOneTurn } from './turns.ts'

const seed = 7
/** They take seconds, unless the machine has other things to do. */
const timeoutMs = 240_000

async function casesOf(jobs: readonly Job[]): Promise<number> {
  let cases = 0
  for (const job of jobs) {
    const result = await job.run(seed)
    expect(result.faults, job.name).toEqual([])
    cases += result.cases
  }
  return cases
}

describe('proofs of the store', { timeout: timeoutMs }, () => {
  it('the file system does what it is asked for, or fails', async () => {
    expect(await casesOf(fileChecks)).toBe(12)
  })

  it('no state that a power cut can leave at any call loses what was acknowledged', async () => {
    expect(await casesOf(crashStates(0.03))).toBeGreaterThan(50)
  })

  it('a call that fails, or that lies, fails an operation as a whole or not at all', async () => {
    expect(await casesOf(failingCalls(0.03))).toBeGreaterThan(300)
  })

  it('random histories can end at every call', async () => {
    expect(await casesOf(endings(8))).toBeGreaterThan(300)
  })

  it('short histories keep the invariants with every schedule', async () => {
    expect(await casesOf(pairs())).toBeGreaterThan(400)
    expect(await casesOf([...sample(shortHistories(0.02), 0.03), longHistory(seed, 0)])).toBeGreaterThan(20)
  })
})

describe('the reduction of schedules', { timeout: timeoutMs }, () => {
  /** What a history comes to: the messages with their flags, in the words of all schedules. */
  async function outcomes(reduced: boolean) {
    const found = new Set<string>()
    let counted = 0
    await inOneTurn(async () => {
      const disk = await preparedDisk()
      const history = [[flags(1)], [expunges(1)]]
      const { complete, orders } = await everySchedule(
        history.length,
        namesOn(disk),
        100_000,
        async (choose) => {
          const copy = disk.clone()
          const ledger = new Ledger()
          if (!(await interleave({ disk: copy, works: history.map(works), ledger }, choose))) return 'repeats'
          const told = [...ledger.expunged, ...ledger.flagged].map(([key, value]) => [
            key.replace(/^[0-9a-f]+/, ''),
            value instanceof Set ? [...value] : value,
          ])
          found.add(JSON.stringify(told))
          return 'ended'
        },
        reduced,
      )
      expect(complete).toBe(true)
      counted = orders
    })
    return { found, counted }
  }

  it('leaves out no outcome, and counts all orders', async () => {
    const all = await outcomes(false)
    expect(all.found.size).toBeGreaterThan(1)
    expect(await outcomes(true)).toEqual(all)
  })

  it('tries two deliveries in the two orders that differ', async () => {
    await inOneTurn(async () => {
      const disk = await preparedDisk()
      const history = [[delivers('a')], [delivers('b')]]
      const counted = await everySchedule(2, namesOn(disk), 100, async (choose) => {
        const whole = await interleave({ disk: disk.clone(), works: history.map(works), ledger: new Ledger() }, choose)
        return whole ? 'ended' : 'repeats'
      })
      expect(counted).toMatchObject({ histories: 2, repeated: 0, complete: true })
    })
  })
})

describe('planted bugs', { timeout: timeoutMs }, () => {
  it('are about lines that are there', () => {
    expect(planted.filter((bug) => occurrences(bug) !== 1).map(({ name }) => name)).toEqual([])
  })

  const quick = ['a short write is taken for a whole one', 'acknowledged before it is committed']
  it.each(planted.filter(({ name }) => quick.includes(name)))('$name: the proofs go red', async (bug) => {
    expect(await tryPlanted(bug)).toBeDefined()
  })
})
