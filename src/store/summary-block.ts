/**
 * Lines of the summary cache: `<crc32> <digest> <JSON>`, of the messages in one range of UIDs. A line is found by the digest of a message's
 * octets, so that it can be doubled, out of date or in the wrong file, but never be another message's.
 */

import { crc32 } from 'node:zlib'
import type { MessageSummary } from '../mime/types.ts'
import type { HeaderTexts } from './header-texts.ts'

/** UIDs of one block: ordinary mail makes some 300 KB of them, which are read at once. */
export const blockUids = 256
/** Of a block's file. The summaries of a block that is full of large ones are partly made again whenever they are asked for. */
export const maxBlockOctets = 8 * 1024 * 1024
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

/** What a line with its end tells, the summary as JSON; undefined when it is damaged. */
export function readSummaryLine(line: Buffer): { readonly digest: string; readonly json: string } | undefined {
  if (line[crcDigits] !== space || line[digestEnd] !== space || !isSound(line)) return undefined
  return { digest: line.toString('latin1', digestStart, digestEnd), json: line.toString('utf8', jsonStart).trimEnd() }
}

function isSound(line: Buffer): boolean {
  return Number.parseInt(line.toString('latin1', 0, crcDigits), 16) === crc32(line.subarray(crcDigits))
}

export class SummaryBlock {
  /** Of the file: lines that are doubled, damaged or of messages that left are counted, too. */
  lineCount = 0
  octets = 0
  private readonly lines = new Map<string, Buffer>()
  /** What was made of them for searches, by digest. */
  private readonly headerTexts = new Map<string, HeaderTexts>()
  private headerTextOctets = 0

  /** Keeps the buffer. What has no line end was cut off, or is being written. */
  static of(octets: Buffer): SummaryBlock {
    const block = new SummaryBlock()
    let start = 0
    for (let end = octets.indexOf(lineFeed); end >= 0; end = octets.indexOf(lineFeed, start)) {
      block.add(octets.subarray(start, end + 1))
      start = end + 1
    }
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

  /** A block with nothing but the lines of these messages, each once. */
  only(digests: Iterable<string>): Buffer {
    const kept: Buffer[] = []
    let octets = 0
    for (const digest of new Set(digests)) {
      const line = this.soundLine(digest)
      if (line === undefined || octets + line.length > maxBlockOctets) continue
      kept.push(line)
      octets += line.length
    }
    return Buffer.concat(kept)
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
