/** What is in the messages of an open mailbox: their octets, fetched where they have not come yet, and what is derived of them. */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import { openContent, partOf, summaryOf, WrongSize } from './content.ts'
import type { StoreContext } from './context.ts'
import { codeOf, storeError } from './fs.ts'
import type { HeaderTexts } from './header-texts.ts'
import { KeyCache } from './key-cache.ts'
import type { OpenMailbox } from './mailbox.ts'
import { stillAway } from './message-file.ts'
import { previewIn } from './preview.ts'
import { SummaryCache } from './summary-cache.ts'
import { type SearchedText, TextCache } from './text-cache.ts'
import type { KeyedMessages, KeyRun, MessageContent, MessageRecord } from './types.ts'

/** See `Mailbox` for what the methods promise. */
export class MessageReader {
  private readonly context: StoreContext
  private readonly mailbox: OpenMailbox
  private readonly summaries: SummaryCache
  private readonly keyCache: KeyCache
  private readonly searchedTexts: TextCache

  constructor(context: StoreContext, mailbox: OpenMailbox) {
    this.context = context
    this.mailbox = mailbox
    this.summaries = new SummaryCache(context, mailbox)
    this.keyCache = new KeyCache(context, mailbox)
    this.searchedTexts = new TextCache(context, mailbox)
  }

  async bring(uids: readonly Uid[]): Promise<void> {
    const { mailbox } = this
    const missing = () => {
      const { messages } = mailbox
      const [some] = messages.announced()
      if (some === undefined) return []
      return uids.filter((uid) => messages.has(uid) && !messages.isHereAt(messages.positionOf(uid)))
    }
    if (missing().length === 0) return
    await mailbox.refresh()
    const wanted = missing()
    if (wanted.length === 0) return
    const { userId, id: mailboxId, name } = mailbox
    try {
      await this.context.bring?.({ userId, mailboxId, mailbox: name, uids: wanted })
    } catch (cause) {
      throw new StoreError('away', stillAway, { cause })
    } finally {
      await mailbox.refresh()
    }
  }

  content(record: MessageRecord): Promise<MessageContent> {
    return this.reading(record, (path, size) => openContent(this.context.fs, path, size))
  }

  part(record: MessageRecord, start: number, end: number): Promise<Buffer> {
    return this.reading(record, (path, size) => partOf(this.context.fs, path, size, start, end))
  }

  async summary(wanted: MessageRecord): Promise<MessageSummary> {
    const record = wanted.isHere ? wanted : await this.brought(wanted)
    return await this.summaries.get(record, async () => {
      await using content = await this.content(record)
      return await summaryOf(content)
    })
  }

  keepSummary(message: Pick<MessageRecord, 'uid' | 'digest'>, summary: MessageSummary): void {
    this.summaries.keep(message, summary)
  }

  keys(messages: KeyedMessages): AsyncIterable<KeyRun> {
    return this.keyCache.runs(messages)
  }

  headerTexts(
    records: readonly MessageRecord[],
    names: readonly string[],
  ): Promise<readonly (HeaderTexts | undefined)[]> {
    return this.summaries.headerTexts(records, names, (record) => this.summary(record))
  }

  preview(record: MessageRecord, options?: { readonly onlyCached?: boolean }): Promise<string | undefined> {
    return previewIn(this, this.summaries, record, options)
  }

  texts(records: readonly MessageRecord[]): AsyncIterable<readonly (readonly [MessageRecord, SearchedText])[]> {
    return this.searchedTexts.runs(records)
  }

  /** Writes what is only in memory. */
  flush(): Promise<void> {
    return this.summaries.flush()
  }

  /** Removes what is derived of messages that are gone. */
  async sweep(): Promise<void> {
    await this.summaries.sweep()
    await this.keyCache.sweep()
    await this.searchedTexts.sweep()
  }

  /** `read` reads the file; its failures are told as those of the message. */
  private async reading<T>(wanted: MessageRecord, read: (path: string, sizeOctets: number) => Promise<T>): Promise<T> {
    const record = wanted.isHere ? wanted : await this.brought(wanted)
    try {
      return await read(`${this.mailbox.directory}/msg/${record.file}`, record.sizeOctets)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') {
        await this.mailbox.refresh()
        if (this.mailbox.byUid(record.uid) === undefined)
          throw new StoreError('expunged', 'The message was expunged', { cause: error })
        throw this.damaged(record, 'is missing')
      }
      if (codeOf(error) === 'EINVAL' || codeOf(error) === 'ELOOP') throw this.damaged(record, 'is no file')
      if (error instanceof WrongSize) throw this.damaged(record, error.message)
      throw storeError(error, 'Reading a message')
    }
  }

  /** As it is now that its octets are here. Throws StoreError expunged, away. */
  private async brought({ uid }: MessageRecord): Promise<MessageRecord> {
    const { cause } = await this.bring([uid]).then(
      () => ({ cause: undefined }),
      (error: Error) => error,
    )
    const record = this.mailbox.byUid(uid)
    if (record === undefined) throw new StoreError('expunged', 'The message was expunged')
    if (record.isHere) return record
    throw new StoreError('away', stillAway, { cause })
  }

  private damaged(record: MessageRecord, how: string): StoreError {
    this.context.log.log('err', 'a message file is damaged', {
      user: this.mailbox.userId,
      mailbox: this.mailbox.name,
      uid: record.uid,
      file: record.file,
      how,
    })
    return new StoreError('damaged', `The file of the message with UID ${record.uid} ${how}`)
  }
}
