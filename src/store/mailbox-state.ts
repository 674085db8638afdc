/**
 * What a mailbox's log entries make: messages, flags, origins and the trace of what left. Deterministic: every process that applies
 * the same entries has the same state, so UIDs come from the order of the log, and an origin that is known already is refused by
 * all alike (exactly once).
 */

import type { Clock } from '../base/clock.ts'
import type { ModSeq, Uid } from '../base/ids.ts'
import { breath } from './breath.ts'
import { laterVersion, linesOf, type Operation, operationsIn } from './change-set.ts'
import { type FlagMode, FlagTable } from './flags.ts'
import { type StoreFs, unlessAbsent } from './fs.ts'
import { History, type VanishedRow } from './history.ts'
import { originHash, parseMessageFileName } from './message-file.ts'
import { type PackedUidl, packUidl, StoredMessage } from './record.ts'
import type { Replica, Steps } from './replica.ts'
import type { Delivered, ExpungeCause, Flag, MailboxDelta, OriginState } from './types.ts'
import { formatUids, parseUids } from './uid-set.ts'

/** What became of one operation. */
export interface Outcome {
  /** Of `add`. */
  readonly delivered?: Delivered
  /** Of `expunge`. */
  readonly expunged?: readonly Uid[]
  /** Of `recent`. */
  readonly recent?: { readonly after: Uid; readonly upTo: Uid }
}

type Departed = OriginState & { readonly present: false }

const maxUid = 0xffffffff
/** Rows of one line of a dump: a few ms to read or write. */
const rowsPerLine = 500
/** UIDs changed, or hashes made, before others get their turn: a few ms. */
const uidsPerTurn = 2000
const nothing: Outcome = {}

/** Of a message to be added. `origin` may be long, then the file name has only its hash. */
export interface Addition {
  readonly file: string
  readonly flags: readonly Flag[]
  readonly origin: string | undefined
  readonly uidl: string | undefined
  /** Named in the log although its order tells it: when an entry before this one is lost, later ones still mean what they meant. */
  readonly uid: Uid
}

export const operations = {
  add(message: Addition): Operation {
    const named = parseMessageFileName(message.file)
    const origin = message.origin === named?.origin ? null : (message.origin ?? null)
    return ['add', message.file, message.flags, packUidl(message.uidl, message.origin), origin, message.uid]
  },
  origin: (origin: string, uidl: string | undefined): Operation => ['origin', origin, packUidl(uidl, origin)],
  flags: (mode: FlagMode, flags: readonly Flag[], uids: readonly Uid[]): Operation => [
    'flags',
    mode,
    flags,
    formatUids(uids),
  ],
  expunge: (cause: ExpungeCause, uids: readonly Uid[]): Operation => ['expunge', cause, formatUids(uids)],
  forget: (origins: readonly string[]): Operation => ['forget', ...origins],
  recent: (upTo: Uid): Operation => ['recent', upTo],
}

export class MailboxState implements Replica<Outcome> {
  uidValidity = 1
  uidNext = 1 as Uid
  recentAfter = 0 as Uid
  readonly flagTable = new FlagTable()
  readonly departed = new Map<string, Departed>()
  readonly history = new History()
  private readonly clock: Clock
  private list: StoredMessage[] = []
  /** `list` was handed out: what is added goes to a copy. */
  private handedOut = false
  /** What the entry being applied makes of `list`, which readers see when it is complete. */
  private changed: StoredMessage[] | undefined
  private arrivals: StoredMessage[] = []
  private gone = new Set<Uid>()
  private readonly present = new Map<string, Uid>()
  /** Origins of which only the hash is known, since the log that had them was lost: of messages, and of some that left. */
  private readonly hashed = new Map<string, Uid>()
  private readonly departedHashed = new Map<string, Departed>()
  /** While entries may be missing: files of messages that are known to have left. */
  private gonePastGaps: Set<string> | undefined
  /** UIDs of messages that were found again after a loss; a delivery under way at that time may still add one of them. */
  private recovered: readonly [first: number, last: number] = [1, 0]

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The state of a mailbox that is made. */
  static empty(clock: Clock, uidValidity: number, uidNext: Uid = 1 as Uid): MailboxState {
    const state = new MailboxState(clock)
    state.uidValidity = uidValidity
    state.uidNext = uidNext
    state.recentAfter = (uidNext - 1) as Uid
    return state
  }

  /** Ascending UID. Never changed: a change replaces it. */
  get messages(): readonly StoredMessage[] {
    this.handedOut = true
    return this.list
  }

  get weight(): number {
    return this.list.length + this.departed.size + this.departedHashed.size
  }

  byUid(uid: Uid): StoredMessage | undefined {
    const message = this.list[this.indexOf(uid)]
    return message?.uid === uid ? message : undefined
  }

  /** The messages among these UIDs, which ascend. */
  *among(uids: readonly Uid[]): Iterable<StoredMessage> {
    const { list } = this
    let at = 0
    for (const uid of uids) {
      // Neighbours mostly.
      if (list[at]?.uid !== uid) at = this.indexOf(uid)
      const message = list[at]
      if (message?.uid !== uid) continue
      yield message
      at += 1
    }
  }

  byOrigin(origin: string): OriginState | undefined {
    const uid = this.present.get(origin)
    if (uid !== undefined) return { present: true, uid }
    const departed = this.departed.get(origin)
    if (departed !== undefined || this.hashed.size + this.departedHashed.size === 0) return departed
    const hash = originHash(origin)
    const hashed = this.hashed.get(hash)
    return hashed === undefined ? this.departedHashed.get(hash) : { present: true, uid: hashed }
  }

  /** Only the hash of this origin is known: whoever learns it commits `operations.origin`. */
  isHashed(origin: string): boolean {
    if (this.hashed.size + this.departedHashed.size === 0) return false
    const hash = originHash(origin)
    return this.hashed.has(hash) || this.departedHashed.has(hash)
  }

  delta(since: ModSeq, highestModSeq: ModSeq): MailboxDelta {
    return this.history.delta(since, highestModSeq, this.list, (uid) => this.byUid(uid))
  }

  /** Origins are known at once, which is safe: the entry is durable. Messages are seen when it is complete. */
  *apply(operation: Operation, number: number): Steps<Outcome> {
    const modSeq = number as ModSeq
    switch (operation[0]) {
      case 'add':
        return this.add(operation, modSeq)
      case 'flags':
        yield* this.changeFlags(operation, modSeq)
        return nothing
      case 'expunge':
        return { expunged: yield* this.expunge(operation[1] as ExpungeCause, operation[2] as string, modSeq) }
      case 'origin':
        this.nameOrigin(operation[1] as string, operation[2] as PackedUidl)
        return nothing
      case 'forget':
        for (const origin of operation.slice(1)) this.departed.delete(origin as string)
        return nothing
      case 'recent': {
        const after = this.recentAfter
        this.recentAfter = Math.max(after, operation[1] as number) as Uid
        return { recent: { after, upTo: this.recentAfter } }
      }
      default:
        throw laterVersion(`A mailbox's log entry (${operation[0]})`)
    }
  }

  applied(number: number): void {
    this.publish()
    this.history.complete(number as ModSeq, (from, to) => this.isLive(from, to))
  }

  /** Readers see what the entry made, all of it at once. */
  private publish(): void {
    let list = this.changed ?? this.list
    if (this.arrivals.length > 0) {
      if (this.handedOut && list === this.list) list = list.slice()
      for (const message of this.arrivals) list.push(message)
      this.arrivals = []
    }
    if (this.gone.size > 0) {
      list = list.filter((message) => !this.gone.has(message.uid))
      this.gone = new Set()
    }
    if (list !== this.list) this.handedOut = false
    this.list = list
    this.changed = undefined
  }

  /** Index of the first message with this UID or a higher one. */
  private indexOf(uid: Uid): number {
    let low = 0
    let high = this.list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.list[middle]!.uid < uid) low = middle + 1
      else high = middle
    }
    return low
  }

  /** A message has a UID between the two, exclusive. */
  private isLive(from: Uid, to: Uid): boolean {
    const message = this.list[this.indexOf((from + 1) as Uid)]
    return message !== undefined && message.uid < to
  }

  private remember(message: StoredMessage): void {
    if (message.origin !== undefined) this.present.set(message.origin, message.uid)
    else {
      const hash = parseMessageFileName(message.file)?.originHash
      if (hash !== undefined) this.hashed.set(hash, message.uid)
    }
  }

  private add(operation: Operation, modSeq: ModSeq): Outcome {
    const [, file, flags, uidl, longOrigin, uid] = operation as unknown as AddRow
    // Only where entries are missing; its file is found by `recover`.
    if (uid < this.uidNext && this.gonePastGaps !== undefined) return nothing
    const message = StoredMessage.of({
      uid: Math.max(this.uidNext, uid) as Uid,
      file,
      flags: this.flagTable.set(flags),
      modSeq,
      addedModSeq: modSeq,
      origin: longOrigin ?? undefined,
      uidl,
    })
    const known = message.origin === undefined ? undefined : this.byOrigin(message.origin)
    if (known !== undefined) {
      this.nameOrigin(message.origin!, uidl)
      return { delivered: { duplicateOf: known } }
    }
    const again = this.findRecovered(file)
    if (again !== undefined) return { delivered: { uid: again } }
    this.arrivals.push(message)
    this.uidNext = (message.uid + 1) as Uid
    this.remember(message)
    this.history.added(message.uid)
    return { delivered: { uid: message.uid } }
  }

  /** Somebody came with an origin of which only the hash is known. */
  private nameOrigin(origin: string, uidl: PackedUidl): void {
    if (!this.isHashed(origin)) return
    const hash = originHash(origin)
    const uid = this.hashed.get(hash)
    if (uid === undefined) {
      this.departed.set(origin, this.departedHashed.get(hash)!)
      this.departedHashed.delete(hash)
      return
    }
    this.hashed.delete(hash)
    this.present.set(origin, uid)
    this.changed ??= this.list.slice()
    const index = this.indexOf(uid)
    const message = this.changed[index]
    if (message?.uid === uid) this.changed[index] = message.withOrigin(origin, uidl)
  }

  private findRecovered(file: string): Uid | undefined {
    const [first, last] = this.recovered
    for (let at = this.indexOf(first as Uid); at < this.list.length && this.list[at]!.uid <= last; at += 1)
      if (this.list[at]!.file === file) return this.list[at]!.uid
    return undefined
  }

  private *changeFlags(operation: Operation, modSeq: ModSeq): Generator<undefined, void> {
    const [, mode, flags, uids] = operation as [string, FlagMode, Flag[], string]
    const change = this.flagTable.set(flags)
    this.changed ??= this.list.slice()
    const list = this.changed
    /** From one shared set to another: found once, not for every message. */
    const transitions = new Map<ReadonlySet<Flag>, ReadonlySet<Flag>>()
    let count = 0
    for (const uid of parseUids(uids)) {
      count += 1
      if (count % uidsPerTurn === 0) yield
      const index = this.indexOf(uid)
      const message = list[index]
      if (message?.uid !== uid || this.gone.has(uid)) continue
      let next = transitions.get(message.flags)
      if (next === undefined) {
        next = this.flagTable.changed(message.flags, mode, change)
        transitions.set(message.flags, next)
      }
      if (next === message.flags) continue
      list[index] = message.withFlags(next, modSeq)
      this.history.updated(uid)
    }
  }

  private *expunge(cause: ExpungeCause, uids: string, modSeq: ModSeq): Generator<undefined, Uid[]> {
    const expunged: Uid[] = []
    let count = 0
    for (const uid of parseUids(uids)) {
      count += 1
      if (count % uidsPerTurn === 0) yield
      const message = (this.changed ?? this.list)[this.indexOf(uid)]
      if (message?.uid !== uid || this.gone.has(uid)) continue
      this.gone.add(uid)
      expunged.push(uid)
      this.history.expunged(uid)
      this.gonePastGaps?.add(message.file)
      const departed = { present: false, uid, cause, modSeq } as const
      if (message.origin !== undefined) {
        this.present.delete(message.origin)
        this.departed.set(message.origin, departed)
        continue
      }
      const hash = this.hashed.size === 0 ? undefined : parseMessageFileName(message.file)?.originHash
      if (hash === undefined || !this.hashed.delete(hash)) continue
      this.departedHashed.set(hash, departed)
    }
    return expunged
  }

  image(): Iterable<Uint8Array> {
    const dump = dumpLines(
      {
        uidValidity: this.uidValidity,
        uidNext: this.uidNext,
        recentAfter: this.recentAfter,
        recovered: this.recovered,
        keywords: [...this.flagTable.keywords],
      },
      this.messages,
      [...this.departed],
      [...this.departedHashed],
      this.history.vanished(),
    )
    return linesOf(dump)
  }

  async load(image: Buffer): Promise<void> {
    for (const operation of operationsIn(image)) {
      this.take(operation)
      await breath()
    }
  }

  /** An operation of a dump. */
  private take(operation: Operation): void {
    switch (operation[0]) {
      case 'mailbox': {
        const head = operation[1] as unknown as MailboxHead
        this.uidValidity = head.uidValidity
        this.uidNext = head.uidNext as Uid
        this.recentAfter = head.recentAfter as Uid
        this.recovered = head.recovered
        this.flagTable.set(head.keywords)
        return
      }
      case 'messages': {
        const sets = (operation[1] as Flag[][]).map((flags) => this.flagTable.set(flags))
        for (const row of operation.slice(2) as MessageRow[]) {
          const [uid, file, set, modSeq, addedModSeq, uidl, longOrigin] = row
          const message = StoredMessage.of({
            uid: uid as Uid,
            file,
            flags: sets[set]!,
            modSeq: modSeq as ModSeq,
            addedModSeq: addedModSeq as ModSeq,
            origin: longOrigin ?? undefined,
            uidl,
          })
          this.arrivals.push(message)
          this.remember(message)
        }
        return
      }
      case 'departed':
        for (const [origin, uid, cause, modSeq] of operation.slice(1) as DepartedRow[])
          this.departed.set(origin, { present: false, uid: uid as Uid, cause, modSeq: modSeq as ModSeq })
        return
      case 'departed-hashed':
        for (const [hash, uid, cause, modSeq] of operation.slice(1) as DepartedRow[])
          this.departedHashed.set(hash, { present: false, uid: uid as Uid, cause, modSeq: modSeq as ModSeq })
        return
      case 'vanished':
        this.history.load(operation.slice(1) as VanishedRow[])
        return
      default:
        throw laterVersion(`A mailbox's log entry (${operation[0]})`)
    }
  }

  /** UIDs mean the same. */
  continues(before: MailboxState): boolean {
    return before.uidValidity === this.uidValidity
  }

  expectGaps(): void {
    this.gonePastGaps = new Set()
  }

  /**
   * Adds the message files that no readable entry names, except those that one removes; that their origin left once is no proof that they
   * did. A message whose file went is not there. The UIDs that clients know may be others now, hence a new UIDVALIDITY.
   */
  async recover(fs: StoreFs, directory: string): Promise<void> {
    this.publish()
    const removed = this.gonePastGaps
    this.gonePastGaps = undefined
    const first = this.uidNext
    const files = await unlessAbsent(fs.list(`${directory}/msg`))
    if (files !== undefined) {
      const there = new Set(files.map((entry) => entry.name))
      await this.dropMissing(there, fs, directory)
      const departed = await this.departedByHash()
      const known = new Set(this.list.map((message) => message.file))
      const knownHashes = new Set(this.list.map((message) => parseMessageFileName(message.file)?.originHash))
      for (const file of [...there].sort()) {
        const named = parseMessageFileName(file)
        if (named === undefined || known.has(file) || removed?.has(file) === true) continue
        if (named.origin !== undefined && this.present.has(named.origin)) continue
        if (named.originHash !== undefined && knownHashes.has(named.originHash)) continue
        // A file of another size was being written when its writer died.
        if ((await unlessAbsent(fs.status(`${directory}/msg/${file}`)))?.sizeOctets !== named.sizeOctets) continue
        const origin = named.origin ?? departed.get(named.originHash ?? '')
        if (origin !== undefined) this.departed.delete(origin)
        if (named.originHash !== undefined) this.departedHashed.delete(named.originHash)
        this.add(
          ['add', file, [], null, named.origin === undefined ? (origin ?? null) : null, this.uidNext],
          1 as ModSeq,
        )
        knownHashes.add(named.originHash)
      }
    }
    this.publish()
    this.recovered = [first, this.uidNext - 1]
    this.uidValidity = Math.min(maxUid, Math.max(this.uidValidity + 1, Math.floor(this.clock.now() / 1000)))
  }

  /** Their expunge is among what was lost. */
  private async dropMissing(there: ReadonlySet<string>, fs: StoreFs, directory: string): Promise<void> {
    for (const { uid, file, origin } of this.list) {
      if (there.has(file) || (await unlessAbsent(fs.status(`${directory}/msg/${file}`))) !== undefined) continue
      this.gone.add(uid)
      if (origin !== undefined) this.present.delete(origin)
    }
    for (const [hash, uid] of this.hashed) if (this.gone.has(uid)) this.hashed.delete(hash)
    this.publish()
  }

  private async departedByHash(): Promise<ReadonlyMap<string, string>> {
    const byHash = new Map<string, string>()
    for (const origin of this.departed.keys()) {
      byHash.set(originHash(origin), origin)
      if (byHash.size % uidsPerTurn === 0) await breath()
    }
    return byHash
  }
}

interface MailboxHead {
  readonly uidValidity: number
  readonly uidNext: number
  readonly recentAfter: number
  readonly recovered: readonly [number, number]
  readonly keywords: readonly Flag[]
}
type AddRow = [word: string, file: string, flags: Flag[], uidl: PackedUidl, longOrigin: string | null, uid: number]
type MessageRow = [
  uid: number,
  file: string,
  set: number,
  modSeq: number,
  addedModSeq: number,
  uidl: PackedUidl,
  longOrigin: string | null,
]
type DepartedRow = [origin: string, uid: number, cause: ExpungeCause, modSeq: number]

function* dumpLines(
  head: MailboxHead,
  messages: readonly StoredMessage[],
  departed: readonly (readonly [string, Departed])[],
  departedHashed: readonly (readonly [string, Departed])[],
  vanished: readonly VanishedRow[],
): Iterable<Operation> {
  yield ['mailbox', { ...head }]
  for (let at = 0; at < messages.length; at += rowsPerLine) {
    const sets = new Map<ReadonlySet<Flag>, number>()
    const rows: MessageRow[] = []
    for (const message of messages.slice(at, at + rowsPerLine)) {
      let set = sets.get(message.flags)
      if (set === undefined) {
        set = sets.size
        sets.set(message.flags, set)
      }
      const { uid, file, modSeq, addedModSeq, origin, uidl } = message
      const longOrigin = origin !== undefined && parseMessageFileName(file)?.origin === undefined ? origin : null
      rows.push([uid, file, set, modSeq, addedModSeq, packUidl(uidl, origin), longOrigin])
    }
    yield ['messages', Array.from(sets.keys(), (flags) => [...flags]), ...rows]
  }
  for (const [word, origins] of [
    ['departed', departed],
    ['departed-hashed', departedHashed],
  ] as const)
    for (let at = 0; at < origins.length; at += rowsPerLine) {
      const rows = origins.slice(at, at + rowsPerLine)
      yield [word, ...rows.map(([origin, { uid, cause, modSeq }]): DepartedRow => [origin, uid, cause, modSeq])]
    }
  for (let at = 0; at < vanished.length; at += rowsPerLine) yield ['vanished', ...vanished.slice(at, at + rowsPerLine)]
}
