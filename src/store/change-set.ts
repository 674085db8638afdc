/**
 * The octets of a log entry: a head line, operations as JSON (one line each), a CRC-32 line over all before it.
 *
 *     mdir 1 change 0k3v…1f
 *     ["add","1700000000,S=2048,O=…",["\\Seen"]]
 *     crc32 1b2c3d4e
 *
 * Kinds: `change` follows the state before it; `state` begins an epoch (`["base",M]`, then what the base lacks: `["entry",N]` before the
 * operations of each); `seal` ends an epoch, and N + 1 begins the next one with the same state; `lost` ends an epoch whose entries can't all
 * be read: another epoch begins with the same number and what was `saved`, which is not what others may have read. A recovery behind a
 * `seal` leaves `saved` in the place of `state`.
 */

import { crc32 } from 'node:zlib'
import { StoreError } from '../base/errors.ts'
import { breath } from './breath.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
/** One operation: its word and what it needs. */
export type Operation = readonly [word: string, ...details: Json[]]
export type ChangeSetKind = 'change' | 'state' | 'saved' | 'seal' | 'lost'

export interface ChangeSet {
  readonly kind: ChangeSetKind
  /** The unique name that its writer gave it. */
  readonly id: string
  /** The lines of its operations. */
  readonly body: Buffer
}

/** The octets are no entry, or not the ones that were written. */
export class DamagedEntry extends Error {
  override readonly name = 'DamagedEntry'
}

const version = 1
const kinds: readonly string[] = ['change', 'state', 'saved', 'seal', 'lost']
const lineFeed = 10
const headLine = /^mdir ([0-9]+) ([a-z]+) ([a-z0-9]+)$/
/** A head line is shorter. */
export const maxHeadOctets = 80
const crcLine = /^crc32 ([0-9a-f]{8})\n$/
const crcLineOctets = 'crc32 '.length + 8 + 1

/** Characters of operations encoded before others get their turn: a ms. */
const charactersPerPiece = 65_536
/** Pieces joined in one turn. */
const piecesPerTurn = 16

/** The lines of operations, in pieces that are made when asked for. */
export function* linesOf(operations: Iterable<Operation>): Iterable<Buffer> {
  let text = ''
  for (const operation of operations) {
    text += `${JSON.stringify(operation)}\n`
    if (text.length < charactersPerPiece) continue
    yield Buffer.from(text)
    text = ''
  }
  yield Buffer.from(text)
}

/** The lines of a change set. Others run in between. */
export async function encodeOperations(operations: Iterable<Operation>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (const piece of linesOf(operations)) {
    if (pieces.length > 0) await breath()
    pieces.push(piece)
  }
  return await joined(pieces)
}

/** Fresh memory is as dear as the copy into it: one go at many megabytes would hold others up. */
async function joined(pieces: readonly Buffer[]): Promise<Buffer> {
  if (pieces.length === 1) return pieces[0]!
  const octets = Buffer.allocUnsafeSlow(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const [count, piece] of pieces.entries()) {
    if (count % piecesPerTurn === 0) await breath()
    at += piece.copy(octets, at)
  }
  return octets
}

/** A whole entry, in pieces to be written one after another. `id` makes the octets unlike those of any other writer, so that a writer recognises its own. */
export function entryPieces(kind: ChangeSetKind, id: string, operations: Buffer): readonly Buffer[] {
  const head = Buffer.from(`mdir ${version} ${kind} ${id}\n`)
  const crc = crc32(operations, crc32(head))
  return [head, operations, Buffer.from(`crc32 ${crc.toString(16).padStart(8, '0')}\n`)]
}

/** The same in one piece. */
export function sealEntry(kind: ChangeSetKind, id: string, operations: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat(entryPieces(kind, id, operations))
}

/** The operations in these lines, decoded one at a time since they can be many. Throws DamagedEntry. */
export function* operationsIn(lines: Buffer): Iterable<Operation> {
  for (let at = 0; at < lines.length; ) {
    const next = lines.indexOf(lineFeed, at)
    if (next < 0) throw new DamagedEntry('An operation has no end')
    yield operationIn(lines.toString('utf8', at, next))
    at = next + 1
  }
}

function operationIn(line: string): Operation {
  try {
    return JSON.parse(line) as Operation
  } catch (error) {
    throw new DamagedEntry('An operation is no JSON', { cause: error })
  }
}

/** Throws DamagedEntry; StoreError unavailable for an entry of a later version. */
export function decodeChangeSet(octets: Buffer, path: string): ChangeSet {
  const headEnd = octets.indexOf(lineFeed)
  const head = headEnd < 0 ? null : headLine.exec(octets.toString('latin1', 0, headEnd))
  const crcStart = octets.length - crcLineOctets
  const crc = crcStart <= headEnd ? null : crcLine.exec(octets.toString('latin1', crcStart))
  if (head === null || crc === null || Number.parseInt(crc[1]!, 16) !== crc32(octets.subarray(0, crcStart)))
    throw new DamagedEntry(`${path} is damaged`)
  const kind = head[2]!
  if (Number(head[1]) !== version || !kinds.includes(kind)) throw laterVersion(path)
  return { kind: kind as ChangeSetKind, id: head[3]!, body: octets.subarray(headEnd + 1, crcStart) }
}

/** The kind of an entry from its first octets, without a look at the rest; undefined when they are no head line of this version. */
export function kindOf(octets: Buffer): ChangeSetKind | undefined {
  const headEnd = octets.indexOf(lineFeed)
  const [, of, kind] = (headEnd < 0 ? null : headLine.exec(octets.toString('latin1', 0, headEnd))) ?? []
  return Number(of) === version && kind !== undefined && kinds.includes(kind) ? (kind as ChangeSetKind) : undefined
}

/** For an entry or operation that this version doesn't know: guessing could lose mail. */
export function laterVersion(what: string): StoreError {
  return new StoreError('unavailable', `${what} was written by a later version of the store; update this server first`)
}
