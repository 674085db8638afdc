/** What an image of a mailbox holds beside the chunks, and in which order. */

import { breath } from './breath.ts'
import { DamagedEntry, laterVersion } from './change-set.ts'
import type { Chunk } from './chunk.ts'
import type { ExpungedChunk } from './expunged.ts'
import type { VanishedRow } from './history.ts'
import { chunkOctets, expungedOctets, json, type SectionReader, section, sections, sectionsOf } from './image.ts'
import type { ExpungeCause, Flag } from './types.ts'

export type DepartedRow = readonly [origin: string, uid: number, cause: ExpungeCause, modSeq: number]

export interface MailboxParts {
  readonly head: {
    readonly uidValidity: number
    readonly uidNext: number
    readonly recentAfter: number
    readonly recovered: readonly [first: number, last: number]
    readonly keywords: readonly Flag[]
    /** Origins of messages of which only the hash is known. */
    readonly hashed: readonly (readonly [hash: string, uid: number])[]
  }
  /** What the numbers in the chunks' flags mean. */
  readonly sets: readonly Iterable<Flag>[]
  readonly departed: readonly DepartedRow[]
  readonly departedHashed: readonly DepartedRow[]
  readonly vanished: readonly VanishedRow[]
  readonly messages: readonly Chunk[]
  readonly expunged: readonly ExpungedChunk[]
}

/** Rows of one section of JSON: a few ms to write or read. */
const rowsPerSection = 2000
/** Octets of sections read before others get their turn: a few ms. */
const octetsPerTurn = 16 * 1_048_576

/** The octets of these parts, which stay what they are. */
export function* imageOf(parts: MailboxParts): Iterable<Uint8Array> {
  const { numbers, sets } = usedSets(parts)
  yield* section(sections.head, json({ ...parts.head, sets }))
  for (const [kind, rows] of [
    [sections.departed, parts.departed],
    [sections.departedHashed, parts.departedHashed],
    [sections.vanished, parts.vanished],
  ] as const)
    for (let at = 0; at < rows.length; at += rowsPerSection)
      yield* section(kind, json(rows.slice(at, at + rowsPerSection)))
  for (const chunk of parts.messages) yield* section(sections.messages, chunkOctets(chunk, numbers))
  for (const chunk of parts.expunged) yield* section(sections.expunged, expungedOctets(chunk, numbers))
}

/** The parts of an image, views of it where they can be. Throws DamagedEntry; StoreError unavailable for an image of a later version. */
export async function partsOf(image: Buffer): Promise<MailboxParts> {
  try {
    return await readParts(image)
  } catch (error) {
    // What JSON and typed arrays say of octets that are none of theirs.
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)
      throw new DamagedEntry('The octets of a mailbox are none that were written', { cause: error })
    throw error
  }
}

async function readParts(image: Buffer): Promise<MailboxParts> {
  let head: (MailboxParts['head'] & { readonly sets: Flag[][] }) | undefined
  const departed: DepartedRow[] = []
  const departedHashed: DepartedRow[] = []
  const vanished: VanishedRow[] = []
  const messages: Chunk[] = []
  const expunged: ExpungedChunk[] = []
  const readers: Record<number, (body: SectionReader) => void> = {
    [sections.head]: (body) => {
      head = body.json() as typeof head
    },
    [sections.departed]: (body) => departed.push(...(body.json() as DepartedRow[])),
    [sections.departedHashed]: (body) => departedHashed.push(...(body.json() as DepartedRow[])),
    [sections.vanished]: (body) => vanished.push(...(body.json() as VanishedRow[])),
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
