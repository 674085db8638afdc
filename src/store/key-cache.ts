/**
 * The derived cache of what messages are ordered by: `cache/keys-1.<first>` holds the keys of the messages with UIDs from `first` on, added by any process
 * that made them out of summaries. It may be deleted or damaged at any time. Not durable.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, Uid } from '../base/ids.ts'
import { orderKeys } from '../mime/order-keys.ts'
import type { MessageSummary } from '../mime/types.ts'
import { BlockFiles, type BlockSource, blockUids, firstOf } from './block-files.ts'
import { breath } from './breath.ts'
import type { StoreContext } from './context.ts'
import { KeyBlock, keyEntry, keyKind } from './key-block.ts'
import type { KeyedMessages, KeyRun, MessageRecord } from './types.ts'

/** Messages whose keys are made at once: a few ms. */
const madeAtOnce = 16

/** What is asked of the mailbox, as it is at that moment. */
export interface KeySource extends BlockSource {
  readonly id: MailboxId
  summary(record: MessageRecord): Promise<MessageSummary>
}

export class KeyCache {
  private readonly context: StoreContext
  private readonly mailbox: KeySource
  private readonly files: BlockFiles
  private readonly loading = new Map<Uid, Promise<KeyBlock>>()

  constructor(context: StoreContext, mailbox: KeySource) {
    this.context = context
    this.mailbox = mailbox
    this.files = new BlockFiles(context, mailbox, keyKind)
  }

  /** See `Mailbox.keys`. */
  async *runs({ uids, record }: KeyedMessages): AsyncGenerator<KeyRun, void, undefined> {
    for (let start = 0; start < uids.length; ) {
      const first = firstOf(uids[start]!)
      let end = start + 1
      while (end < uids.length && uids[end]! < first + blockUids) end += 1
      const block = this.context.keyBlocks.get(this.keyOf(first)) ?? (await this.loaded(first))
      const missing: MessageRecord[] = []
      for (let index = start; index < end; index += 1)
        if (!block.has(uids[index]!)) {
          const wanted = record(index)
          if (wanted.isHere) missing.push(wanted)
        }
      if (missing.length > 0) await this.make(block, missing)
      yield { start, end, keys: block }
      start = end
    }
  }

  sweep(): Promise<void> {
    return this.files.sweep()
  }

  private async make(block: KeyBlock, records: readonly MessageRecord[]): Promise<void> {
    const uids: Uid[] = []
    const entries: Buffer[] = []
    for (let at = 0; at < records.length; at += madeAtOnce) {
      const some = records.slice(at, at + madeAtOnce)
      const made = await Promise.all(some.map((record) => this.entryOf(record)))
      for (const [index, entry] of made.entries())
        if (entry !== undefined) {
          uids.push(some[index]!.uid)
          entries.push(entry)
        }
      await breath()
    }
    // Somebody else may have made some of them meanwhile: then the later ones count, which are the same.
    block.add(uids, entries)
    this.remember(block)
    if (entries.length > 0) await this.files.append(block.first, Buffer.concat(entries))
  }

  /** undefined for a message that can't be read (any more). */
  private async entryOf(record: MessageRecord): Promise<Buffer | undefined> {
    try {
      return keyEntry(record.digest, orderKeys(await this.mailbox.summary(record)))
    } catch (error) {
      if (error instanceof StoreError && (error.kind === 'damaged' || error.kind === 'expunged')) return undefined
      throw error
    }
  }

  private async loaded(first: Uid): Promise<KeyBlock> {
    let loading = this.loading.get(first)
    if (loading === undefined) {
      loading = this.load(first).finally(() => this.loading.delete(first))
      this.loading.set(first, loading)
    }
    return await loading
  }

  private async load(first: Uid): Promise<KeyBlock> {
    const block = new KeyBlock(first)
    const entries = await this.files.entries(first)
    const known = [...this.files.recordsOf(first)].filter(({ digest }) => entries.has(digest))
    block.add(
      known.map(({ uid }) => uid),
      known.map(({ digest }) => entries.get(digest)!),
    )
    this.remember(block)
    return block
  }

  private remember(block: KeyBlock): void {
    this.context.keyBlocks.set(this.keyOf(block.first), block, block.memoryOctets)
  }

  private keyOf(first: Uid): string {
    return `${this.mailbox.id}.${first}`
  }
}
