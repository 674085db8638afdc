/** A wave: users who are moved together. A small file beside the mail; what is known of each of them is in the migration records and in the notes. docs/decisions/0270-what-a-wave-is.md */
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { readJsonRecord } from '#src/base/json-record.ts'

/** What is done for every member, one after the other; when all have had it, it is over. */
export const waveTasks = [
  /** Looks at what the old servers have. */
  'inventory',
  /** Pulls everything, and makes the accounts. */
  'pull',
  /** Pulls what has come since. */
  'delta',
  /** The same for the last time, and closes the accounts. */
  'cutover',
  /** The same again and again until the closing date. */
  'watch',
] as const
export type WaveTask = (typeof waveTasks)[number]

export interface WaveLimits {
  /** Members at the same time. */
  readonly atOnce: number
  /** Of them, at one old server; 0: no limit of its own. */
  readonly perHost: number
  /** Members with more than so many MB at the old server are left out; 0: none is. */
  readonly accountMb: number
}

export const usualLimits: WaveLimits = { atOnce: 4, perHost: 0, accountMb: 0 }

export interface Member {
  readonly userId: UserId
  /** Higher ones come first, then the order of the list. */
  readonly priority: number
}

export interface Wave {
  readonly name: string
  /** All times are in milliseconds since 1970. */
  readonly created: number
  readonly members: readonly Member[]
  readonly limits: WaveLimits
  /** What is being done; undefined: nothing. */
  readonly task?: WaveTask
  /** When it was begun: members that were seen to since then are through with it. */
  readonly since: number
  readonly isPaused: boolean
  /** Of a pull: it pauses after so many members. */
  readonly first?: number
  /** What was done last. */
  readonly last?: { readonly task: WaveTask; readonly at: number }
  /** When the old servers are not asked any more. */
  readonly closing?: number
  /** Time between two rounds of `watch`. */
  readonly everyMs?: number
  readonly cutOver?: number
  readonly closed?: number
}

export type WaveState = 'created' | 'counted' | 'pulled' | 'paused' | WaveTask | 'closed'

export const stateOf = ({ task, isPaused, last, closed }: Wave): WaveState => {
  if (closed !== undefined) return 'closed'
  if (task !== undefined) return isPaused ? 'paused' : task
  if (last === undefined) return 'created'
  return last.task === 'inventory' ? 'counted' : 'pulled'
}

/** One ms_syncd of a store runs a wave, and changes what is known of it. docs/decisions/0291-leases.md */
export const leaseOf = (name: string): string => `wave-${name.toLowerCase()}`

/** Also the name of its file. */
export const isWaveName = (name: string): boolean => /^[a-z0-9][a-z0-9_-]{0,63}$/i.test(name)

const version = 1
export const formatWave = (wave: Wave): Buffer => Buffer.from(`${JSON.stringify({ version, ...wave }, undefined, 1)}\n`)

/** `path` is for errors. Throws StoreError damaged. */
export const readWave = (octets: Buffer, path: string): Wave => {
  const damaged = (what: string) =>
    new StoreError('damaged', `the wave ${path} ${what}; remove it, and create the wave again: no mail is lost by that`)
  const { version: _, ...json } = readJsonRecord(octets, { version, damaged })
  const wave = json as unknown as Wave
  if (typeof wave.name !== 'string' || !isWaveName(wave.name)) throw damaged('has no name')
  if (!Array.isArray(wave.members) || !wave.members.every(isMember)) throw damaged('has members that are none')
  if (typeof wave.since !== 'number' || typeof wave.isPaused !== 'boolean') throw damaged('does not say how far it is')
  if (wave.task !== undefined && !waveTasks.includes(wave.task)) throw damaged('has a task that is none')
  const { atOnce, perHost, accountMb } = wave.limits ?? {}
  if (![atOnce, perHost, accountMb].every(Number.isSafeInteger)) throw damaged('has limits that are none')
  return wave
}

const isMember = (value: unknown): value is Member =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Member).userId === 'string' &&
  Number.isSafeInteger((value as Member).priority)
