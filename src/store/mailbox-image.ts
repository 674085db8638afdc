/** What an image of a mailbox holds beside the chunks, and in which order. */

import type { ModSeq, Uid } from '../base/ids.ts'
import { breath } from './breath.ts'
import { DamagedEntry, laterVersion } from './change-set.ts'
import type { Chunk } from './chunk.ts'
import type { ExpungedChunk } from './expunged.ts'
import type { Vanished } from './history.ts'
import { chunkOctets, expungedOctets, json, type SectionReader, section, sections, sectionsOf } from './image.ts'
import { OriginMap } from './origin-map.ts'
import type { Departed } from './origins.ts'
import type { ExpungeCause, Flag } from './types.ts'
import { VanishedRanges } from './vanished.ts'

type DepartedRow = readonly [origin: string, uid: Uid, cause: ExpungeCause, modSeq: ModSeq]
type VanishedRow = readonly [first: Uid, last: Uid, modSeq: ModSeq]

export interface MailboxParts {
  readonly head: {
    readonly uidValidity: number
    readonly uidNext: number
    readonly recentAfter: number
    /** Absent in images of earlier versions. */
    readonly keptBelow?: number
    readonly recovered: readonly [first: number, last: number]
    readonly keywords: readonly Flag[]
    /** Origins of messages of which only the hash is known. */
    readonly hashed: readonly (readonly [hash: string, uid: number])[]
    /** Of the history. */
    readonly joinAbove: number
  }
  /** What the numbers in the chunks' flags mean. */
  readonly sets: readonly Iterable<Flag>[]
  readonly departed: OriginMap<Departed>
  /** By the hash of the origin. */
  readonly departedHashed: OriginMap<Departed>
  readonly vanished: Pick<Vanished, 'ranges' | 'count'>
  readonly messages: readonly Chunk[]
  readonly expunged: readonly ExpungedChunk[]
}

/** Nobody else has what they hold. */
export interface ReadParts extends Omit<MailboxParts, 'vanished'> {
  readonly vanished: VanishedRanges
}

/** Rows of one section of JSON: a ms to write or read, and some 100 KB. */
const rowsPerSection = 1000
/** Octets of sections read before others get their turn: a few ms. */
const octetsPerTurn = 16 * 1_048_576

/** The octets of these parts as they are now, made when asked for. */
export function imageOf(parts: MailboxParts): Iterable<Uint8Array> {
  const rows = [
    { kind: sections.departed, rows: departedRows(parts.departed.entries()) },
    { kind: sections.departedHashed, rows: departedRows(parts.departedHashed.entries()) },
    { kind: sections.vanished, rows: vanishedRows(parts.vanished) },
  ]
  return piecesOf({ ...parts, messages: [...parts.messages], expunged: [...parts.expunged] }, rows)
}

interface Rows {
  readonly kind: number
  readonly rows: Iterable<DepartedRow | VanishedRow>
}

function* departedRows(departed: Iterable<readonly [string, Departed]>): Iterable<DepartedRow> {
  for (const [origin, { uid, cause, modSeq }] of departed) yield [origin, uid, cause, modSeq]
}

function* vanishedRows({ ranges, count }: MailboxParts['vanished']): Iterable<VanishedRow> {
  for (let row = 0; row < count; row += 1) yield [ranges.first(row), ranges.last(row), ranges.modSeq(row)]
}

function* piecesOf(parts: MailboxParts, tables: readonly Rows[]): Iterable<Uint8Array> {
  const { numbers, sets } = usedSets(parts)
  yield* section(sections.head, json({ ...parts.head, sets }))
  for (const { kind, rows } of tables) {
    const left = rows[Symbol.iterator]()
    for (let some = firstOf(left); some.length > 0; some = firstOf(left)) yield* section(kind, json(some))
  }
  for (const chunk of parts.messages) yield* section(sections.messages, chunkOctets(chunk, numbers))
  for (const chunk of parts.expunged) yield* section(sections.expunged, expungedOctets(chunk, numbers))
}

/** The next rows of a section. */
function firstOf<Row>(rows: Iterator<Row>): Row[] {
  const some: Row[] = []
  while (some.length < rowsPerSection) {
    const next = rows.next()
    if (next.done === true) break
    some.push(next.value)
  }
  return some
}

/** The parts of an image, views of it where they can be. Throws DamagedEntry; StoreError unavailable for an image of a later version. */
export async function partsOf(image: Buffer): Promise<ReadParts> {
  try {
    return await readParts(image)
  } catch (error) {
    // What JSON and typed arrays say of octets that are none of theirs.
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)
      throw new DamagedEntry('The octets of a mailbox are none that were written', { cause: error })
    throw error
  }
}

async function readParts(image: Buffer): Promise<ReadParts> {
  let head: (MailboxParts['head'] & { readonly sets: Flag[][] }) | undefined
  const departed = new OriginMap<Departed>()
  const departedHashed = new OriginMap<Departed>()
  const vanished = new VanishedRanges()
  const messages: Chunk[] = []
  const expunged: ExpungedChunk[] = []
  const readers: Record<number, (body: SectionReader) => void> = {
    [sections.head]: (body) => {
      head = body.json() as typeof head
    },
    [sections.departed]: (body) => addDeparted(departed, body),
    [sections.departedHashed]: (body) => addDeparted(departedHashed, body),
    [sections.vanished]: (body) => {
      for (const [first, last, modSeq] of body.json() as VanishedRow[]) vanished.add(first, last, modSeq)
    },
    [sections.messages]: (body) => {
      const chunk = body.chunk()
      if (chunk.columns.uids[0]! <= (messages.at(-1)?.lastUid ?? 0))
        throw new DamagedEntry('The UIDs of a mailbox do not ascend')
      messages.push(chunk)
    },
    [sections.expunged]: (body) => expunged.push(body.expunged()),
  }
  let octets = 0
  for (const { kind, length, body } of sectionsOf(image)) {
    const read = readers[kind]
    if (read === undefined) throw laterVersion('The state of a mailbox')
    read(body)
    // Rows of JSON take longer than columns.
    octets += kind === sections.messages || kind === sections.expunged ? length : octetsPerTurn / 2
    if (octets < octetsPerTurn) continue
    octets = 0
    await breath()
  }
  if (head === undefined) throw new DamagedEntry('The state of a mailbox has no head')
  return { head, sets: head.sets, departed, departedHashed, vanished, messages, expunged }
}

function addDeparted(departed: OriginMap<Departed>, body: SectionReader): void {
  for (const [origin, uid, cause, modSeq] of body.json() as DepartedRow[])
    departed.set(origin, { present: false, uid, cause, modSeq })
}

/** The sets that a message has, and their numbers in the image by those in memory: what no message has any more is left out. */
function usedSets({ sets, messages, expunged }: MailboxParts) {
  const used = new Uint8Array(sets.length)
  for (const { columns } of [...messages, ...expunged.map(({ chunk }) => chunk)])
    for (let row = 0; row < columns.count; row += 1) used[columns.flags[row]!] = 1
  const numbers = new Uint32Array(sets.length)
  const kept: Flag[][] = []
  for (const [number, set] of sets.entries()) if (used[number] === 1) numbers[number] = kept.push([...set]) - 1
  return { numbers, sets: kept }
}
