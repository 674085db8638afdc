/**
 * Every state that a crash of the machine can leave at any call of an operation: each change of directories that is not synced is kept or
 * lost, each file that is not synced has any part of its octets, or zeros in their place. Each state is opened and must be one of those that the
 * acknowledged steps allow, and the store must go on from there.
 */

import type { MemoryDisk } from '../disk.ts'
import { below, chances, type Job, type Result } from './jobs.ts'
import {
  contents,
  drive,
  type Operation,
  operations,
  preparedAccount,
  stages,
  unlessAllowed,
  worksOn,
} from './operations.ts'
import { breathe, inOneTurn } from './turns.ts'

/** Choices at one point of time above which a part of them is tried. */
const maxStates = 4096
/** Lengths of one file that are tried alone. */
const maxLengths = 300

interface State {
  readonly kept: ReadonlySet<number>
  /** Octets of each unsynced file; -1: zeros of full length. */
  readonly lengths: readonly number[]
}

interface Moment {
  readonly disk: MemoryDisk
  readonly acknowledged: number
  readonly call: string
}

/** The states at one moment, and whether they are all. */
function statesOf(disk: MemoryDisk, chance: () => number, random: number): { states: State[]; complete: boolean } {
  const { changes, files } = disk.unsynced()
  const ends = files.map(({ synced, written }) => [synced, synced + ((written - synced) >> 1), written, -1])
  const count = 2 ** changes.length * 4 ** files.length
  const indices = changes.map((_, index) => index)
  const states: State[] = []
  const whole = files.map(({ written }) => written)
  const cut = files.map(({ synced }) => synced)
  if (count <= maxStates)
    for (let number = 0; number < count; number += 1) {
      const kept = new Set(indices.filter((index) => (number >> index) & 1))
      states.push({ kept, lengths: ends.map((of, at) => of[(number >> (changes.length + 2 * at)) & 3]!) })
    }
  else {
    const subsets: number[][] = [[], indices]
    for (const one of indices) {
      subsets.push(
        [one],
        indices.filter((index) => index !== one),
      )
      for (const other of indices.slice(one + 1)) subsets.push([one, other])
    }
    for (let at = 0; at < random; at += 1) subsets.push(indices.filter(() => chance() < 0.5))
    for (const subset of subsets)
      for (const lengths of [whole, cut, ends.map((of) => of[below(chance, 4)]!)])
        states.push({ kept: new Set(subset), lengths })
  }
  // Every length of each file, with all names kept: only a file that has a name can be met.
  for (const [at, { synced, written }] of files.entries())
    for (let length = synced; length < written; length += Math.max(1, Math.ceil((written - synced) / maxLengths)))
      states.push({ kept: new Set(indices), lengths: whole.map((full, index) => (index === at ? length : full)) })
  return { states, complete: count <= maxStates }
}

function materialise(disk: MemoryDisk, { kept, lengths }: State): MemoryDisk {
  const dark = disk.clone()
  dark.cut({
    keeps: (index) => kept.has(index),
    octets: (index) => (lengths[index]! < 0 ? undefined : lengths[index]!),
  })
  return dark
}

/** In which order calls that an operation makes at once are made. */
const orders: Readonly<Record<string, (chance: () => number) => (waiting: number) => number>> = {
  'first come': () => () => 0,
  'last come': () => (waiting) => waiting - 1,
  random: (chance) => (waiting) => below(chance, waiting),
}

async function run(name: string, operation: Operation, order: string, seed: number, share: number): Promise<Result> {
  const chance = chances(seed, `${name} ${order}`)
  const prepared = await preparedAccount(operation)
  const allowed = await stages(operation, prepared)
  const moments: Moment[] = []
  const disk = prepared.clone()
  let seen = -1
  let seenAcknowledged = -1
  const note = (call: string, acknowledged: number) => {
    if (disk.version === seen && acknowledged === seenAcknowledged) return
    seen = disk.version
    seenAcknowledged = acknowledged
    moments.push({ disk: disk.clone(), acknowledged, call })
  }
  const { failure, acknowledged } = await drive(
    disk,
    operation,
    orders[order]!(chance),
    ({ operation, path }, count) => {
      note(`${operation} ${path}`, count)
      return undefined
    },
  )
  if (failure !== undefined) return { cases: 1, details: {}, faults: [`${name}: ${String(failure)}`] }
  note('the end', acknowledged)
  const faults: string[] = []
  const known = new Set<string>()
  let cases = 0
  let incomplete = 0
  for (const moment of moments) {
    const { states, complete } = statesOf(moment.disk, chance, Math.ceil(1000 * share))
    if (!complete) incomplete += 1
    for (const state of states) {
      if (share < 1 && chance() > share) continue
      cases += 1
      const dark = materialise(moment.disk, state)
      const signature = `${moment.acknowledged} ${dark.signature()}`
      if (known.has(signature)) continue
      known.add(signature)
      const found = await examine(dark, operation, (is) => unlessAllowed(is, allowed, moment.acknowledged))
      if (found.length === 0) continue
      const lost = moment.disk.unsynced().changes.filter((_, index) => !state.kept.has(index))
      faults.push(
        [
          `${name}, calls ${order}, before ${moment.call}`,
          ...found,
          'lost:',
          ...lost,
          `lengths: ${state.lengths.join()}`,
        ].join('\n  '),
      )
      return { cases, details: { opened: known.size, moments: moments.length, incomplete }, faults }
    }
  }
  await breathe()
  return { cases, details: { opened: known.size, moments: moments.length, incomplete }, faults }
}

async function examine(
  dark: MemoryDisk,
  operation: Operation,
  allows: (found: string) => readonly string[],
): Promise<readonly string[]> {
  try {
    const faults = allows(await contents(dark, operation))
    return faults.length > 0 ? faults : await worksOn(dark, operation)
  } catch (error) {
    return [String(error)]
  }
}

/** `share`: of the states, 0 to 1. */
export function crashStates(share: number): Job[] {
  return Object.entries(operations).flatMap(([name, operation]) =>
    Object.keys(orders).map((order) => ({
      proof: 'crash states',
      name: `${name}, calls ${order}`,
      run: (seed: number) => inOneTurn(() => run(name, operation, order, seed, share)),
    })),
  )
}
