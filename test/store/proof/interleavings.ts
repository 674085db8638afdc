/** Every order in which two or three processes can do something, and random ones with an end of everything at every step. */

import type { StoreOptions } from '#src/store/store.ts'
import type { MemoryDisk } from '../disk.ts'
import { everySchedule } from './every-schedule.ts'
import { below, chances, type Job, type Result, sample } from './jobs.ts'
import { Ledger } from './ledger.ts'
import { type Choose, interleave, type Waiting } from './schedule.ts'
import * as steps from './steps.ts'
import { breathe, inOneTurn } from './turns.ts'

const tree = ['a/b', 'x']
const inInbox: readonly steps.Step[] = [
  steps.delivers('new'),
  steps.delivers('same', 'o-1'),
  steps.delivers('m1', 'o-m1'),
  steps.handsOver,
  steps.expunges(1, 2),
  steps.expunges(2),
  steps.undeletes,
  steps.flags(1),
  steps.flagsUnchanged(1),
  steps.claimsRecent,
  steps.takesGivenUids,
  steps.refreshes,
  steps.opensAnew,
]
const inAccount: readonly steps.Step[] = [
  steps.copies(1, 'a/b'),
  steps.moves(2, 'a/b'),
  steps.delivers('new', undefined, 'a/b'),
  steps.delivers('new', undefined, 'x'),
  steps.creates('n'),
  steps.removes('x'),
  steps.renames('a', 'z'),
  steps.subscribes,
  steps.puts,
]
const all = [...inInbox, ...inAccount]

type History = readonly (readonly steps.Step[])[]

const nameOf = (history: History) => history.map((one) => one.map((step) => step.name).join(', then ')).join(' | ')

const disks = new Map<boolean, Promise<MemoryDisk>>()
function diskFor(history: History): Promise<MemoryDisk> {
  const needsTree = history.flat().some((step) => inAccount.includes(step))
  let disk = disks.get(needsTree)
  if (disk === undefined) {
    disk = steps.preparedDisk(needsTree ? tree : [])
    disks.set(needsTree, disk)
  }
  return disk
}

/** The calls of a history. */
class Trace {
  private readonly calls: Waiting[] = []
  follow(choose: Choose): Choose {
    return (waiting) => {
      const next = choose(waiting)
      if (next !== undefined) this.calls.push(waiting[next]!)
      return next
    }
  }
  toString(): string {
    return this.calls
      .map(({ actor, call: { operation, path, from } }) => `    ${actor}: ${operation} ${from ?? ''} ${path}`)
      .join('\n')
  }
}

/** `limit`: schedules after which a history is left. */
function exhaustive(proof: string, history: History, limit: number, store: Partial<StoreOptions> = {}): Job {
  const name = nameOf(history)
  return { proof, name, run: () => inOneTurn(() => runEvery(name, history, limit, store)) }
}

async function runEvery(name: string, history: History, limit: number, store: Partial<StoreOptions>): Promise<Result> {
  const disk = await diskFor(history)
  const faults: string[] = []
  const { histories, orders, repeated, complete } = await everySchedule(
    history.length,
    steps.namesOn(disk),
    limit,
    async (choose) => {
      const copy = disk.clone()
      const ledger = new Ledger()
      const trace = new Trace()
      const found = await ends(async () => {
        if (!(await interleave({ disk: copy, works: history.map(steps.works), ledger, store }, trace.follow(choose))))
          return undefined
        return await ledger.check(copy, store)
      })
      if (found === undefined) return 'repeats'
      if (found.length === 0) return 'ended'
      faults.push(`${name}\n  ${found.join('\n  ')}\n  in this order:\n${trace}`)
      return 'stop'
    },
  )
  await breathe()
  return { cases: histories, details: { orders, repeated, ...(complete ? { exhausted: 1 } : { sampled: 1 }) }, faults }
}

/** What fails is a violation as well. */
async function ends(work: () => Promise<readonly string[] | undefined>): Promise<readonly string[] | undefined> {
  try {
    return await work()
  } catch (error) {
    return [String(error)]
  }
}

/** Random steps in a random order of calls; the processes or the machine end before every call, and what is left is checked. */
function ending(index: number): Job {
  const name = `history ${index}`
  return { proof: 'ends', name, run: (seed) => inOneTurn(() => runEnding(name, chances(seed, name))) }
}

function mixed(chance: () => number): History {
  const choice = chance() < 0.5 ? inInbox : all
  return Array.from({ length: 2 + below(chance, 2) }, () =>
    Array.from({ length: 1 + below(chance, 4) }, () => choice[below(chance, choice.length)]!),
  )
}

/** One process changes INBOX and another one looks: what it sees may not be durable yet. */
function watched(chance: () => number): History {
  const look = () => (chance() < 0.7 ? steps.refreshes : steps.opensAnew)
  return [[inInbox[below(chance, inInbox.length)]!], [look(), look(), look()]]
}

async function runEnding(name: string, chance: () => number): Promise<Result> {
  const history = chance() < 0.4 ? watched(chance) : mixed(chance)
  const store = { epochEntries: [1, 2, 256][below(chance, 3)]! }
  const disk = (await diskFor(history)).clone()
  const ledger = new Ledger()
  const trace = new Trace()
  const faults: string[] = []
  let cases = 0
  /** One process may die alone, at some call. */
  const dies = chance() < 0.3 ? { actor: below(chance, history.length), at: below(chance, 60) } : undefined
  const before: { readonly disk: MemoryDisk; readonly ledger: Ledger; readonly step: number }[] = []
  const choose = (waiting: readonly Waiting[]) => {
    before.push({ disk: disk.clone(), ledger: ledger.clone(), step: before.length })
    const alive = waiting.flatMap(({ actor }, index) =>
      dies !== undefined && actor === dies.actor && before.length > dies.at ? [] : [index],
    )
    return alive[below(chance, alive.length)]
  }
  const fail = (where: string, found: readonly string[]) => {
    if (found.length > 0)
      faults.push(
        `${name}, ${where}, epochs of ${store.epochEntries}: ${nameOf(history)}\n  ${found.join('\n  ')}\n  in this order:\n${trace}`,
      )
  }
  const end = await ends(async () => {
    const whole = await interleave({ disk, works: history.map(steps.works), ledger, store }, trace.follow(choose))
    cases += 1
    return whole ? await ledger.check(disk, store) : []
  })
  fail('at its end', end ?? [])
  for (const at of before) {
    if (faults.length > 0) break
    const dark = at.disk.clone()
    fail(`the processes end before call ${at.step}`, (await ends(() => at.ledger.check(at.disk, store))) ?? [])
    const keeping = chance()
    dark.cutPower(() => (keeping < 0.2 ? 0.99 : keeping < 0.3 ? 0 : chance()))
    fail(`the power is cut before call ${at.step}`, (await ends(() => at.ledger.check(dark, store))) ?? [])
    cases += 2
  }
  await breathe()
  return { cases, details: { histories: 1 }, faults }
}

function* sequences(of: readonly steps.Step[], length: number): Iterable<readonly steps.Step[]> {
  if (length === 0) yield []
  else for (const first of of) for (const rest of sequences(of, length - 1)) yield [first, ...rest]
}

/** All multisets of `count` of these. */
function* together<T>(of: readonly T[], count: number, from = 0): Iterable<readonly T[]> {
  if (count === 0) yield []
  else
    for (let at = from; at < of.length; at += 1)
      for (const rest of together(of, count - 1, at)) yield [of[at]!, ...rest]
}

/** Schedules of one history, of those that have very many. */
const manySchedules = 1000

/** Every schedule of every two steps by two processes. */
export function pairs(): Job[] {
  const histories = [...together([...sequences(all, 1)], 2)]
  return histories.map((history) => exhaustive('interleavings', history, 2 * manySchedules))
}

/** Every schedule of short histories. `share`: of the longer ones, 0 to 1. */
export function shortHistories(share: number): Job[] {
  const triples = [...together([...sequences(all, 1)], 3)]
  const longer = [...together([...sequences(inInbox, 2)], 2)]
  const cut = [
    ...together([...sequences([inInbox[0]!, inInbox[1]!, inInbox[3]!, steps.flags(1), steps.takesGivenUids], 2)], 2),
  ]
  return [
    ...pairs(),
    ...sample(triples, share).map((history) => exhaustive('interleavings', history, manySchedules)),
    ...sample(longer, share).map((history) => exhaustive('interleavings', history, manySchedules)),
    ...sample(cut, share).map((history) => exhaustive('interleavings', history, manySchedules, { epochEntries: 2 })),
  ]
}

/** Every schedule, up to a number of them, of histories chosen by the seed: as many jobs as anybody wants. */
export function longHistory(seed: number, index: number): Job {
  const chance = chances(seed, `long ${index}`)
  const of = chance() < 0.6 ? inInbox : all
  const history = Array.from({ length: 2 + below(chance, 2) }, () =>
    Array.from({ length: 2 + below(chance, 2) }, () => of[below(chance, of.length)]!),
  )
  return exhaustive('interleavings', history, manySchedules, chance() < 0.3 ? { epochEntries: 2 } : {})
}

export function endings(count: number): Job[] {
  return Array.from({ length: count }, (_, index) => ending(index))
}
