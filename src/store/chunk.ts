/**
 * Messages in columns: up to 1,024 of them, told octet for octet in a fifth of the memory that objects need. A chunk never changes. The one at
 * the end shares its columns with the builder that goes on behind its last row.
 */

import type { NumberColumn } from './columns.ts'
import { announcedUnique, messageFileName } from './message-file.ts'
import type { Flag } from './types.ts'

export const chunkRows = 1024
/** Words of 32 bits of a SHA-256. */
export const digestWords = 8

/** What the text of a row tells, beside the number of its prefix in `OriginColumns.forms`. */
export const forms = {
  none: 0,
  /** The origin behind the prefix. */
  origin: 1,
  /** The same, and it is the UIDL as well. */
  originAndUidl: 2,
  /** An `OddRow` as JSON. */
  odd: 3,
} as const
export const formBits = 14

/** A UIDL as the log has it: null for none, its length where it is the end of the origin, as mostly, else itself. */
export type PackedUidl = null | number | string

/** What doesn't fit the columns. `file` where the name can't be made from them. */
export type OddRow = readonly [origin: string | null, uidl: PackedUidl, originHash: string | null, file: string | null]

/** Where messages come from. */
export interface OriginColumns {
  /** Form, and below `formBits` the number of the prefix. */
  readonly forms: Uint16Array
  readonly prefixes: readonly string[]
  /** Where the row's part of `text` (UTF-8) ends; it begins where that of the row before ends. */
  readonly ends: Uint32Array
  readonly text: Buffer
  /** `hashOrigin`, 0 for a row without origin. */
  readonly hashes: Uint32Array
}

export interface Columns {
  readonly count: number
  readonly uids: Uint32Array
  readonly internalDates: NumberColumn
  readonly sizes: NumberColumn
  /** SHA-256, `digestWords` for each row. */
  readonly digests: Uint32Array
  readonly addedModSeqs: NumberColumn
  /** When it came into the mailbox, seconds since 1970; 0 where nobody noted it. RFC 8514 */
  readonly savedDates: Uint32Array
  /** The unique part of a file name: which of `uniques` it begins with, and the counter behind it, in base 36; 0 for none. */
  readonly uniqueStarts: Uint16Array
  readonly uniques: readonly string[]
  readonly counters: Uint32Array
  /** Undefined when no row has an origin. */
  readonly origins: OriginColumns | undefined
  /** Numbers of the flag table. */
  readonly flags: Uint32Array
  readonly modSeqs: NumberColumn
}

/** Of the messages of one chunk. */
export interface Totals {
  readonly unseen: number
  readonly deleted: number
  readonly sizeOctets: number
}

export class Chunk {
  readonly columns: Columns
  private totalled: Totals | undefined
  /** Number of the unique part that announced messages have; -1 where there are none. */
  private announcedStart: number | undefined

  constructor(columns: Columns) {
    this.columns = columns
  }

  get count(): number {
    return this.columns.count
  }
  get lastUid(): number {
    return this.columns.uids[this.columns.count - 1]!
  }

  /** The first row with this UID or a higher one; `count` where there is none. */
  rowOf(uid: number): number {
    const { uids, count } = this.columns
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (uids[middle]! < uid) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Its octets have come. */
  isHere(row: number): boolean {
    return !this.hasAnnounced || this.columns.uniqueStarts[row] !== this.announcedStart
  }

  /** Some of its messages may not be here: whether they are, each row tells. */
  get hasAnnounced(): boolean {
    this.announcedStart ??= this.columns.uniques.indexOf(announcedUnique)
    return this.announcedStart >= 0
  }

  digestOf(row: number): string {
    return this.oddRow(row)?.[3]?.slice(-43) ?? this.digestInColumn(row)
  }

  fileOf(row: number): string {
    const { columns } = this
    const odd = this.oddRow(row)
    const [, , hash = null, file = null] = odd ?? []
    if (file !== null) return file
    const counter = columns.counters[row]!
    return messageFileName({
      internalDate: columns.internalDates[row]!,
      sizeOctets: columns.sizes[row]!,
      origin: this.originOf(row),
      unique: columns.uniques[columns.uniqueStarts[row]!]! + (counter === 0 ? '' : counter.toString(36)),
      digest: this.digestInColumn(row),
      ...(hash === null ? {} : { originHash: hash }),
    })
  }

  originOf(row: number): string | undefined {
    const { origins } = this.columns
    const form = formOf(origins, row)
    if (origins === undefined || form === forms.none) return undefined
    if (form === forms.odd) return this.oddRow(row)![0] ?? undefined
    return origins.prefixes[origins.forms[row]! & prefixMask]! + textOf(origins, row)
  }

  uidlOf(row: number): string | undefined {
    const { origins } = this.columns
    const form = formOf(origins, row)
    if (form === forms.originAndUidl) return textOf(origins!, row)
    if (form !== forms.odd) return undefined
    const [origin, uidl] = this.oddRow(row)!
    return typeof uidl === 'number' ? origin?.slice(-uidl) : (uidl ?? undefined)
  }

  /** base64url SHA-256 of an origin of which nothing else is known. */
  originHashOf(row: number): string | undefined {
    return this.oddRow(row)?.[2] ?? undefined
  }

  /** The same messages with other flags. */
  withFlags(flags: Uint32Array, modSeqs: NumberColumn): Chunk {
    return new Chunk({ ...this.columns, flags, modSeqs })
  }

  /** Counted once. `sets` are those that the numbers in `flags` mean. */
  totals(sets: readonly ReadonlySet<Flag>[]): Totals {
    this.totalled ??= totalsOf(this.columns, sets)
    return this.totalled
  }

  private digestInColumn(row: number): string {
    const { buffer, byteOffset } = this.columns.digests
    return Buffer.from(buffer, byteOffset + row * digestOctets, digestOctets).toString('base64url')
  }

  private oddRow(row: number): OddRow | undefined {
    const { origins } = this.columns
    return formOf(origins, row) === forms.odd ? (JSON.parse(textOf(origins!, row)) as OddRow) : undefined
  }
}

const digestOctets = 4 * digestWords
const prefixMask = (1 << formBits) - 1

export function formOf(origins: OriginColumns | undefined, row: number): number {
  return origins === undefined ? forms.none : origins.forms[row]! >>> formBits
}

function textOf({ ends, text }: OriginColumns, row: number): string {
  return text.toString('utf8', row === 0 ? 0 : ends[row - 1]!, ends[row]!)
}

function totalsOf({ count, flags, sizes }: Columns, sets: readonly ReadonlySet<Flag>[]): Totals {
  let [unseen, deleted, sizeOctets] = [0, 0, 0]
  // Neighbours mostly have the same flags.
  let [known, seenOne, deletedOne] = [-1, 0, 0]
  for (let row = 0; row < count; row += 1) {
    sizeOctets += sizes[row]!
    if (flags[row] !== known) {
      known = flags[row]!
      seenOne = sets[known]!.has('\\Seen') ? 1 : 0
      deletedOne = sets[known]!.has('\\Deleted') ? 1 : 0
    }
    unseen += 1 - seenOne
    deleted += deletedOne
  }
  return { unseen, deleted, sizeOctets }
}
