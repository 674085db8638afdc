/**
 * The derived cache of what messages are ordered by: `cache/keys-1.<first>` holds the keys of the messages with UIDs from `first` on, added by any process
 * that made them out of summaries. It may be deleted or damaged at any time. Not durable.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, Uid } from '../base/ids.ts'
import { orderKeys } from '../mime/order-keys.ts'
import type { MessageSummary } from '../mime/types.ts'
import { breath } from './breath.ts'
import type { StoreContext } from './context.ts'
import { unlessAbsent } from './fs.ts'
import { KeyBlock, keyBlockUids, keyEntry, maxKeyBlockOctets, readKeyEntries } from './key-block.ts'
import { sweepBlocks } from './sweep-blocks.ts'
import { makeIfAbsent, parentOf } from './tree.ts'
import type { KeyedMessages, KeyRun, MessageList, MessageRecord } from './types.ts'
import { uniqueName } from './unique.ts'

/** Of every file of the cache, whatever shape its entries have. */
export const keyFilePrefix = 'keys-'
/** The number changes with what the keys are made of, and how. */
const shape = 1
export const keyBlockPattern = /^keys-1\.([1-9][0-9]{0,9})$/
/** Messages whose keys are made at once: a few ms. */
const madeAtOnce = 16

/** What is asked of the mailbox, as it is at that moment. */
export interface KeySource {
  readonly id: MailboxId
  /** Nothing may be changed. */
  readonly readOnly: boolean
  readonly directory: string
  readonly messages: MessageList
  summary(record: MessageRecord): Promise<MessageSummary>
}

export class KeyCache {
  private readonly context: StoreContext
  private readonly mailbox: KeySource
  private readonly loading = new Map<Uid, Promise<KeyBlock>>()

  constructor(context: StoreContext, mailbox: KeySource) {
    this.context = context
    this.mailbox = mailbox
  }

  /** See `Mailbox.keys`. */
  async *runs({ uids, record }: KeyedMessages): AsyncGenerator<KeyRun, void, undefined> {
    for (let start = 0; start < uids.length; ) {
      const first = firstOf(uids[start]!)
      let end = start + 1
      while (end < uids.length && uids[end]! < first + keyBlockUids) end += 1
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

  /** One whose messages are gone, or that has another shape, goes. */
  sweep(): Promise<void> {
    const { messages, directory } = this.mailbox
    const files = { prefix: keyFilePrefix, pattern: keyBlockPattern }
    return sweepBlocks(
      this.context,
      `${directory}/cache`,
      files,
      (first) => messages.positionOf((first + keyBlockUids) as Uid) > messages.positionOf(first as Uid),
    )
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
    if (entries.length > 0) await this.append(block.first, Buffer.concat(entries))
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

  private async append(first: Uid, octets: Buffer): Promise<void> {
    if (this.mailbox.readOnly) return
    const path = this.pathOf(first)
    try {
      const status = await unlessAbsent(this.context.fs.status(path))
      if ((status?.sizeOctets ?? 0) + octets.length > maxKeyBlockOctets) return
      await makeIfAbsent(this.context.fs, parentOf(path))
      await this.context.fs.append(path, octets)
    } catch (error) {
      this.context.log.log('info', 'the cache of order keys was not written', { path, error: String(error) })
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
    const path = this.pathOf(first)
    try {
      const file = await unlessAbsent(this.context.fs.open(path))
      if (file !== undefined) {
        let octets: Buffer
        try {
          octets = await file.read(0, Math.min(file.sizeOctets, maxKeyBlockOctets))
        } finally {
          await file.close()
        }
        const { entries, isWhole, count } = readKeyEntries(octets)
        const known = [...this.recordsOf(first)].filter(({ digest }) => entries.has(digest))
        const sound = known.map(({ digest }) => entries.get(digest)!)
        block.add(
          known.map(({ uid }) => uid),
          sound,
        )
        if (!this.mailbox.readOnly && (!isWhole || count > 2 * known.length)) await this.rewrite(path, block.octets)
      }
    } catch (error) {
      this.context.log.log('info', 'the cache of order keys was not read', { path, error: String(error) })
    }
    this.remember(block)
    return block
  }

  /** It is damaged, or most of it is doubled or of messages that left. What somebody adds meanwhile is lost, and made again. */
  private async rewrite(path: string, octets: Buffer): Promise<void> {
    const { fs } = this.context
    if (octets.length === 0) return void (await unlessAbsent(fs.remove(path)))
    const written = `${this.mailbox.directory}/tmp/${uniqueName()}`
    await fs.append(written, octets)
    await fs.rename(written, path)
  }

  private remember(block: KeyBlock): void {
    this.context.keyBlocks.set(this.keyOf(block.first), block, block.memoryOctets)
  }

  private keyOf(first: Uid): string {
    return `${this.mailbox.id}.${first}`
  }

  private pathOf(first: Uid): string {
    return `${this.mailbox.directory}/cache/${keyFilePrefix}${shape}.${first}`
  }

  /** Of the range, those that are here. */
  private *recordsOf(first: Uid): Iterable<MessageRecord> {
    const messages = this.mailbox.messages
    const end = messages.positionOf((first + keyBlockUids) as Uid)
    for (let at = messages.positionOf(first); at < end; at += 1) if (messages.isHereAt(at)) yield messages.at(at)!
  }
}

/** First UID of the block of a message. */
const firstOf = (uid: Uid): Uid => (uid - ((uid - 1) % keyBlockUids)) as Uid
