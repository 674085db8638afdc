/** Makes chunks: row by row at the end of a mailbox, or of rows of other chunks. */

import {
  Chunk,
  type Columns,
  chunkRows,
  digestWords,
  formBits,
  formOf,
  forms,
  type OddRow,
  type OriginColumns,
  type PackedUidl,
} from './chunk.ts'
import { copyNumbers, copyRows, type NumberColumn, rowsFor, withNumber, withRoom } from './columns.ts'
import { announcedUnique, type MessageFile, messageFileName } from './message-file.ts'
import { hashOrigin } from './origin-index.ts'

/** A message as the log adds it. */
export interface NewRow {
  readonly uid: number
  readonly file: string
  /** What `file` tells. */
  readonly named: MessageFile
  readonly modSeq: number
  readonly addedModSeq: number
  readonly savedDate: number
  readonly origin: string | undefined
  readonly uidl: PackedUidl
  /** Its number in the flag table. */
  readonly flags: number
}

/** A message whose octets have not come. */
export interface AnnouncedRow {
  readonly uid: number
  readonly internalDate: number
  readonly sizeOctets: number
  readonly savedDate: number
  /** Its number in the flag table. */
  readonly flags: number
  /** Behind what many have in common, a number. */
  readonly origin: string
  /** Of all of it: `hashOrigin`. */
  readonly hash: number
}

/** Characters of a name that all names of one process begin with, and the counter behind them that 32 bits can have. */
const uniqueStartLength = 16
const counterPattern = /^[1-9a-z][0-9a-z]{0,5}$/
const prefixMask = (1 << formBits) - 1

type Growing<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] }

export class ChunkBuilder {
  private readonly most: number
  private readonly columns: Growing<Columns>
  private origins: Growing<OriginColumns> | undefined
  private uniques = new Map<string, number>()
  private prefixes = new Map<string, number>()

  /** `most`: rows that can come. */
  constructor(most = chunkRows) {
    this.most = most
    const room = rowsFor(0, most)
    this.columns = {
      count: 0,
      uids: new Uint32Array(room),
      internalDates: new Uint32Array(room),
      sizes: new Uint32Array(room),
      digests: new Uint32Array(room * digestWords),
      addedModSeqs: new Uint32Array(room),
      savedDates: new Uint32Array(room),
      uniqueStarts: new Uint16Array(room),
      uniques: [],
      counters: new Uint32Array(room),
      origins: undefined,
      flags: new Uint32Array(room),
      modSeqs: new Uint32Array(room),
    }
  }

  /** A chunk of some rows of others, `parts`, in that order. */
  static chunkOf(...parts: readonly (readonly [chunk: Chunk, rows: ArrayLike<number>])[]): Chunk {
    const builder = new ChunkBuilder(parts.reduce((sum, [, rows]) => sum + rows.length, 0))
    for (const [chunk, rows] of parts) builder.take(chunk, rows)
    return builder.chunk()
  }

  get isFull(): boolean {
    return this.columns.count === this.most
  }

  /** What there is by now. It stays what it is when more is added. */
  chunk(): Chunk {
    const { origins } = this
    if (origins === undefined) return new Chunk({ ...this.columns })
    const text = this.isFull ? trimmed(origins) : origins.text
    return new Chunk({ ...this.columns, origins: { ...origins, text } })
  }

  /** The flags of the rows changed; the builder goes on with these. */
  useFlags({ columns: { flags, modSeqs } }: Chunk): void {
    this.columns.flags = flags
    this.columns.modSeqs = modSeqs
  }

  add(message: NewRow): void {
    this.makeRoom(1)
    const { columns } = this
    const row = columns.count
    const { named } = message
    const digest = Buffer.from(named.digest, 'base64url')
    const [start, counter] = splitUnique(named.unique)
    for (let word = 0; word < digestWords; word += 1)
      columns.digests[row * digestWords + word] = digest.readUInt32LE(4 * word)
    columns.uniqueStarts[row] = numberOf(start, this.uniques, columns.uniques)
    columns.counters[row] = counter
    this.addOrigin(row, message, digest)
    this.addNumbers({ ...message, internalDate: named.internalDate, sizeOctets: named.sizeOctets })
  }

  /** One whose octets have not come: its digest is nothing but zeros, as those of a new row are. */
  announce(prefix: string, message: AnnouncedRow, modSeq: number): void {
    this.makeRoom(1)
    const { columns } = this
    const row = columns.count
    const origins = this.originColumns()
    columns.uniqueStarts[row] = numberOf(announcedUnique, this.uniques, columns.uniques)
    origins.forms[row] = (forms.origin << formBits) | numberOf(prefix, this.prefixes, origins.prefixes)
    origins.hashes[row] = message.hash
    this.appendText(row, Buffer.from(message.origin))
    this.addNumbers({ ...message, modSeq, addedModSeq: modSeq })
  }

  /** The last of what a new row has. */
  private addNumbers(message: Omit<AnnouncedRow, 'origin' | 'hash'> & Pick<NewRow, 'modSeq' | 'addedModSeq'>): void {
    const { columns } = this
    const row = columns.count
    columns.uids[row] = message.uid
    columns.internalDates = withNumber(columns.internalDates, row, message.internalDate)
    columns.sizes = withNumber(columns.sizes, row, message.sizeOctets)
    columns.addedModSeqs = withNumber(columns.addedModSeqs, row, message.addedModSeq)
    columns.savedDates[row] = message.savedDate
    columns.flags[row] = message.flags
    columns.modSeqs = withNumber(columns.modSeqs, row, message.modSeq)
    columns.count += 1
  }

  /** Adds rows of another chunk, in the order of `rows`. */
  take({ columns: from }: Chunk, rows: ArrayLike<number>): void {
    this.makeRoom(rows.length)
    const { columns: to } = this
    const at = to.count
    copyRows(to.uids, at, from.uids, rows)
    to.internalDates = copyNumbers(to.internalDates, at, from.internalDates, rows)
    to.sizes = copyNumbers(to.sizes, at, from.sizes, rows)
    for (let index = 0; index < rows.length; index += 1)
      for (let word = 0; word < digestWords; word += 1)
        to.digests[(at + index) * digestWords + word] = from.digests[rows[index]! * digestWords + word]!
    to.addedModSeqs = copyNumbers(to.addedModSeqs, at, from.addedModSeqs, rows)
    copyRows(to.savedDates, at, from.savedDates, rows)
    const starts = renumbered(from.uniques, this.uniques, to.uniques)
    for (let index = 0; index < rows.length; index += 1)
      to.uniqueStarts[at + index] = starts(from.uniqueStarts[rows[index]!]!)
    copyRows(to.counters, at, from.counters, rows)
    copyRows(to.flags, at, from.flags, rows)
    to.modSeqs = copyNumbers(to.modSeqs, at, from.modSeqs, rows)
    if (from.origins !== undefined) this.takeOrigins(at, from.origins, rows)
    else this.endTexts(at, rows.length)
    to.count += rows.length
  }

  private makeRoom(rows: number): void {
    const { columns } = this
    const needed = columns.count + rows
    if (needed > this.most) throw new RangeError('a chunk is full')
    if (needed <= columns.uids.length) return
    const room = rowsFor(needed, this.most)
    columns.uids = withRoom(columns.uids, room)
    columns.internalDates = withRoom<NumberColumn>(columns.internalDates, room)
    columns.sizes = withRoom<NumberColumn>(columns.sizes, room)
    columns.digests = withRoom(columns.digests, room * digestWords)
    columns.addedModSeqs = withRoom<NumberColumn>(columns.addedModSeqs, room)
    columns.savedDates = withRoom(columns.savedDates, room)
    columns.uniqueStarts = withRoom(columns.uniqueStarts, room)
    columns.counters = withRoom(columns.counters, room)
    columns.flags = withRoom(columns.flags, room)
    columns.modSeqs = withRoom<NumberColumn>(columns.modSeqs, room)
    const { origins } = this
    if (origins === undefined) return
    origins.forms = withRoom(origins.forms, room)
    origins.ends = withRoom(origins.ends, room)
    origins.hashes = withRoom(origins.hashes, room)
  }

  private addOrigin(row: number, message: NewRow, digest: Buffer): void {
    const { origin, named } = message
    const { originHash, ...rest } = named
    const hash = origin === undefined ? originHash : undefined
    const name = () => messageFileName({ ...rest, origin, ...(hash === undefined ? {} : { originHash: hash }) })
    const { file } = message
    const isOdd = name() !== file || digest.toString('base64url') !== named.digest
    if (origin === undefined && hash === undefined && message.uidl === null && !isOdd) {
      this.endTexts(row, 1)
      return
    }
    const origins = this.originColumns()
    const split = isOdd || origin === undefined ? undefined : splitOrigin(origin, message.uidl)
    const odd: OddRow = [origin ?? null, message.uidl, hash ?? null, isOdd ? file : null]
    if (split === undefined) origins.forms[row] = forms.odd << formBits
    else origins.forms[row] = (split.form << formBits) | numberOf(split.prefix, this.prefixes, origins.prefixes)
    origins.hashes[row] = origin === undefined ? 0 : hashOrigin(origin)
    this.appendText(row, Buffer.from(split?.text ?? JSON.stringify(odd)))
  }

  private takeOrigins(at: number, from: OriginColumns, rows: ArrayLike<number>): void {
    const origins = this.originColumns()
    const prefixes = renumbered(from.prefixes, this.prefixes, origins.prefixes)
    for (let index = 0; index < rows.length; index += 1) {
      const row = rows[index]!
      const form = formOf(from, row)
      const hasPrefix = form === forms.origin || form === forms.originAndUidl
      origins.forms[at + index] = (form << formBits) | (hasPrefix ? prefixes(from.forms[row]! & prefixMask) : 0)
      this.appendText(at + index, from.text, row === 0 ? 0 : from.ends[row - 1]!, from.ends[row]!)
    }
    copyRows(origins.hashes, at, from.hashes, rows)
  }

  private originColumns(): Growing<OriginColumns> {
    const room = this.columns.uids.length
    this.origins ??= {
      forms: new Uint16Array(room),
      prefixes: [],
      ends: new Uint32Array(room),
      text: Buffer.alloc(0),
      hashes: new Uint32Array(room),
    }
    return this.origins
  }

  /** These rows have no text. */
  private endTexts(row: number, count: number): void {
    if (this.origins === undefined) return
    const { ends } = this.origins
    ends.fill(row === 0 ? 0 : ends[row - 1]!, row, row + count)
  }

  private appendText(row: number, text: Buffer, from = 0, to = text.length): void {
    const origins = this.origins!
    const start = row === 0 ? 0 : origins.ends[row - 1]!
    const end = start + to - from
    if (end > origins.text.length) {
      const room = Buffer.from(new ArrayBuffer(Math.max(64, 2 * end)))
      origins.text.copy(room, 0, 0, start)
      origins.text = room
    }
    text.copy(origins.text, start, from, to)
    origins.ends[row] = end
  }
}

/** Its number in `list`, where it is put if it isn't there. */
function numberOf(text: string, numbers: Map<string, number>, list: readonly string[]): number {
  let number = numbers.get(text)
  if (number === undefined) {
    number = (list as string[]).push(text) - 1
    numbers.set(text, number)
  }
  return number
}

/** What the numbers of one list of texts are in another one. */
function renumbered(from: readonly string[], numbers: Map<string, number>, to: readonly string[]) {
  const known: number[] = []
  return (number: number): number => {
    known[number] ??= numberOf(from[number]!, numbers, to)
    return known[number]
  }
}

function splitUnique(unique: string): readonly [start: string, counter: number] {
  const rest = unique.slice(uniqueStartLength)
  const counter = counterPattern.test(rest) ? Number.parseInt(rest, 36) : 0
  return counter === 0 ? [unique, 0] : [unique.slice(0, uniqueStartLength), counter]
}

/** The prefix that other origins are likely to have as well; undefined for what is better told as it is. */
function splitOrigin(origin: string, uidl: PackedUidl) {
  if (typeof uidl === 'string' || (typeof uidl === 'number' && uidl > origin.length)) return undefined
  const length = uidl === null ? Math.max(origin.lastIndexOf(':'), origin.lastIndexOf('/')) + 1 : origin.length - uidl
  const text = origin.slice(length)
  if (!text.isWellFormed()) return undefined
  return { form: uidl === null ? forms.origin : forms.originAndUidl, prefix: origin.slice(0, length), text }
}

/** The text without the room behind it. */
function trimmed({ text, ends }: OriginColumns): Buffer {
  const octets = ends.at(-1)!
  const copy = Buffer.from(new ArrayBuffer(octets))
  text.copy(copy, 0, 0, octets)
  return copy
}
