/**
 * Lines of the summary cache: `<crc32> <digest> <JSON>`, of the messages in one range of UIDs. A line is found by the digest of a message's
 * octets, so that it can be doubled, out of date or in the wrong file, but never be another message's.
 */

import { crc32 } from 'node:zlib'
import type { MessageSummary } from '../mime/types.ts'
import type { BlockKind } from './block-files.ts'
import type { HeaderTexts } from './header-texts.ts'

/** A summary larger than this is cheaper to make again than to keep. */
const maxLineOctets = 256 * 1024
const crcDigits = 8
const digestStart = crcDigits + 1
const digestEnd = digestStart + 43
const jsonStart = digestEnd + 1
const lineFeed = 10
const space = 32
/** What a line takes in memory besides its octets. */
const lineOverhead = 200
const headerTextsOverhead = 200

/** A line, with its end; undefined when it would be too large. */
export function summaryLine(digest: string, summary: MessageSummary): Buffer | undefined {
  const text = Buffer.from(` ${digest} ${JSON.stringify(summary)}\n`)
  if (text.length > maxLineOctets) return undefined
  return Buffer.concat([Buffer.from(crc32(text).toString(16).padStart(crcDigits, '0')), text])
}

/** What a line with its end tells; undefined when it is damaged. */
export function readSummaryLine(
  line: Buffer,
): { readonly digest: string; readonly summary: MessageSummary } | undefined {
  const digest = digestIn(line)
  if (digest === undefined) return undefined
  return { digest, summary: JSON.parse(line.toString('utf8', jsonStart)) as MessageSummary }
}

function digestIn(line: Buffer): string | undefined {
  if (line[crcDigits] !== space || line[digestEnd] !== space || !isSound(line)) return undefined
  return line.toString('latin1', digestStart, digestEnd)
}

function isSound(line: Buffer): boolean {
  return Number.parseInt(line.toString('latin1', 0, crcDigits), 16) === crc32(line.subarray(crcDigits))
}

export const summaryKind: BlockKind = {
  prefix: 'summaries-',
  shape: 2,
  // Ordinary mail makes some 300 KB. The summaries of a block that is full of large ones are partly made again whenever they are asked for.
  maxOctets: 8 * 1024 * 1024,
  read: (octets) => {
    const entries = new Map<string, Buffer>()
    let count = 0
    let whole = 0
    for (const line of linesOf(octets)) {
      count += 1
      whole += line.length
      const digest = digestIn(line)
      if (digest === undefined) whole = Number.NaN
      else entries.set(digest, line)
    }
    return { entries, count, isWhole: whole === octets.length }
  },
}

/** What has no line end was cut off, or is being written. */
function* linesOf(octets: Buffer): Generator<Buffer, void, undefined> {
  let start = 0
  for (let end = octets.indexOf(lineFeed); end >= 0; end = octets.indexOf(lineFeed, start)) {
    yield octets.subarray(start, end + 1)
    start = end + 1
  }
}

export class SummaryBlock {
  /** Of the file: lines that are doubled, damaged or of messages that left are counted, too. */
  lineCount = 0
  octets = 0
  private readonly lines = new Map<string, Buffer>()
  /** What was made of them for searches, by digest. */
  private readonly headerTexts = new Map<string, HeaderTexts>()
  private headerTextOctets = 0

  /** Keeps the buffer. */
  static of(octets: Buffer): SummaryBlock {
    const block = new SummaryBlock()
    for (const line of linesOf(octets)) block.add(line)
    block.octets = octets.length
    return block
  }

  /** A line behind the others. */
  add(line: Buffer): void {
    this.lineCount += 1
    this.octets += line.length
    if (line[crcDigits] === space && line[digestEnd] === space)
      this.lines.set(line.toString('latin1', digestStart, digestEnd), line)
  }

  get(digest: string): MessageSummary | undefined {
    const line = this.soundLine(digest)
    return line === undefined ? undefined : (JSON.parse(line.toString('utf8', jsonStart)) as MessageSummary)
  }

  headerTextsOf(digest: string): HeaderTexts | undefined {
    return this.headerTexts.get(digest)
  }

  rememberHeaderTexts(digest: string, texts: HeaderTexts): void {
    this.headerTextOctets += headerTextsOverhead
    for (const text of texts.fields.values()) this.headerTextOctets += text?.length ?? 0
    this.headerTexts.set(digest, texts)
  }

  get memoryOctets(): number {
    return this.octets + this.headerTextOctets + lineOverhead * (this.lines.size + 1)
  }

  /** One that is damaged is as good as absent. */
  private soundLine(digest: string): Buffer | undefined {
    const line = this.lines.get(digest)
    if (line === undefined) return undefined
    if (isSound(line)) return line
    this.lines.delete(digest)
    return undefined
  }
}
