/** A mailbox of an archive: the state that its log tells, which never moves. Every write fails with the same StoreError. */

import { StoreError } from '../../base/errors.ts'
import type { MailboxId, ModSeq, Uid } from '../../base/ids.ts'
import type { MessageSummary } from '../../mime/types.ts'
import { openContent, partOf, summaryOf, WrongSize } from '../content.ts'
import type { StoreContext } from '../context.ts'
import { codeOf, storeError, unlessAbsent } from '../fs.ts'
import type { HeaderTexts } from '../header-texts.ts'
import { KeyCache } from '../key-cache.ts'
import type { MailboxState } from '../mailbox-state.ts'
import { statusOf } from '../mailbox-status.ts'
import { stillAway } from '../message-file.ts'
import { previewIn } from '../preview.ts'
import { SummaryCache } from '../summary-cache.ts'
import { type SearchedText, TextCache } from '../text-cache.ts'
import type {
  CopyResult,
  Delivery,
  ExpungedMessage,
  KeyedMessages,
  KeyRun,
  Mailbox,
  MailboxDelta,
  MailboxStatus,
  MessageContent,
  MessageList,
  MessageRecord,
  OriginState,
} from '../types.ts'
import { archiveError } from './archive-fs.ts'
import type { ArchivedLog } from './archived-log.ts'

export class ArchivedMailbox implements Mailbox {
  readonly name: string
  readonly readOnly = true
  private readonly context: StoreContext
  readonly directory: string
  private readonly log: ArchivedLog<MailboxState>
  private readonly summaries: SummaryCache
  private readonly keyCache: KeyCache
  private readonly searchedTexts: TextCache

  constructor(context: StoreContext, name: string, directory: string, log: ArchivedLog<MailboxState>) {
    this.context = context
    this.name = name
    this.directory = directory
    this.log = log
    this.summaries = new SummaryCache(context, this)
    this.keyCache = new KeyCache(context, this)
    this.searchedTexts = new TextCache(context, this)
  }

  get id(): MailboxId {
    return this.log.id as MailboxId
  }
  get uidValidity(): number {
    return this.log.state.uidValidity
  }
  get uidNext(): Uid {
    return this.log.state.uidNext
  }
  get highestModSeq(): ModSeq {
    return this.log.number as ModSeq
  }
  get messages(): MessageList {
    return this.log.state.messages
  }
  get keywords(): ReadonlySet<string> {
    return this.log.state.keywords
  }
  get recentAfter(): Uid {
    return this.log.state.recentAfter
  }

  status(): MailboxStatus {
    return statusOf(this, this.log.state.messages)
  }

  byUid(uid: Uid): MessageRecord | undefined {
    return this.log.state.byUid(uid)
  }

  byOrigin(origin: string): OriginState | undefined {
    return this.log.state.byOrigin(origin)
  }

  departed(): Iterable<readonly [origin: string, state: OriginState & { present: false }]> {
    return this.log.state.departed.entries()
  }

  expunged(): Iterable<ExpungedMessage> {
    return this.log.state.expunged
  }

  delta(since: ModSeq): MailboxDelta {
    return this.log.state.delta(since, this.highestModSeq)
  }

  async refresh(): Promise<boolean> {
    return false
  }

  onChange(): () => void {
    return () => {}
  }

  async withdraw(): Promise<readonly Uid[]> {
    throw archiveError()
  }

  async announce(): Promise<number> {
    throw archiveError()
  }

  /** Nobody brings anything into an archive. */
  async bring(): Promise<void> {}

  content(record: MessageRecord): Promise<MessageContent> {
    return this.reading(record, (path) => openContent(this.context.fs, path, record.sizeOctets))
  }

  part(record: MessageRecord, start: number, end: number): Promise<Buffer> {
    return this.reading(record, (path) => partOf(this.context.fs, path, record.sizeOctets, start, end))
  }

  keys(messages: KeyedMessages): AsyncIterable<KeyRun> {
    return this.keyCache.runs(messages)
  }

  async summary(record: MessageRecord): Promise<MessageSummary> {
    if (!record.isHere) throw new StoreError('away', stillAway)
    return await this.summaries.get(record, async () => {
      await using content = await this.content(record)
      return await summaryOf(content)
    })
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

  /** Nobody claims what is recent in an archive. */
  async claimRecent(): Promise<{ readonly after: Uid; readonly upTo: Uid }> {
    return { after: this.recentAfter, upTo: this.recentAfter }
  }

  deliver(): Delivery {
    throw archiveError()
  }

  async changeFlags(): Promise<{ readonly modified: readonly Uid[] }> {
    throw archiveError()
  }

  async expunge(): Promise<readonly Uid[]> {
    throw archiveError()
  }

  async undelete(): Promise<CopyResult> {
    throw archiveError()
  }

  async copyTo(): Promise<CopyResult> {
    throw archiveError()
  }

  async moveTo(): Promise<CopyResult> {
    throw archiveError()
  }

  async giveOrigins(): Promise<void> {
    throw archiveError()
  }

  async raiseModSeq(): Promise<void> {
    throw archiveError()
  }

  async raiseUidNext(): Promise<void> {
    throw archiveError()
  }

  async forget(): Promise<void> {
    throw archiveError()
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  /** `read` reads the file; its failures are told as those of the message. */
  private async reading<T>(record: MessageRecord, read: (path: string) => Promise<T>): Promise<T> {
    if (!record.isHere) throw new StoreError('away', stillAway)
    try {
      return await read(`${this.directory}/msg/${record.file}`)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') {
        const { fs } = this.context
        if ((await unlessAbsent(fs.status(`${this.directory}/log`))) !== undefined) throw damaged(record, 'is missing')
        throw new StoreError('unavailable', 'The archive is not there any more; mount it again', { cause: error })
      }
      if (codeOf(error) === 'EINVAL' || codeOf(error) === 'ELOOP') throw damaged(record, 'is no file')
      if (error instanceof WrongSize) throw damaged(record, error.message)
      throw storeError(error, 'Reading a message')
    }
  }
}

function damaged(record: MessageRecord, how: string): StoreError {
  return new StoreError('damaged', `The file of the message with UID ${record.uid} ${how}`)
}
