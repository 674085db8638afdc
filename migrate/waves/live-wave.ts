/** A wave in memory: its file, and what is known of each member, as it was read last. */

import { Slice } from '#gateway/backend/slice.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { MigrationRecord, MigrationState } from '../records/record.ts'
import type { MigrationRecords } from '../records/records.ts'
import type { Notes, NotesChange, NotesDirectory } from './notes.ts'
import { isBlocking, type Risk } from './risks.ts'
import { leaseOf, type Member, type Wave, type WaveTask } from './wave.ts'
import type { WaveFiles } from './wave-files.ts'

/** Others change records too: a user logs in, an operator migrates one. */
const recordsHoldMs = 30_000
const here: ReadonlySet<MigrationState> = new Set<MigrationState>([
  'pulled',
  'migrated',
  'closed',
  'rolling-back',
  'rolled-back',
])
const over: ReadonlySet<MigrationState> = new Set<MigrationState>(['closed', 'rolling-back', 'rolled-back'])
const mega = 1 << 20

export interface LiveParts {
  readonly gateway: Pick<Gateway, 'holds'>
  readonly files: WaveFiles
  readonly notes: NotesDirectory
  readonly records: MigrationRecords
  readonly clock: Clock
}

export class LiveWave {
  readonly #parts: LiveParts
  #wave: Wave
  /** In the order in which they get their turn. */
  #order: readonly Member[] = []
  readonly #notes = new Map<UserId, Notes>()
  readonly #records = new Map<UserId, MigrationRecord>()
  /** Of members without one. */
  readonly #faults = new Map<UserId, string>()
  #recordsMs = -Infinity

  private constructor(parts: LiveParts, wave: Wave) {
    this.#parts = parts
    this.#wave = wave
    this.#sort()
  }

  /** Throws StoreError. */
  static async open(parts: LiveParts, wave: Wave): Promise<LiveWave> {
    const live = new LiveWave(parts, wave)
    await live.refresh()
    return live
  }

  get wave(): Wave {
    return this.#wave
  }

  get members(): readonly Member[] {
    return this.#order
  }

  isMember(userId: UserId): boolean {
    return this.#wave.members.some((member) => member.userId === userId)
  }

  notesOf(userId: UserId): Notes {
    return this.#notes.get(userId) ?? { userId }
  }

  recordOf(userId: UserId): MigrationRecord | undefined {
    return this.#records.get(userId)
  }

  hasRecord(userId: UserId): boolean {
    return this.#records.has(userId)
  }

  /** Reads what others may have changed, unless that was done a moment ago. Throws StoreError. */
  async refresh(): Promise<void> {
    const now = this.#parts.clock.monotonic()
    if (now - this.#recordsMs < recordsHoldMs) return
    this.#recordsMs = now
    const slice = new Slice()
    for (const { userId } of this.#wave.members) {
      if (slice.isOver()) await slice.next()
      if (!this.#notes.has(userId)) this.#notes.set(userId, await this.#parts.notes.find(userId))
      await this.refreshRecord(userId)
    }
  }

  /** Undefined: it is not there, or can't be read, which is told as the member's failure and holds up nobody else. Throws StoreError unavailable. */
  async refreshRecord(userId: UserId): Promise<MigrationRecord | undefined> {
    this.#records.delete(userId)
    this.#faults.delete(userId)
    try {
      const record = await this.#parts.records.find(userId)
      if (record !== undefined) this.#records.set(userId, record)
      else this.#faults.set(userId, 'the migration record is missing: give the line of the CSV file again')
      return record
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'damaged') throw error
      this.#faults.set(userId, error.message)
      return undefined
    }
  }

  /** Throws StoreError. */
  async note(userId: UserId, changes: NotesChange): Promise<void> {
    this.#notes.set(userId, await this.#parts.notes.change(userId, changes))
  }

  /** Of somebody who is no member any more. Throws StoreError. */
  async forget(userId: UserId): Promise<void> {
    for (const known of [this.#notes, this.#records, this.#faults]) known.delete(userId)
    await this.#parts.notes.forget(userId)
  }

  /** Durable when it resolves. Throws StoreError. */
  async change(changes: { readonly [K in keyof Wave]?: Wave[K] | undefined }): Promise<void> {
    const { files, gateway } = this.#parts
    this.#wave = await files.change(this.#wave.name, (wave) => {
      if (!gateway.holds(leaseOf(wave.name))) throw new StoreError('unavailable', 'another ms_syncd runs this wave now')
      return withoutUndefined({ ...wave, ...changes })
    })
    if (changes.members !== undefined) {
      this.#sort()
      this.#recordsMs = -Infinity
      await this.refresh()
    }
  }

  #sort(): void {
    this.#order = this.#wave.members.toSorted((a, b) => b.priority - a.priority)
  }

  /** Whether the task has nothing to do for a member any more. */
  isThrough(userId: UserId, task: WaveTask): boolean {
    const { since } = this.#wave
    const { inventory, pass } = this.notesOf(userId)
    if (task === 'inventory') return (inventory?.at ?? -1) >= since
    if (this.#faults.has(userId)) return true
    const state = this.recordOf(userId)?.state
    if (state !== undefined && (over.has(state) || (task === 'pull' && here.has(state)))) return true
    return this.isLeftOut(userId) || (pass?.at ?? -1) >= since
  }

  /** The present task, or the last one, did not come to its end for the member. */
  failureOf(userId: UserId): string | undefined {
    return this.#faults.get(userId) ?? this.notesOf(userId).pass?.error
  }

  isHere(userId: UserId): boolean {
    const state = this.recordOf(userId)?.state
    return state !== undefined && here.has(state)
  }

  /** There is something to tell of it. */
  isStuck(userId: UserId): boolean {
    return (this.failureOf(userId) ?? this.recordOf(userId)?.reason) !== undefined || this.isLeftOut(userId)
  }

  /** It is passed over as it is. */
  isLeftOut(userId: UserId): boolean {
    return !this.isHere(userId) && this.risksOf(userId).some(isBlocking)
  }

  /** As its inventory and the limits of the wave have it. */
  risksOf(userId: UserId): readonly Risk[] {
    const { accountMb } = this.#wave.limits
    const notes = this.notesOf(userId)
    const { octets } = thereOf(notes)
    const found = notes.inventory?.risks ?? []
    if (accountMb === 0 || octets <= accountMb * mega) return found
    return [
      ...found,
      { kind: 'over-limit', found: `${Math.ceil(octets / mega)} MB, and the limit of the wave is ${accountMb} MB` },
    ]
  }
}

export interface There {
  readonly mailboxes: number
  readonly messages: number
  readonly octets: number
  readonly largest: number
}

/** At all old servers of a user, as the inventory found it. */
export const thereOf = ({ inventory }: Notes): There => {
  const backends = inventory?.backends ?? []
  const sum = (count: 'mailboxes' | 'messages' | 'octets') =>
    backends.reduce((total, backend) => total + backend[count], 0)
  return {
    mailboxes: sum('mailboxes'),
    messages: sum('messages'),
    octets: sum('octets'),
    largest: Math.max(0, ...backends.map(({ largest }) => largest)),
  }
}

const withoutUndefined = (wave: { readonly [K in keyof Wave]: Wave[K] | undefined }): Wave =>
  Object.fromEntries(Object.entries(wave).filter(([, value]) => value !== undefined)) as unknown as Wave
