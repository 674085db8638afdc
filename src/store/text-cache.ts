/**
 * The derived cache of what SEARCH looks into: `cache/texts-1.<first>` holds the decoded and folded texts of the messages with UIDs from `first` on, added by whoever
 * searches. It may be deleted or damaged at any time. Not durable. Not held in memory: a block is read in one go, by each search.
 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import { BlockFiles, type BlockSource, blockUids, firstOf } from './block-files.ts'
import type { StoreContext } from './context.ts'
import { searchedText } from './searched-text.ts'
import { type MessageText, textEntry, textIn, textKind, textOf } from './text-block.ts'
import type { MessageContent, MessageRecord } from './types.ts'

/** Messages that are read side by side. */
const readAtOnce = 16

/** What a search is told of one message; 'long': to be looked into by itself, 'unreadable': damaged, or gone. */
export type SearchedText = MessageText | 'long' | 'unreadable'

/** What is asked of the mailbox, as it is at that moment. */
export interface TextSource extends BlockSource {
  content(record: MessageRecord): Promise<MessageContent>
  summary(record: MessageRecord): Promise<MessageSummary>
}

export class TextCache {
  private readonly mailbox: TextSource
  private readonly files: BlockFiles

  constructor(context: StoreContext, mailbox: TextSource) {
    this.mailbox = mailbox
    this.files = new BlockFiles(context, mailbox, textKind)
  }

  /** See `Mailbox.texts`. */
  async *runs(
    records: readonly MessageRecord[],
  ): AsyncGenerator<readonly (readonly [MessageRecord, SearchedText])[], void, undefined> {
    for (let start = 0; start < records.length; ) {
      const first = firstOf(records[start]!.uid)
      let end = start + 1
      while (end < records.length && records[end]!.uid < first + blockUids) end += 1
      const entries = await this.files.entries(first)
      const missing: MessageRecord[] = []
      for (let at = start; at < end; at += 1) if (!entries.has(records[at]!.digest)) missing.push(records[at]!)
      const made = await this.make(first, missing)
      yield records.slice(start, end).map((record) => {
        const entry = entries.get(record.digest)
        return [record, entry === undefined ? made.get(record.digest)! : (textIn(entry) ?? 'long')] as const
      })
      start = end
    }
  }

  sweep(): Promise<void> {
    return this.files.sweep()
  }

  private async make(first: Uid, records: readonly MessageRecord[]): Promise<ReadonlyMap<string, SearchedText>> {
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
    if (entries.length > 0) await this.files.append(first, Buffer.concat(entries))
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
}
