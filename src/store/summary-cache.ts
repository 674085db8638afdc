/**
 * The derived cache of message summaries: `cache/summaries-2.<first>` holds those of the messages with UIDs from `first` on, lines added in
 * batches by any process. It may be deleted or damaged at any time: a line that doesn't check out is as good as absent. Not durable.
 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import { BlockFiles, type BlockSource, firstOf } from './block-files.ts'
import { breath } from './breath.ts'
import type { StoreContext } from './context.ts'
import { type HeaderTexts, headerTexts } from './header-texts.ts'
import { SummaryBlock, summaryKind, summaryLine } from './summary-block.ts'
import type { MessageRecord } from './types.ts'

const batchLines = 128
const batchOctets = 1024 * 1024
const flushAfterMs = 2000
/** Summaries that are asked for side by side. */
const madeAtOnce = 16

interface NewLine {
  readonly first: Uid
  readonly digest: string
  readonly line: Buffer
}

export class SummaryCache {
  private readonly context: StoreContext
  private readonly writes: boolean
  private readonly files: BlockFiles
  /** Lines not written yet. */
  private unwritten: NewLine[] = []
  private unwrittenOctets = 0
  /** The summaries of those, and of the ones being written. */
  private readonly pending = new Map<string, MessageSummary>()
  private readonly making = new Map<string, Promise<MessageSummary>>()
  private readonly loading = new Map<string, Promise<SummaryBlock>>()

  constructor(context: StoreContext, mailbox: BlockSource) {
    this.context = context
    this.writes = !mailbox.readOnly
    this.files = new BlockFiles(context, mailbox, summaryKind)
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
      const areWritten = await this.files.append(first, Buffer.concat(added.map(({ line }) => line)))
      const path = this.files.pathOf(first)
      const block = areWritten ? this.context.summaryBlocks.get(path) : undefined
      if (block !== undefined) {
        for (const { line } of added) block.add(line)
        this.remember(path, block)
      }
      for (const { digest } of added) this.pending.delete(digest)
    }
  }

  sweep(): Promise<void> {
    return this.files.sweep((path) => this.context.summaryBlocks.delete(path))
  }

  /** What is at hand without a wait. */
  private findHeaderTexts(records: readonly MessageRecord[], names: readonly string[]): (HeaderTexts | undefined)[] {
    let first: Uid | undefined
    let block: SummaryBlock | undefined
    return records.map(({ digest, uid }) => {
      if (firstOf(uid) !== first) {
        first = firstOf(uid)
        block = this.context.summaryBlocks.get(this.files.pathOf(first))
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
    const path = this.files.pathOf(firstOf(record.uid))
    const block = this.context.summaryBlocks.get(path)
    const texts = headerTexts(summary, new Set([...(block?.headerTextsOf(record.digest)?.asked ?? []), ...names]))
    if (block !== undefined) {
      block.rememberHeaderTexts(record.digest, texts)
      this.remember(path, block)
    }
    return texts
  }

  private add(first: Uid, digest: string, summary: MessageSummary): void {
    this.making.delete(digest)
    const line = summaryLine(digest, summary)
    const block = this.context.summaryBlocks.get(this.files.pathOf(first))
    if (line === undefined || (block?.octets ?? 0) + line.length > summaryKind.maxOctets) return
    if (!this.writes) {
      block?.add(line)
      if (block !== undefined) this.remember(this.files.pathOf(first), block)
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

  /** Messages are mostly asked for one after another: the block of the one before is at hand. */
  private async block(first: Uid): Promise<SummaryBlock> {
    const path = this.files.pathOf(first)
    const known = this.context.summaryBlocks.get(path)
    if (known !== undefined) return known
    let loading = this.loading.get(path)
    if (loading === undefined) {
      loading = this.load(first, path).finally(() => this.loading.delete(path))
      this.loading.set(path, loading)
    }
    return await loading
  }

  private async load(first: Uid, path: string): Promise<SummaryBlock> {
    const { octets, isCut } = await this.files.octets(first)
    let block = SummaryBlock.of(octets)
    // Most of it is doubled, or of messages that left.
    if (isCut || block.lineCount > 2 * this.files.countOf(first))
      block = SummaryBlock.of(await this.files.rewrite(first, summaryKind.read(octets).entries))
    this.remember(path, block)
    return block
  }

  private remember(path: string, block: SummaryBlock): void {
    this.context.summaryBlocks.set(path, block, block.memoryOctets)
  }
}
