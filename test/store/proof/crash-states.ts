/**
 * Every state that a crash of the machine can leave at any call of an operation: each change of directories that is not synced is kept or
 * lost, each file that is not synced has none, a half or all of what was written, or zeros in its place; and each of them alone every length. Each
 * state is opened and must be one of those that the acknowledged steps allow, and the store must go on from there.
 *
 * States that differ only in what nobody looks at afterwards are one case: whoever opens it, checks it and goes on makes the same calls and gets
 * the same answers. So a state is opened with a change kept, and another one with the change lost only when something looked where it was made.
 */

import { hash } from 'node:crypto'
import type { Call, MemoryDisk } from '../disk.ts'
import { below, chances, type Job, type Result } from './jobs.ts'
import {
  contents,
  drive,
  type Operation,
  operations,
  preparedAccount,
  type Stage,
  stages,
  unlessAllowed,
  worksOn,
} from './operations.ts'
import { breathe, inOneTurn } from './turns.ts'

/** Lengths of one file that are tried alone. */
const maxLengths = 300
/** Cases of one moment; more than a store needs that syncs what matters. */
const maxCases = 500

interface Moment {
  readonly disk: MemoryDisk
  readonly acknowledged: number
  readonly call: string
}

/** One choice for each change (kept, lost) and then each unsynced file (of its lengths), as numbers from 0. */
type Choices = readonly number[]

/** What was looked at while a state was opened and worked on. */
class Footprint {
  private readonly names = new Set<string>()
  private readonly listed = new Set<string>()
  private readonly moved: string[] = []

  readonly take = ({ operation, path, from }: Call): void => {
    for (const one of from === undefined ? [path] : [from, path]) {
      for (let end = one.length; end > 0; end = one.lastIndexOf('/', end - 1)) this.names.add(one.slice(0, end))
      // What is moved is met somewhere else.
      if (operation === 'rename') this.moved.push(one)
    }
    if (operation === 'list' || operation === 'removeDirectory') this.listed.add(path)
  }

  meets(path: string): boolean {
    if (this.names.has(path) || this.listed.has(path.slice(0, path.lastIndexOf('/')))) return true
    return this.moved.some((top) => path.startsWith(`${top}/`))
  }
}

interface Opened {
  readonly faults: readonly string[]
  readonly footprint: Footprint
}

class CrashStates {
  private readonly operation: Operation
  private readonly allowed: readonly Stage[]
  /** By what was acknowledged and what the disk holds. */
  private readonly known = new Map<string, Opened>()
  /** Of all changes and files in all combinations; more than anybody can count through. */
  states = 0
  /** Cases that had to be told apart. */
  cases = 0
  /** Moments with more of them than were tried. */
  incomplete = 0

  constructor(operation: Operation, allowed: readonly Stage[]) {
    this.operation = operation
    this.allowed = allowed
  }

  get opened(): number {
    return this.known.size
  }

  /** The first violation at one moment. */
  async find(moment: Moment): Promise<string | undefined> {
    const { changes, files } = moment.disk.unsynced()
    const lengths = files.map(({ synced, written }) => [written, synced, synced + ((written - synced) >> 1), undefined])
    const options = [...changes.map(() => 2), ...files.map(() => 4)]
    this.states += options.reduce((product, count) => product * count, 1)
    const lengthOf = (choices: Choices) => (index: number) => lengths[index]![choices[changes.length + index]!]
    const whole: Choices = options.map(() => 0)
    // Few losses first: that is how a violation is found soon where nearly everything makes a difference.
    const todo: { readonly choices: Choices; readonly fixed: ReadonlySet<number> }[] = [
      { choices: whole, fixed: new Set() },
    ]
    let met: readonly boolean[] = []
    for (const [index, { choices, fixed }] of todo.entries()) {
      if (index === maxCases) {
        this.incomplete += 1
        break
      }
      const { faults, places } = await this.open(moment, choices, lengthOf(choices))
      if (faults.length > 0) return this.tell(moment, faults, choices, changes)
      if (choices === whole) met = places
      const taken = new Set(fixed)
      for (const [place, count] of options.entries()) {
        if (fixed.has(place) || !places[place]) continue
        for (let choice = 1; choice < count; choice += 1)
          todo.push({ choices: choices.with(place, choice), fixed: new Set(taken).add(place) })
        taken.add(place)
      }
    }
    for (const [index, { synced, written }] of files.entries()) {
      if (!met[changes.length + index]) continue
      for (let length = synced; length < written; length += Math.max(1, Math.ceil((written - synced) / maxLengths))) {
        const { faults } = await this.open(moment, whole, (of) => (of === index ? length : files[of]!.written))
        if (faults.length > 0) return this.tell(moment, [...faults, `with ${length} octets`], whole, changes)
      }
    }
    return undefined
  }

  private tell(moment: Moment, faults: readonly string[], choices: Choices, changes: readonly string[]): string {
    const lost = changes.filter((_, index) => choices[index] === 1)
    const lengths = choices.slice(changes.length).join()
    return [`before ${moment.call}`, ...faults, 'lost:', ...lost, `lengths: ${lengths}`].join('\n  ')
  }

  /** Also which choices made a difference, or could have. */
  private async open(
    { disk, acknowledged }: Moment,
    choices: Choices,
    octets: (index: number) => number | undefined,
  ): Promise<{ readonly faults: readonly string[]; readonly places: readonly boolean[] }> {
    const dark = disk.clone()
    const { changes, files } = dark.cut({ keeps: (index) => choices[index] === 0, octets })
    this.cases += 1
    const signature = hash('sha1', `${acknowledged} ${dark.signature()}`)
    let opened = this.known.get(signature)
    if (opened === undefined) {
      opened = await this.examine(dark, acknowledged)
      this.known.set(signature, opened)
    }
    const { faults, footprint } = opened
    return { faults, places: [...changes, ...files].map((paths) => paths.some((path) => footprint.meets(path))) }
  }

  private async examine(dark: MemoryDisk, acknowledged: number): Promise<Opened> {
    const footprint = new Footprint()
    dark.watch = footprint.take
    try {
      const faults = unlessAllowed(await contents(dark, this.operation), this.allowed, acknowledged)
      return { faults: faults.length > 0 ? faults : await worksOn(dark, this.operation), footprint }
    } catch (error) {
      return { faults: [String(error)], footprint }
    }
  }
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
  const states = new CrashStates(operation, allowed)
  const faults: string[] = []
  let tried = 0
  // Towards the end there is the most to lose.
  for (const moment of moments.toReversed()) {
    if (share < 1 && chance() > share) continue
    tried += 1
    const found = await states.find(moment)
    if (found === undefined) continue
    faults.push(`${name}, calls ${order}, ${found}`)
    break
  }
  await breathe()
  const details = { moments: tried, incomplete: states.incomplete, opened: states.opened }
  return { cases: states.cases, details: { ...details, states: states.states }, faults }
}

/** `share`: of the moments, 0 to 1. */
export function crashStates(share: number): Job[] {
  return Object.entries(operations).flatMap(([name, operation]) =>
    Object.keys(orders).map((order) => ({
      proof: 'crash states',
      name: `${name}, calls ${order}`,
      run: (seed: number) => inOneTurn(() => run(name, operation, order, seed, share)),
    })),
  )
}
