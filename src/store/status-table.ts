/** Lines of the cache of statuses: `<crc32> <JSON>`, the later one of a mailbox counts. */

import { crc32 } from 'node:zlib'
import { breath } from './breath.ts'
import type { MailboxStatus } from './types.ts'

/** The status of a mailbox as of one entry of its log. */
export interface KnownStatus {
  /** Name of the mailbox. */
  readonly name: string
  /** Paths in the mailbox's directory of that entry, and of the one that would come next. */
  readonly last: string
  readonly next: string
  /** When the last entry's file was changed, by the file system's clock: a copy of the tree is not what was counted. */
  readonly changedMs: number
  readonly status: MailboxStatus
}

const lineFeed = 10
const crcDigits = 8
const linesPerTurn = 500
/** What one takes in memory, about. */
const knownOctets = 600

export class StatusTable {
  /** By name of the mailbox. */
  readonly known = new Map<string, KnownStatus>()
  /** Of the file. */
  lineCount = 0
  /** Those of them that don't check out. */
  damagedCount = 0

  /** Lines that don't check out are as good as absent. */
  static async of(octets: Buffer): Promise<StatusTable> {
    const table = new StatusTable()
    let start = 0
    for (let end = octets.indexOf(lineFeed); end >= 0; end = octets.indexOf(lineFeed, start)) {
      const line = octets.subarray(start, end)
      table.lineCount += 1
      if (Number.parseInt(line.toString('latin1', 0, crcDigits), 16) === crc32(line.subarray(crcDigits))) {
        const known = JSON.parse(line.toString('utf8', crcDigits + 1)) as KnownStatus
        table.known.set(known.name, known)
      } else table.damagedCount += 1
      start = end + 1
      if (table.lineCount % linesPerTurn === 0) await breath()
    }
    return table
  }

  get memoryOctets(): number {
    return knownOctets * (this.known.size + 1)
  }
}

export function statusLine(known: KnownStatus): Buffer {
  const text = Buffer.from(` ${JSON.stringify(known)}`)
  return Buffer.from(`${crc32(text).toString(16).padStart(crcDigits, '0')}${text}\n`)
}
