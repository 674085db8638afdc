/**
 * The octets of a mailbox's state: sections, each with its kind and its length in octets (32 bits each) before it and filled up to a
 * multiple of 8. A chunk's columns lie in the image as they lie in memory, lowest octet first, so that reading it is making views.
 */

import { DamagedEntry } from './change-set.ts'
import { Chunk, type Columns, chunkRows, digestWords, type OriginColumns } from './chunk.ts'
import type { NumberColumn } from './columns.ts'
import type { ExpungedChunk } from './expunged.ts'

const alignment = 8
const frameOctets = 8

export const sections = { head: 1, departed: 2, departedHashed: 3, vanished: 4, messages: 5, expunged: 6 } as const

interface Section {
  readonly kind: number
  readonly length: number
  readonly body: SectionReader
}

/** Among the bits that tell which columns are wide: save dates stand at the end. Images of earlier versions have none. */
const hasSavedDates = 1 << 16
const noSavedDates = new Uint32Array(chunkRows)

type Column = Uint16Array | Uint32Array | Float64Array
type ColumnType<Of extends Column> = {
  new (buffer: ArrayBufferLike, offset: number, length: number): Of
  readonly BYTES_PER_ELEMENT: number
}

/** One section with these octets. */
export function section(kind: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const frame = Buffer.alloc(frameOctets)
  frame.writeUInt32LE(kind, 0)
  frame.writeUInt32LE(length, 4)
  return [frame, ...pieces, ...padding(length)]
}

export const json = (value: unknown): Uint8Array[] => [Buffer.from(JSON.stringify(value))]

/** `flagsOf`: what the numbers in `flags` are in the image. */
export function chunkOctets({ columns }: Chunk, flagsOf: Uint32Array): Uint8Array[] {
  const { count, origins } = columns
  const names = Buffer.from(JSON.stringify([columns.uniques, origins?.prefixes ?? null]))
  const textOctets = origins?.ends[count - 1] ?? 0
  const flags = new Uint32Array(count)
  for (let row = 0; row < count; row += 1) flags[row] = flagsOf[columns.flags[row]!]!
  const numbers = [columns.internalDates, columns.sizes, columns.addedModSeqs, columns.modSeqs]
  const wide = numbers.reduce(
    (bits, column, index) => bits | (column instanceof Float64Array ? 1 << index : 0),
    hasSavedDates,
  )
  return [
    ...part(Uint32Array.of(count, wide, names.length, textOctets), 4),
    names,
    ...padding(names.length),
    ...numbers.flatMap((column) => part(column, count)),
    ...part(columns.uids, count),
    ...part(columns.digests, count * digestWords),
    ...part(columns.uniqueStarts, count),
    ...part(columns.counters, count),
    ...part(flags, count),
    ...(origins === undefined ? [] : originOctets(origins, count, textOctets)),
    // Behind all that earlier versions know, which do not look here.
    ...part(columns.savedDates, count),
  ]
}

function originOctets({ forms, ends, hashes, text }: OriginColumns, count: number, textOctets: number): Uint8Array[] {
  return [
    ...part(forms, count),
    ...part(ends, count),
    ...part(hashes, count),
    text.subarray(0, textOctets),
    ...padding(textOctets),
  ]
}

export function expungedOctets({ chunk, times, causes }: ExpungedChunk, flagsOf: Uint32Array): Uint8Array[] {
  const { count } = chunk
  return [
    ...part(Uint32Array.of(count, times instanceof Float64Array ? 1 : 0), 2),
    ...part(times, count),
    ...part(causes, count),
    ...chunkOctets(chunk, flagsOf),
  ]
}

/** The sections of an image that `section` made. Throws DamagedEntry. */
export function* sectionsOf(image: Buffer): Iterable<Section> {
  if (image.byteOffset % alignment !== 0) throw new RangeError('an image is not aligned')
  for (let at = 0; at < image.length; ) {
    if (at + frameOctets > image.length) throw damaged()
    const kind = image.readUInt32LE(at)
    const start = at + frameOctets
    const end = start + image.readUInt32LE(at + 4)
    if (end > image.length) throw damaged()
    yield { kind, length: end - start, body: new SectionReader(image.subarray(start, end)) }
    at = end + paddingOf(end - start)
  }
}

/** Reads a section front to back. Throws DamagedEntry where it ends too early. */
export class SectionReader {
  private readonly octets: Buffer
  private at = 0

  constructor(octets: Buffer) {
    this.octets = octets
  }

  json(): unknown {
    return JSON.parse(this.octets.toString())
  }

  chunk(): Chunk {
    const [count, wide, namesOctets, textOctets] = this.column(Uint32Array, 4) as unknown as [
      number,
      number,
      number,
      number,
    ]
    if (count === 0 || count > chunkRows) throw damaged()
    const [uniques, prefixes] = JSON.parse(this.text(namesOctets).toString()) as [string[], string[] | null]
    const number = (index: number): NumberColumn => this.number((wide & (1 << index)) !== 0, count)
    const columns: Omit<Columns, 'savedDates'> = {
      count,
      internalDates: number(0),
      sizes: number(1),
      addedModSeqs: number(2),
      modSeqs: number(3),
      uids: this.column(Uint32Array, count),
      digests: this.column(Uint32Array, count * digestWords),
      uniqueStarts: this.column(Uint16Array, count),
      uniques,
      counters: this.column(Uint32Array, count),
      flags: this.column(Uint32Array, count),
      origins: prefixes === null ? undefined : this.origins(count, prefixes, textOctets),
    }
    const savedDates = (wide & hasSavedDates) !== 0 ? this.column(Uint32Array, count) : noSavedDates
    return new Chunk({ ...columns, savedDates })
  }

  expunged(): ExpungedChunk {
    const [count, wide] = this.column(Uint32Array, 2) as unknown as [number, number]
    const times = this.number(wide !== 0, count)
    const causes = this.column(Uint16Array, count)
    const chunk = this.chunk()
    if (chunk.count !== count) throw damaged()
    return { chunk, times, causes }
  }

  private origins(count: number, prefixes: readonly string[], textOctets: number): OriginColumns {
    const forms = this.column(Uint16Array, count)
    const ends = this.column(Uint32Array, count)
    const hashes = this.column(Uint32Array, count)
    if (ends[count - 1] !== textOctets) throw damaged()
    return { forms, prefixes, ends, hashes, text: this.text(textOctets) }
  }

  private number(isWide: boolean, count: number): NumberColumn {
    return isWide ? this.column(Float64Array, count) : this.column(Uint32Array, count)
  }

  private column<Of extends Column>(type: ColumnType<Of>, length: number): Of {
    const start = this.take(length * type.BYTES_PER_ELEMENT)
    return new type(this.octets.buffer, this.octets.byteOffset + start, length)
  }

  private text(octets: number): Buffer {
    const start = this.take(octets)
    return this.octets.subarray(start, start + octets)
  }

  /** Where the next so many octets begin. */
  private take(octets: number): number {
    const start = this.at
    const end = start + octets
    if (end > this.octets.length) throw damaged()
    this.at = end + paddingOf(octets)
    return start
  }
}

const damaged = () => new DamagedEntry('The octets of a mailbox are none that were written')

const paddingOf = (octets: number) => (alignment - (octets % alignment)) % alignment
const padding = (octets: number): Uint8Array[] => (paddingOf(octets) === 0 ? [] : [new Uint8Array(paddingOf(octets))])

/** The first elements of a column, as they lie in memory. */
function part(column: Column, length: number): Uint8Array[] {
  const octets = new Uint8Array(column.buffer, column.byteOffset, length * column.BYTES_PER_ELEMENT)
  return [octets, ...padding(octets.length)]
}
