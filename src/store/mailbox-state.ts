/**
 * What a mailbox's log entries make: messages, flags, origins and the trace of what left. Deterministic: every process that applies
 * the same entries has the same state, so UIDs come from the order of the log, and an origin that is known already is refused by
 * all alike (exactly once).
 */

import type { Clock } from '../base/clock.ts'
import type { ModSeq, Uid } from '../base/ids.ts'
import { DamagedEntry, laterVersion, type Operation } from './change-set.ts'
import type { PackedUidl } from './chunk.ts'
import type { AnnouncedRow, NewRow } from './chunk-builder.ts'
import { ExpungedMessages, ExpungedTable } from './expunged.ts'
import { FlagTable } from './flags.ts'
import { type StoreFs, unlessAbsent } from './fs.ts'
import { History } from './history.ts'
import { imageOf, partsOf } from './mailbox-image.ts'
import { missingUids, unknownFiles } from './mailbox-recovery.ts'
import { parseMessageFileName } from './message-file.ts'
import { StoredMessages } from './message-list.ts'
import { MessageTable, type Row, type Rows } from './message-table.ts'
import type {
  AddOperation,
  AnnounceOperation,
  ExpungeOperation,
  FlagsOperation,
  OriginsOperation,
} from './operations.ts'
import { beginHash, endHash } from './origin-index.ts'
import type { OriginMap } from './origin-map.ts'
import { type Departed, Origins } from './origins.ts'
import { packUidl, type StoredMessage } from './record.ts'
import type { Replica, Steps } from './replica.ts'
import type { Delivered, Flag, MailboxDelta, OriginState } from './types.ts'
import { parseUids } from './uid-set.ts'

/** What became of one operation. */
export interface Outcome {
  /** Of `add`. */
  readonly delivered?: Delivered
  /** Of `announce`: messages that are new. */
  readonly announced?: number
  /** Of `expunge`, in pieces. */
  readonly expunged?: readonly (readonly Uid[])[]
  /** Of `recent`. */
  readonly recent?: { readonly after: Uid; readonly upTo: Uid }
  /** Of `adopt`. */
  readonly adopted?: boolean
}

const maxUid = 0xffffffff
const nothing: Outcome = {}

export class MailboxState implements Replica<Outcome> {
  uidValidity = 1
  /** What readers see: replaced when an entry is complete, all of it at once. */
  uidNext = 1 as Uid
  recentAfter = 0 as Uid
  /** Free UIDs below this one are for messages that come with them. */
  keptBelow = 1 as Uid
  /** Keywords in use or used before. */
  keywords: ReadonlySet<Flag> = new Set()
  messages = new StoredMessages([], [])
  expunged = new ExpungedMessages([], [])
  changes = 0
  /** The spellings, of the entry being applied as well. */
  flagTable = new FlagTable()
  history = new History()
  private readonly clock: Clock
  /** What the entry being applied makes of the properties above. */
  private nextUid = this.uidNext
  private nextRecentAfter = this.recentAfter
  private table = new MessageTable()
  private expungedTable = new ExpungedTable()
  private isTableChanged = false
  private isExpungedChanged = false
  /** Announced messages that came with the entry being applied, by UID: told to the table together. */
  private readonly came = new Map<Uid, NewRow>()
  private origins = new Origins(this.table)
  /** While entries may be missing: files of messages that were purged. */
  private purgedPastGaps: Set<string> | undefined
  /** UIDs of messages that were found again after a loss; a delivery under way at that time may still add one of them. */
  private recovered: readonly [first: number, last: number] = [1, 0]

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The state of a mailbox that is made. */
  static empty(clock: Clock, uidValidity: number, uidNext: Uid = 1 as Uid): MailboxState {
    const state = new MailboxState(clock)
    state.uidValidity = uidValidity
    state.nextUid = uidNext
    state.nextRecentAfter = (uidNext - 1) as Uid
    state.publish()
    return state
  }

  get departed(): OriginMap<Departed> {
    return this.origins.departed
  }

  get weight(): number {
    const { departed, departedHashed } = this.origins
    return this.messages.length + this.expunged.length + departed.size + departedHashed.size
  }

  byUid(uid: Uid): StoredMessage | undefined {
    return this.messages.byUid(uid)
  }

  byOrigin(origin: string): OriginState | undefined {
    return this.origins.stateOf(origin)
  }

  /** Only the hash of this origin is known: whoever learns it commits `operations.origin`. */
  isHashed(origin: string): boolean {
    return this.origins.isHashed(origin)
  }

  delta(since: ModSeq, highestModSeq: ModSeq): MailboxDelta {
    return this.history.delta(since, highestModSeq, this.messages)
  }

  /** Origins are known at once, which is safe: the entry is durable. All else is seen when it is complete. */
  *apply(operation: Operation, number: number): Steps<Outcome> {
    const modSeq = number as ModSeq
    if (this.came.size > 0 && operation[0] !== 'add') yield* this.takeIn()
    switch (operation[0]) {
      case 'add':
        return this.add(operation as unknown as AddOperation, modSeq)
      case 'announce':
        return { announced: yield* this.announce(operation as unknown as AnnounceOperation, modSeq) }
      case 'flags':
        yield* this.changeFlags(operation as unknown as FlagsOperation, modSeq)
        return nothing
      case 'expunge':
        return { expunged: yield* this.expunge(operation as unknown as ExpungeOperation, modSeq) }
      case 'purge':
        yield* this.purge(operation[1] as string)
        return nothing
      case 'origin':
        this.nameOrigin(operation[1] as string, operation[2] as PackedUidl)
        return nothing
      case 'origins':
        yield* this.giveOrigins(operation as unknown as OriginsOperation, modSeq)
        return nothing
      case 'forget':
        for (const origin of operation.slice(1)) this.origins.departed.delete(origin as string)
        return nothing
      case 'recent': {
        const after = this.nextRecentAfter
        this.nextRecentAfter = Math.max(after, operation[1] as number) as Uid
        return { recent: { after, upTo: this.nextRecentAfter } }
      }
      case 'adopt':
        return { adopted: this.adopt(operation[1] as number, operation[2] as Uid) }
      case 'uidnext':
        this.nextUid = Math.max(this.nextUid, operation[1] as number) as Uid
        return nothing
      default:
        throw laterVersion(`A mailbox's log entry (${operation[0]})`)
    }
  }

  applied(number: number): void {
    this.publish()
    this.history.complete(number as ModSeq)
  }

  /** Readers see what the entry made. */
  private publish(): void {
    if (this.came.size > 0) finish(this.takeIn())
    this.uidNext = this.nextUid
    this.recentAfter = this.nextRecentAfter
    this.keywords = this.flagTable.keywords
    const { sets } = this.flagTable
    if (this.isTableChanged) this.messages = new StoredMessages(this.table.list(), sets)
    if (this.isExpungedChanged) this.expunged = new ExpungedMessages(this.expungedTable.list(), sets)
    this.isTableChanged = false
    this.isExpungedChanged = false
  }

  /** A message has a UID between the two, exclusive. */
  private isLive(from: Uid, to: Uid): boolean {
    const position = this.messages.positionOf((from + 1) as Uid)
    return position < this.messages.length && this.messages.uidAt(position) < to
  }

  private adopt(uidValidity: number, uidNext: Uid): boolean {
    if (uidValidity !== this.uidValidity) {
      if (!this.isUntouched) return false
      this.uidValidity = uidValidity
    }
    this.keptBelow = Math.max(this.keptBelow, uidNext) as Uid
    return true
  }

  /** No UID was given. */
  private get isUntouched(): boolean {
    return this.nextUid === 1
  }

  private add([, file, flags, uidl, longOrigin, uid, savedDate = 0]: AddOperation, modSeq: ModSeq): Outcome {
    // Only where entries are missing; its file is found by `recover`.
    if (uid < this.nextUid && this.purgedPastGaps !== undefined) return nothing
    const named = parseMessageFileName(file)
    if (named === undefined) throw new DamagedEntry('The log names a file that is no message')
    const flagsNumber = this.flagTable.number(flags)
    const origin = longOrigin ?? named.origin
    const known = origin === undefined ? undefined : this.byOrigin(origin)
    if (known !== undefined) {
      const row = known.present ? this.announcedRow(known.uid, origin!) : undefined
      if (row !== undefined) {
        this.came.set(known.uid, { ...row, file, named })
        return { delivered: { uid: known.uid } }
      }
      this.nameOrigin(origin!, uidl)
      return { delivered: { duplicateOf: known } }
    }
    const again = this.findRecovered(file)
    if (again !== undefined) return { delivered: { uid: again } }
    const added = Math.max(this.nextUid, uid) as Uid
    const modSeqs = { modSeq, addedModSeq: modSeq }
    this.addRow({ uid: added, file, named, flags: flagsNumber, ...modSeqs, savedDate, origin, uidl })
    return { delivered: { uid: added } }
  }

  private *announce(
    [, prefix, sets, numbers, uids, internalDates, sizes, flags, savedDate = 0]: AnnounceOperation,
    modSeq: ModSeq,
  ): Generator<undefined, number> {
    const flagNumbers = sets.map((set) => this.flagTable.number(set))
    const rows: AnnouncedRow[] = []
    const begun = beginHash(prefix)
    let nextUid: number = this.nextUid
    for (const [row, number] of numbers.entries()) {
      const origin = `${number}`
      const hash = endHash(origin, begun)
      if (this.origins.mayKnow(hash) && this.byOrigin(prefix + origin) !== undefined) continue
      const [internalDate, sizeOctets, set] = [internalDates[row], sizes[row], flagNumbers[flags[row] ?? -1]]
      const given = uids === null ? number : uids[row]
      if (internalDate === undefined || sizeOctets === undefined || set === undefined || given === undefined)
        throw new DamagedEntry('A row of the log makes no message')
      const uid = Math.max(nextUid, given)
      nextUid = uid + 1
      rows.push({ uid, internalDate, sizeOctets, savedDate, flags: set, origin, hash })
      this.history.added(uid as Uid)
    }
    this.isTableChanged = true
    this.table.announce(prefix, rows, modSeq)
    this.nextUid = nextUid as Uid
    this.origins.announced(rows)
    yield
    return rows.length
  }

  /** The row of an announced message; undefined for one that is here, or came with this entry. */
  private announcedRow(uid: Uid, origin: string): NewRow | undefined {
    const found = this.table.find(uid)
    if (found === undefined || found.chunk.isHere(found.row) || this.came.has(uid)) return undefined
    return this.rowWith(uid, origin, packUidl(found.chunk.uidlOf(found.row), origin))
  }

  /** Announced messages have their files. */
  private *takeIn(): Generator<undefined, void> {
    const rows = [...this.came.values()].sort((a, b) => a.uid - b.uid)
    this.came.clear()
    this.isTableChanged = true
    yield* this.table.replace(rows)
  }

  private addRow(row: NewRow & { readonly uid: Uid }): void {
    this.isTableChanged = true
    this.table.add(row)
    this.nextUid = (row.uid + 1) as Uid
    this.origins.arrived(row.uid, row.origin, row.named.originHash)
    this.history.added(row.uid)
  }

  /** Somebody came with an origin of which only the hash is known. */
  private nameOrigin(origin: string, uidl: PackedUidl): void {
    if (!this.origins.isHashed(origin)) return
    const uid = this.origins.learn(origin)
    const row = uid === undefined ? undefined : this.rowWith(uid, origin, uidl)
    if (row === undefined) return
    this.isTableChanged = true
    finish(this.table.replace([row]))
  }

  private *giveOrigins([, ...given]: OriginsOperation, modSeq: ModSeq): Generator<undefined, void> {
    const rows = new Map<Uid, { readonly row: NewRow; readonly before: Row; readonly origin: string }>()
    /** The table does not have them before the end. */
    const taken = new Set<string>()
    for (const [number, origin] of given) {
      const uid = number as Uid
      if (uid >= this.nextUid || rows.has(uid) || taken.has(origin) || this.byOrigin(origin) !== undefined) continue
      const before = this.table.find(uid)
      const row = this.rowWith(uid, origin, packUidl(before?.chunk.uidlOf(before.row), origin))
      if (before !== undefined && row !== undefined) {
        rows.set(uid, { row, before, origin })
        taken.add(origin)
      } else if (this.purgedPastGaps === undefined) {
        // Where entries are missing nobody knows whether it left.
        this.origins.departed.set(origin, { present: false, uid, cause: 'client', modSeq })
      }
    }
    this.isTableChanged = true
    yield* this.table.replace(Array.from(rows.values(), ({ row }) => row).sort((a, b) => a.uid - b.uid))
    for (const { before, origin } of rows.values()) this.origins.renamed(before, origin)
  }

  /** What the table has of a message, with another origin. */
  private rowWith(uid: Uid, origin: string, uidl: PackedUidl): NewRow | undefined {
    const found = this.table.find(uid)
    if (found === undefined) return undefined
    const { chunk, row } = found
    const file = chunk.fileOf(row)
    return {
      uid,
      file,
      named: parseMessageFileName(file)!,
      flags: chunk.columns.flags[row]!,
      modSeq: chunk.columns.modSeqs[row]!,
      addedModSeq: chunk.columns.addedModSeqs[row]!,
      savedDate: chunk.columns.savedDates[row]!,
      origin,
      uidl,
    }
  }

  private findRecovered(file: string): Uid | undefined {
    const [first, last] = this.recovered
    return last < first ? undefined : (this.table.findFile(file, first, last) as Uid | undefined)
  }

  private *changeFlags([, mode, flags, uids]: FlagsOperation, modSeq: ModSeq): Generator<undefined, void> {
    const change = this.flagTable.number(flags)
    /** From one shared set to another: found once, not for every message. */
    const transitions: number[] = []
    const to = (from: number): number => {
      transitions[from] ??= this.flagTable.changed(from, mode, change)
      return transitions[from]
    }
    this.isTableChanged = true
    yield* this.table.changeFlags(parseUids(uids), to, modSeq, (uids) => {
      this.changes += uids.length
      this.history.updated(uids)
    })
  }

  private *expunge([, cause, uids, at]: ExpungeOperation, modSeq: ModSeq): Generator<undefined, Uid[][]> {
    yield* this.history.makeRoom((from, to) => this.isLive(from, to))
    const expunged: Uid[][] = []
    this.isTableChanged = true
    this.isExpungedChanged = true
    yield* this.table.remove(parseUids(uids), (rows) => {
      const uids = Array.from(rows.rows, (row) => rows.chunk.columns.uids[row]! as Uid)
      for (const uid of uids) this.history.expunged(uid, modSeq)
      this.changes += uids.length
      expunged.push(uids)
      this.origins.left(rows, cause, modSeq)
      this.expungedTable.add(rows, at, cause)
    })
    return expunged
  }

  private purge(uids: string): Generator<undefined, void> {
    this.isExpungedChanged = true
    return this.expungedTable.purge(parseUids(uids), ({ chunk, rows }) => {
      for (const row of rows) this.purgedPastGaps?.add(chunk.fileOf(row))
    })
  }

  image(): Iterable<Uint8Array> {
    const { uidValidity, uidNext, recentAfter, keptBelow, recovered, origins } = this
    const vanished = this.history.vanished()
    return imageOf({
      head: {
        uidValidity,
        uidNext,
        recentAfter,
        keptBelow,
        recovered,
        keywords: [...this.keywords],
        hashed: [...origins.hashed],
        joinAbove: vanished.joinAbove,
      },
      sets: this.flagTable.sets,
      departed: origins.departed,
      departedHashed: origins.departedHashed,
      vanished,
      messages: this.messages.chunks,
      expunged: this.expunged.chunks,
    })
  }

  async load(image: Buffer): Promise<void> {
    const { head, sets, departed, departedHashed, vanished, messages, expunged } = await partsOf(image)
    this.uidValidity = head.uidValidity
    this.nextUid = head.uidNext as Uid
    this.nextRecentAfter = head.recentAfter as Uid
    this.keptBelow = (head.keptBelow ?? 1) as Uid
    this.recovered = head.recovered
    this.flagTable = new FlagTable(head.keywords, sets)
    if (this.flagTable.sets.length !== sets.length) throw new DamagedEntry('A mailbox names the same flags twice')
    this.table = new MessageTable(messages)
    this.expungedTable = new ExpungedTable(expunged)
    this.origins = new Origins(this.table, departed, departedHashed, head.hashed)
    this.history = new History()
    this.history.load({ ranges: vanished, count: vanished.length, joinAbove: head.joinAbove })
    this.isTableChanged = true
    this.isExpungedChanged = true
    this.publish()
  }

  /** UIDs mean the same. */
  get meaning(): number {
    return this.uidValidity
  }

  expectGaps(): void {
    this.purgedPastGaps = new Set()
  }

  /**
   * Adds the message files that no readable entry names, except those that one removes. A message whose file went is not there. The UIDs
   * that clients know may be others now, hence a new UIDVALIDITY.
   */
  async recover(fs: StoreFs, directory: string): Promise<void> {
    this.publish()
    const purged = this.purgedPastGaps ?? new Set()
    this.purgedPastGaps = undefined
    const first = this.nextUid
    const folder = `${directory}/msg`
    const files = await unlessAbsent(fs.list(folder))
    if (files !== undefined) {
      const listed = new Set(files.map((entry) => entry.name))
      await this.dropMissing(listed, fs, folder)
      for await (const { file, longOrigin } of unknownFiles(listed, this, this.origins, purged, fs, folder)) {
        const named = parseMessageFileName(file)!
        const origin = named.origin ?? longOrigin
        if (origin !== undefined) this.origins.departed.delete(origin)
        if (named.originHash !== undefined) this.origins.departedHashed.delete(named.originHash)
        const modSeq = 1
        const flags = this.flagTable.number([])
        const added = { uid: this.nextUid, modSeq, addedModSeq: modSeq, savedDate: 0 }
        this.addRow({ ...added, file, named, flags, origin, uidl: null })
      }
    }
    this.publish()
    this.recovered = [first, this.uidNext - 1]
    this.keptBelow = 1 as Uid
    this.uidValidity = Math.min(maxUid, Math.max(this.uidValidity + 1, Math.floor(this.clock.now() / 1000)))
  }

  /** Their expunge, or their purge, is among what was lost. */
  private async dropMissing(listed: ReadonlySet<string>, fs: StoreFs, folder: string): Promise<void> {
    const ranges = (uids: readonly Uid[]) => uids.toSorted((a, b) => a - b).map((uid) => ({ first: uid, last: uid }))
    const gone = await missingUids(this.messages, listed, fs, folder)
    const expunged = Array.from(this.expunged, ({ message }) => message)
    const purged = await missingUids(expunged, listed, fs, folder)
    this.isTableChanged = true
    this.isExpungedChanged = true
    finish(this.table.remove(ranges(gone), (rows: Rows) => this.origins.dropped(rows)))
    finish(this.expungedTable.purge(ranges(purged), () => {}))
    this.publish()
  }
}

function finish(steps: Generator<undefined, void>): void {
  while (steps.next().done !== true);
}
