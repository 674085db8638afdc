/**
 * The derived cache of message summaries: `cache/summaries-2.<first>` holds those of the messages with UIDs from `first` on, lines added in
 * batches by any process. It may be deleted or damaged at any time: a line that doesn't check out is as good as absent. Not durable.
 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import { breath } from './breath.ts'
import type { StoreContext } from './context.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { type HeaderTexts, headerTexts } from './header-texts.ts'
import { blockUids, maxBlockOctets, SummaryBlock, summaryLine } from './summary-block.ts'
import { sweepBlocks } from './sweep-blocks.ts'
import { makeIfAbsent } from './tree.ts'
import type { MessageList, MessageRecord } from './types.ts'
import { uniqueName } from './unique.ts'

/** Of every file of the cache, whatever shape its lines have. */
export const filePrefix = 'summaries-'
/** The number changes with the shape of a summary. */
export const blockPattern = /^summaries-2\.([1-9][0-9]{0,9})$/
const batchLines = 128
const batchOctets = 1024 * 1024
const flushAfterMs = 2000
/** Summaries that are asked for side by side. */
const madeAtOnce = 16
/** A block with fewer octets for each of its messages is not worth a look by the sweep. */
const ordinaryLineOctets = 4096

interface NewLine {
  readonly first: number
  readonly digest: string
  readonly line: Buffer
}

export class SummaryCache {
  private readonly context: StoreContext
  private readonly directory: () => string
  private readonly messages: () => MessageList
  private readonly writes: boolean
  /** Lines not written yet. */
  private unwritten: NewLine[] = []
  private unwrittenOctets = 0
  /** The summaries of those, and of the ones being written. */
  private readonly pending = new Map<string, MessageSummary>()
  private readonly making = new Map<string, Promise<MessageSummary>>()
  private readonly loading = new Map<string, Promise<SummaryBlock>>()

  /** `directory`: the mailbox's present one; `messages`: its present messages. `writes`: false where nothing may be changed. */
  constructor(context: StoreContext, directory: () => string, messages: () => MessageList, writes = true) {
    this.context = context
    this.directory = directory
    this.messages = messages
    this.writes = writes
  }

  /** `make` reads the message, when the cache doesn't have its summary. */
  async get(record: MessageRecord, make: () => Promise<MessageSummary>): Promise<MessageSummary> {
    const { digest, uid } = record
    const first = firstOf(uid)
    const known = await this.find(record)
    if (known !== undefined) return known
    let making = this.making.get(digest)
    if (making === undefined) {
      making = make()
      this.making.set(digest, making)
      making.then(
        (summary) => this.add(first, digest, summary),
        () => this.making.delete(digest),
      )
    }
    return await making
  }

  /** What is at hand without a look into the message. */
  async find({ digest, uid }: MessageRecord): Promise<MessageSummary | undefined> {
    return this.pending.get(digest) ?? (await this.block(firstOf(uid))).get(digest)
  }

  /** Keeps more of a message than was known. */
  keep({ digest, uid }: Pick<MessageRecord, 'uid' | 'digest'>, summary: MessageSummary): void {
    this.add(firstOf(uid), digest, summary)
  }

  /** See `Mailbox.headerTexts`. `summaryOf` answers the summary of a message from this cache. */
  async headerTexts(
    records: readonly MessageRecord[],
    names: readonly string[],
    summaryOf: (record: MessageRecord) => Promise<MessageSummary>,
  ): Promise<readonly (HeaderTexts | undefined)[]> {
    const texts = this.findHeaderTexts(records, names)
    const missing = texts.flatMap((text, index) => (text === undefined ? [index] : []))
    for (let at = 0; at < missing.length; at += madeAtOnce) {
      const make = async (index: number) => {
        texts[index] = await this.makeHeaderTexts(records[index]!, names, summaryOf)
      }
      await Promise.all(missing.slice(at, at + madeAtOnce).map(make))
      // A summary may be large, and come from memory without a wait.
      await breath()
    }
    return texts
  }

  /** Writes what is pending. A failure costs time later, nothing else. */
  async flush(): Promise<void> {
    const lines = this.unwritten
    this.unwritten = []
    this.unwrittenOctets = 0
    for (const [first, added] of Map.groupBy(lines, (line) => line.first)) {
      const path = this.pathOf(first)
      try {
        await this.append(path, Buffer.concat(added.map(({ line }) => line)))
        const block = this.context.summaryBlocks.get(path)
        if (block !== undefined) {
          for (const { line } of added) block.add(line)
          this.remember(path, block)
        }
      } catch (error) {
        this.context.log.log('info', 'the summary cache was not written', { path, error: String(error) })
      }
      for (const { digest } of added) this.pending.delete(digest)
    }
  }

  /** Removes blocks that have no message any more, or another shape, and what is dead of the others. */
  sweep(): Promise<void> {
    const files = { prefix: filePrefix, pattern: blockPattern }
    return sweepBlocks(this.context, `${this.directory()}/cache`, files, async (first, path) => {
      const count = this.countOf(first)
      if (count === 0) this.context.summaryBlocks.delete(path)
      else if (count < blockUids / 2) {
        // Only messages that left can make much of it dead: lines are added to blocks that are looked at by whoever opens them.
        const status = await unlessAbsent(this.context.fs.status(path))
        if (status !== undefined && status.sizeOctets > count * ordinaryLineOctets) await this.load(first, path)
      }
      return count > 0
    })
  }

  /** What is at hand without a wait. */
  private findHeaderTexts(records: readonly MessageRecord[], names: readonly string[]): (HeaderTexts | undefined)[] {
    let first = 0
    let block: SummaryBlock | undefined
    return records.map(({ digest, uid }) => {
      if (firstOf(uid) !== first) {
        first = firstOf(uid)
        block = this.context.summaryBlocks.get(this.pathOf(first))
      }
      const known = block?.headerTextsOf(digest)
      return known !== undefined && names.every((name) => known.asked.has(name)) ? known : undefined
    })
  }

  private async makeHeaderTexts(
    record: MessageRecord,
    names: readonly string[],
    summaryOf: (record: MessageRecord) => Promise<MessageSummary>,
  ): Promise<HeaderTexts | undefined> {
    let summary: MessageSummary
    try {
      summary = await summaryOf(record)
    } catch (error) {
      if (error instanceof StoreError && (error.kind === 'damaged' || error.kind === 'expunged')) return undefined
      throw error
    }
    const path = this.pathOf(firstOf(record.uid))
    const block = this.context.summaryBlocks.get(path)
    const texts = headerTexts(summary, new Set([...(block?.headerTextsOf(record.digest)?.asked ?? []), ...names]))
    if (block !== undefined) {
      block.rememberHeaderTexts(record.digest, texts)
      this.remember(path, block)
    }
    return texts
  }

  private pathOf(first: number): string {
    return `${this.directory()}/cache/summaries-2.${first}`
  }

  private add(first: number, digest: string, summary: MessageSummary): void {
    this.making.delete(digest)
    const line = summaryLine(digest, summary)
    const block = this.context.summaryBlocks.get(this.pathOf(first))
    if (line === undefined || (block?.octets ?? 0) + line.length > maxBlockOctets) return
    if (!this.writes) {
      block?.add(line)
      if (block !== undefined) this.remember(this.pathOf(first), block)
      return
    }
    this.pending.set(digest, summary)
    this.unwritten.push({ first, digest, line })
    this.unwrittenOctets += line.length
    if (this.unwritten.length >= batchLines || this.unwrittenOctets >= batchOctets) void this.flush()
    else if (this.unwritten.length === 1)
      void this.context.clock
        .sleep(flushAfterMs, this.context.closing)
        .then(() => this.flush())
        .catch(() => {})
  }

  /** Adds to a block's file; the folder of a mailbox that came from a backup without empty folders is made. */
  private async append(path: string, octets: Buffer): Promise<void> {
    const { fs } = this.context
    try {
      await fs.append(path, octets)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await makeIfAbsent(fs, path.slice(0, path.lastIndexOf('/')))
      await fs.append(path, octets)
    }
  }

  /** Messages are mostly asked for one after another: the block of the one before is at hand. */
  private async block(first: number): Promise<SummaryBlock> {
    const path = this.pathOf(first)
    const known = this.context.summaryBlocks.get(path)
    if (known !== undefined) return known
    let loading = this.loading.get(path)
    if (loading === undefined) {
      loading = this.load(first, path).finally(() => this.loading.delete(path))
      this.loading.set(path, loading)
    }
    return await loading
  }

  private async load(first: number, path: string): Promise<SummaryBlock> {
    let block = new SummaryBlock()
    try {
      const file = await unlessAbsent(this.context.fs.open(path))
      if (file !== undefined) {
        try {
          block = SummaryBlock.of(await file.read(0, Math.min(file.sizeOctets, maxBlockOctets)))
        } finally {
          await file.close()
        }
        if (this.writes && (block.lineCount > 2 * this.countOf(first) || file.sizeOctets > maxBlockOctets))
          block = await this.rewrite(first, path, block)
      }
    } catch (error) {
      this.context.log.log('info', 'the summary cache was not read', { path, error: String(error) })
    }
    this.remember(path, block)
    return block
  }

  /** Most of a block is doubled, or of messages that left. What somebody adds meanwhile is lost, and made again. */
  private async rewrite(first: number, path: string, block: SummaryBlock): Promise<SummaryBlock> {
    const { fs } = this.context
    const octets = block.only(this.digestsOf(first))
    if (octets.length === 0) await unlessAbsent(fs.remove(path))
    else {
      const written = `${this.directory()}/tmp/${uniqueName()}`
      await fs.append(written, octets)
      await fs.rename(written, path)
    }
    return SummaryBlock.of(octets)
  }

  private remember(path: string, block: SummaryBlock): void {
    this.context.summaryBlocks.set(path, block, block.memoryOctets)
  }

  /** Messages of the range. */
  private countOf(first: number): number {
    const messages = this.messages()
    return messages.positionOf((first + blockUids) as Uid) - messages.positionOf(first as Uid)
  }

  private *digestsOf(first: number): Iterable<string> {
    const messages = this.messages()
    const end = messages.positionOf((first + blockUids) as Uid)
    for (let at = messages.positionOf(first as Uid); at < end; at += 1) yield messages.at(at)!.digest
  }
}

/** First UID of the block of a message. */
function firstOf(uid: Uid): number {
  return uid - ((uid - 1) % blockUids)
}
