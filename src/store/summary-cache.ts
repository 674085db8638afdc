/**
 * The derived cache of message summaries: `cache/summaries-1`, a line per message, `<crc32> <digest> <JSON>`, added in batches by any
 * process. It may be deleted or damaged at any time: a line that doesn't check out is as good as absent. Not durable.
 */

import { crc32 } from 'node:zlib'
import type { MessageSummary } from '../mime/types.ts'
import type { StoreContext } from './context.ts'
import { type OpenFile, unlessAbsent } from './fs.ts'
import type { MessageRecord } from './types.ts'

/** The number changes with the shape of a summary. */
const fileName = 'cache/summaries-1'
const batchLines = 128
const flushAfterMs = 2000
/** A summary larger than this is cheaper to make again than to keep. */
const maxLineOctets = 256 * 1024
const blockOctets = 256 * 1024
const digestStart = 9
const digestEnd = digestStart + 43
const jsonStart = digestEnd + 1
const lineFeed = 10
const space = 32

interface Place {
  readonly start: number
  readonly octets: number
}

export class SummaryCache {
  private readonly context: StoreContext
  private readonly directory: () => string
  private index = new Map<string, Place>()
  private indexedOctets = 0
  private indexing: Promise<void> | undefined
  private block: { readonly start: number; readonly octets: Buffer } | undefined
  /** Lines not written yet, and the summaries in them. */
  private pending = new Map<string, MessageSummary>()
  private lines: Buffer[] = []
  private readonly making = new Map<string, Promise<MessageSummary>>()

  /** `directory`: the mailbox's present one. */
  constructor(context: StoreContext, directory: () => string) {
    this.context = context
    this.directory = directory
  }

  /** `make` reads the message, when the cache doesn't have its summary. */
  async get(record: MessageRecord, make: () => Promise<MessageSummary>): Promise<MessageSummary> {
    const { digest } = record
    const known = this.pending.get(digest) ?? (await this.find(digest))
    if (known !== undefined) return known
    let making = this.making.get(digest)
    if (making === undefined) {
      making = make()
      this.making.set(digest, making)
      making.then(
        (summary) => this.add(digest, summary),
        () => this.making.delete(digest),
      )
    }
    return await making
  }

  /** Writes what is pending. A failure costs time later, nothing else. */
  async flush(): Promise<void> {
    const lines = Buffer.concat(this.lines)
    const written = [...this.pending.keys()]
    this.lines = []
    if (lines.length === 0) return
    try {
      await this.context.fs.append(this.path, lines)
      await this.reindex()
    } catch (error) {
      this.context.log.log('info', 'the summary cache was not written', { path: this.path, error: String(error) })
    }
    for (const digest of written) this.pending.delete(digest)
  }

  private get path(): string {
    return `${this.directory()}/${fileName}`
  }

  private add(digest: string, summary: MessageSummary): void {
    this.making.delete(digest)
    const text = Buffer.from(` ${digest} ${JSON.stringify(summary)}\n`)
    if (text.length > maxLineOctets) return
    this.pending.set(digest, summary)
    this.lines.push(Buffer.from(crc32(text).toString(16).padStart(8, '0')), text)
    if (this.pending.size === 1) {
      void this.context.clock
        .sleep(flushAfterMs, this.context.closing)
        .then(() => this.flush())
        .catch(() => {})
    } else if (this.lines.length >= 2 * batchLines) void this.flush()
  }

  private async find(digest: string): Promise<MessageSummary | undefined> {
    try {
      if (this.indexing === undefined) this.indexing = this.reindex()
      await this.indexing
      const place = this.index.get(digest)
      if (place === undefined) return undefined
      const line = await this.line(place)
      const sound =
        line.length === place.octets &&
        Number.parseInt(line.toString('latin1', 0, 8), 16) === crc32(line.subarray(8)) &&
        line.toString('latin1', digestStart, digestEnd) === digest
      if (sound) return JSON.parse(line.toString('utf8', jsonStart)) as MessageSummary
      this.context.log.log('warning', 'the summary cache is damaged; it is made anew', { path: this.path })
      await this.drop()
    } catch (error) {
      this.context.log.log('info', 'the summary cache was not read', { path: this.path, error: String(error) })
    }
    return undefined
  }

  private async drop(): Promise<void> {
    this.index = new Map()
    this.indexedOctets = 0
    this.block = undefined
    await unlessAbsent(this.context.fs.remove(this.path))
  }

  /** One read brings a run of neighbours: messages are mostly asked for in the order in which they were cached. */
  private async line(place: Place): Promise<Buffer> {
    const end = place.start + place.octets
    let block = this.block
    if (block === undefined || place.start < block.start || end > block.start + block.octets.length) {
      const file = await this.context.fs.open(this.path)
      try {
        block = { start: place.start, octets: await file.read(place.start, Math.max(blockOctets, place.octets)) }
      } finally {
        await file.close()
      }
      this.block = block
    }
    return block.octets.subarray(place.start - block.start, end - block.start)
  }

  /** Finds the lines added since the last look, by this process or another. */
  private async reindex(): Promise<void> {
    const file = await unlessAbsent(this.context.fs.open(this.path))
    if (file === undefined) {
      this.index = new Map()
      this.indexedOctets = 0
      return
    }
    try {
      if (file.sizeOctets < this.indexedOctets) {
        this.index = new Map()
        this.indexedOctets = 0
        this.block = undefined
      }
      await this.indexLines(file)
    } finally {
      await file.close()
    }
  }

  private async indexLines(file: OpenFile): Promise<void> {
    let at = this.indexedOctets
    while (at < file.sizeOctets) {
      const piece = await file.read(at, 4 * blockOctets)
      let start = 0
      for (let end = piece.indexOf(lineFeed); end >= 0; end = piece.indexOf(lineFeed, start)) {
        if (piece[start + digestStart - 1] === space && piece[start + digestEnd] === space)
          this.index.set(piece.toString('latin1', start + digestStart, start + digestEnd), {
            start: at + start,
            octets: end + 1 - start,
          })
        start = end + 1
      }
      // The rest has no line end: a line that goes on behind this piece, or one that was cut off or is being written.
      if (start === 0) break
      at += start
    }
    this.indexedOctets = at
  }
}
