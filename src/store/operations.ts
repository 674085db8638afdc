/** The operations of a mailbox's log entries, as they are written. */

import type { Uid } from '../base/ids.ts'
import type { Announcement } from './announcement.ts'
import type { Operation } from './change-set.ts'
import type { PackedUidl } from './chunk.ts'
import type { FlagMode } from './flags.ts'
import { parseMessageFileName } from './message-file.ts'
import { packUidl } from './record.ts'
import type { ExpungeCause, Flag, GivenUids } from './types.ts'
import { formatUids } from './uid-set.ts'

/** Of a message to be added. `origin` may be long, then the file name has only its hash. */
export interface Addition {
  readonly file: string
  readonly flags: readonly Flag[]
  readonly origin: string | undefined
  readonly uidl: string | undefined
  /** Named in the log although its order tells it: when an entry before this one is lost, later ones still mean what they meant. */
  readonly uid: Uid
}

/** `longOrigin`: where the file name doesn't carry it. */
export type AddOperation = readonly [
  word: 'add',
  file: string,
  flags: readonly Flag[],
  uidl: PackedUidl,
  longOrigin: string | null,
  uid: number,
  /** Seconds since 1970; absent in entries of earlier versions. */
  savedDate: number,
]
/** Messages whose octets come later, in columns, ascending. */
export type AnnounceOperation = readonly [
  word: 'announce',
  /** Of the origins. */
  prefix: string,
  sets: readonly (readonly Flag[])[],
  /** Behind the prefix. */
  numbers: readonly number[],
  /** Null: the numbers. */
  uids: readonly number[] | null,
  internalDates: readonly number[],
  sizes: readonly number[],
  /** Index in `sets`. */
  flags: readonly number[],
  /** Seconds since 1970; absent in entries of earlier versions. */
  savedDate: number,
]
export type OriginsOperation = readonly [word: 'origins', ...given: (readonly [uid: number, origin: string])[]]
export type FlagsOperation = readonly [word: 'flags', mode: FlagMode, flags: readonly Flag[], uids: string]
/** `at`: seconds since 1970. */
export type ExpungeOperation = readonly [word: 'expunge', cause: ExpungeCause, uids: string, at: number]

export const operations = {
  add(message: Addition, savedDate: number): AddOperation {
    const named = parseMessageFileName(message.file)
    const origin = message.origin === named?.origin ? null : (message.origin ?? null)
    return ['add', message.file, message.flags, packUidl(message.uidl, message.origin), origin, message.uid, savedDate]
  },
  /** Of the rows from `from` on, one for each of `uids`. `sets`: the announcement's, as the mailbox spells them. */
  announce(
    { prefix, numbers, internalDates, sizes, flags }: Announcement,
    sets: readonly (readonly Flag[])[],
    from: number,
    uids: readonly number[],
    savedDate: number,
  ): AnnounceOperation {
    const rows = (column: Uint32Array | Float64Array) => Array.from(column.subarray(from, from + uids.length))
    const isSame = uids.every((uid, row) => uid === numbers[from + row])
    const used = [...new Set(rows(flags))]
    const own = new Map(used.map((set, index) => [set, index]))
    return [
      'announce',
      prefix,
      used.map((set) => sets[set]!),
      rows(numbers),
      isSame ? null : uids,
      rows(internalDates),
      rows(sizes),
      rows(flags).map((set) => own.get(set)!),
      savedDate,
    ]
  },
  origin: (origin: string, uidl: string | undefined): Operation => ['origin', origin, packUidl(uidl, origin)],
  /** Messages that are there already come from these origins. */
  origins: (given: readonly (readonly [uid: Uid, origin: string])[]): OriginsOperation => ['origins', ...given],
  flags: (mode: FlagMode, flags: readonly Flag[], uids: readonly Uid[]): FlagsOperation => [
    'flags',
    mode,
    flags,
    formatUids(uids),
  ],
  expunge: (cause: ExpungeCause, uids: readonly Uid[], at: number): ExpungeOperation => [
    'expunge',
    cause,
    formatUids(uids),
    at,
  ],
  /** What was expunged can't be brought back any more, and the files may go. */
  purge: (uids: readonly Uid[]): Operation => ['purge', formatUids(uids)],
  forget: (origins: readonly string[]): Operation => ['forget', ...origins],
  recent: (upTo: Uid): Operation => ['recent', upTo],
  /** UIDs below `uidNext` are kept free for messages that come with them; an untouched mailbox takes UIDVALIDITY over as well. */
  adopt: ({ uidValidity, uidNext }: GivenUids): Operation => ['adopt', uidValidity, uidNext],
  /** UIDs below this one, as far as they are still free, are given to nobody. */
  uidNext: (uidNext: Uid): Operation => ['uidnext', uidNext],
}

/** UIDs planned before others get their turn: a few ms. */
const uidsPerTurn = 50_000

/** For the plan of a commit: an operation for each piece of the UIDs, with a turn for others after it; undefined where there is nothing to do. */
export function* inPieces(
  uids: readonly Uid[],
  operationFor: (piece: readonly Uid[]) => Operation | undefined,
): Iterable<Operation | undefined> {
  for (let at = 0; at < uids.length; at += uidsPerTurn) {
    if (at > 0) yield undefined
    const operation = operationFor(uids.length <= uidsPerTurn ? uids : uids.slice(at, at + uidsPerTurn))
    if (operation !== undefined) yield operation
  }
}
