/**
 * The derived cache of what SEARCH looks into: `cache/texts-1.<first>` holds the decoded and folded texts of the messages with UIDs from `first` on, added by whoever
 * searches. It may be deleted or damaged at any time. Not durable. Not held in memory: a block is read in one go, by each search.
 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { StoreContext } from './context.ts'
import { unlessAbsent } from './fs.ts'
import { searchedText } from './searched-text.ts'
import { blockUids } from './summary-block.ts'
import { sweepBlocks } from './sweep-blocks.ts'
import {
  type MessageText,
  maxTextBlockOctets,
  readTextEntries,
  type TextEntries,
  textEntry,
  textOf,
} from './text-block.ts'
import { makeIfAbsent } from './tree.ts'
import type { MessageContent, MessageList, MessageRecord } from './types.ts'
import { uniqueName } from './unique.ts'

/** Of every file of the cache, whatever shape its entries have. */
export const textFilePrefix = 'texts-'
/** The number changes with the shape of an entry, and with what is taken for the same. */
export const textBlockPattern = /^texts-1\.([1-9][0-9]{0,9})$/
/** Messages that are read side by side. */
const readAtOnce = 16

/** What a search is told of one message; 'long': to be looked into by itself, 'unreadable': damaged, or gone. */
export type SearchedText = MessageText | 'long' | 'unreadable'

/** What is asked of the mailbox, as it is at that moment. */
export interface TextSource {
  /** Nothing may be changed. */
  readonly readOnly: boolean
  readonly directory: string
  readonly messages: MessageList
  content(record: MessageRecord): Promise<MessageContent>
  summary(record: MessageRecord): Promise<MessageSummary>
}

const nothing: TextEntries = { texts: new Map(), count: 0, isWhole: true }

export class TextCache {
  private readonly context: StoreContext
  private readonly mailbox: TextSource

  constructor(context: StoreContext, mailbox: TextSource) {
    this.context = context
    this.mailbox = mailbox
  }

  /** See `Mailbox.texts`. */
  async *runs(
    records: readonly MessageRecord[],
  ): AsyncGenerator<readonly (readonly [MessageRecord, SearchedText])[], void, undefined> {
    for (let start = 0; start < records.length; ) {
      const first = firstOf(records[start]!.uid)
      let end = start + 1
      while (end < records.length && records[end]!.uid < first + blockUids) end += 1
      const { texts } = await this.load(first)
      const missing: MessageRecord[] = []
      for (let at = start; at < end; at += 1) if (!texts.has(records[at]!.digest)) missing.push(records[at]!)
      const made = await this.make(first, missing)
      yield records.slice(start, end).map((record) => {
        const { digest } = record
        return [record, texts.has(digest) ? (texts.get(digest) ?? 'long') : made.get(digest)!] as const
      })
      start = end
    }
  }

  /** Blocks that have no message any more, or another shape, go. */
  sweep(): Promise<void> {
    const { messages, directory } = this.mailbox
    const files = { prefix: textFilePrefix, pattern: textBlockPattern }
    return sweepBlocks(
      this.context,
      `${directory}/cache`,
      files,
      (first) => messages.positionOf((first + blockUids) as Uid) > messages.positionOf(first as Uid),
    )
  }

  private async make(first: number, records: readonly MessageRecord[]): Promise<ReadonlyMap<string, SearchedText>> {
    const made = new Map<string, SearchedText>()
    const entries: Buffer[] = []
    for (let at = 0; at < records.length; at += readAtOnce) {
      const some = records.slice(at, at + readAtOnce)
      const texts = await Promise.all(some.map((record) => this.textOf(record)))
      for (const [index, text] of texts.entries()) {
        const { digest } = some[index]!
        made.set(digest, text)
        if (text !== 'unreadable') entries.push(textEntry(digest, text === 'long' ? undefined : text))
      }
    }
    if (entries.length > 0) await this.append(first, Buffer.concat(entries))
    return made
  }

  private async textOf(record: MessageRecord): Promise<SearchedText> {
    try {
      const { root } = await this.mailbox.summary(record)
      await using content = await this.mailbox.content(record)
      return (await textOf(searchedText(content, root))) ?? 'long'
    } catch (error) {
      if (error instanceof StoreError && (error.kind === 'damaged' || error.kind === 'expunged')) return 'unreadable'
      throw error
    }
  }

  /** The folder of a mailbox that came from a backup without empty folders is made. */
  private async append(first: number, octets: Buffer): Promise<void> {
    if (this.mailbox.readOnly) return
    const { fs, log } = this.context
    const path = this.pathOf(first)
    try {
      const status = await unlessAbsent(fs.status(path))
      if ((status?.sizeOctets ?? 0) + octets.length > maxTextBlockOctets) return
      if (status === undefined) await makeIfAbsent(fs, `${this.mailbox.directory}/cache`)
      await fs.append(path, octets)
    } catch (error) {
      log.log('info', 'the text cache was not written', { path, error: String(error) })
    }
  }

  private async load(first: number): Promise<TextEntries> {
    const { fs, log } = this.context
    const path = this.pathOf(first)
    try {
      const file = await unlessAbsent(fs.open(path))
      if (file === undefined) return nothing
      let octets: Buffer
      try {
        octets = await file.read(0, Math.min(file.sizeOctets, maxTextBlockOctets))
      } finally {
        await file.close()
      }
      const entries = readTextEntries(octets)
      if (!this.mailbox.readOnly) await this.rewriteIfWorth(first, path, entries)
      return entries
    } catch (error) {
      log.log('info', 'the text cache was not read', { path, error: String(error) })
      return nothing
    }
  }

  /** It is damaged, or most of it is doubled or of messages that left. What somebody adds meanwhile is lost, and made again. */
  private async rewriteIfWorth(first: number, path: string, { texts, count, isWhole }: TextEntries): Promise<void> {
    const { fs } = this.context
    const alive = new Set(this.recordsOf(first).map(({ digest }) => digest))
    if (isWhole && count <= 2 * alive.size) return
    const kept = [...texts].filter(([digest]) => alive.has(digest))
    if (kept.length === 0) return void (await unlessAbsent(fs.remove(path)))
    const written = `${this.mailbox.directory}/tmp/${uniqueName()}`
    await fs.append(written, Buffer.concat(kept.map(([digest, text]) => textEntry(digest, text))))
    await fs.rename(written, path)
  }

  private pathOf(first: number): string {
    return `${this.mailbox.directory}/cache/texts-1.${first}`
  }

  /** Of the range. */
  private *recordsOf(first: number): Generator<MessageRecord, void, undefined> {
    const { messages } = this.mailbox
    const end = messages.positionOf((first + blockUids) as Uid)
    for (let at = messages.positionOf(first as Uid); at < end; at += 1) yield messages.at(at)!
  }
}

/** First UID of the block of a message. */
const firstOf = (uid: Uid): number => uid - ((uid - 1) % blockUids)
