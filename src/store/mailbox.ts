/** An open mailbox: the log's state, and the operations that change it. One object for all who opened it in this process. */

import type { MailboxId, ModSeq, Uid, UserId } from '../base/ids.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { Announcement } from './announcement.ts'
import { inTurns } from './breath.ts'
import type { Operation } from './change-set.ts'
import { CommitLog, type CommitRequest } from './commit-log.ts'
import type { StoreContext } from './context.ts'
import { copyMessages } from './copy.ts'
import type { ExpungedMessages } from './expunged.ts'
import { codeOf, storeError, unlessAbsent } from './fs.ts'
import type { HeaderTexts } from './header-texts.ts'
import { Leavings } from './leavings.ts'
import { MailboxDelivery } from './mailbox-delivery.ts'
import { MailboxPlans } from './mailbox-plans.ts'
import { MailboxState, type Outcome } from './mailbox-state.ts'
import { statusOf } from './mailbox-status.ts'
import { checkOrigin } from './message-file.ts'
import type { StoredMessages } from './message-list.ts'
import { MessageReader } from './message-reader.ts'
import { NameFilter } from './name-filter.ts'
import { inPieces, operations } from './operations.ts'
import type { StoredMessage } from './record.ts'
import type { SearchedText } from './text-cache.ts'
import { folders, makeIfAbsent } from './tree.ts'
import type {
  CommitNotice,
  CopyOptions,
  CopyResult,
  Delivery,
  ExpungeCause,
  Flag,
  FlagChange,
  GivenUids,
  KeyedMessages,
  KeyRun,
  Mailbox,
  MailboxDelta,
  MailboxStatus,
  MessageContent,
  MessageRecord,
  OriginState,
} from './types.ts'
import { sortedUids } from './uid-set.ts'
import { Purger, undeleteMessages } from './undelete.ts'

/** Given by one operation. */
const originsPerOperation = 1000

export class OpenMailbox implements Mailbox {
  name: string
  readonly readOnly = false
  readonly userId: UserId
  private readonly context: StoreContext
  private readonly log: CommitLog<Outcome, MailboxState>
  private readonly leavings: Leavings
  private readonly purger: Purger
  private readonly reader: MessageReader
  private readonly listeners = new Set<(own: boolean) => void>()
  /** Of the present commit. */
  readonly plans: MailboxPlans
  private readonly released: (mailbox: OpenMailbox) => Promise<void>

  constructor(
    context: StoreContext,
    userId: UserId,
    name: string,
    directory: string,
    committed: (notice: CommitNotice) => void,
    released: (mailbox: OpenMailbox) => Promise<void>,
  ) {
    this.context = context
    this.userId = userId
    this.name = name
    this.released = released
    const moved = (own: boolean) => {
      const change = this.log.state.history.last
      if (own && change !== undefined && change.added + change.updated + change.expunged > 0) {
        const notice: CommitNotice = {
          userId,
          mailbox: this.name,
          highestModSeq: change.modSeq,
          added: change.added,
          updated: change.updated,
          expunged: change.expunged,
        }
        this.tell(() => committed(notice))
      }
      for (const listener of [...this.listeners]) this.tell(() => listener(own))
    }
    this.log = new CommitLog(context, 'mailbox', directory, () => new MailboxState(context.clock), moved)
    this.plans = new MailboxPlans(
      () => this.log.state,
      () => this.seconds(),
    )
    this.log.planned = () => this.plans.clear()
    this.leavings = new Leavings(context)
    this.purger = new Purger(context, this)
    this.reader = new MessageReader(context, this)
  }

  /** Reads the log. Throws StoreError not-found. */
  async load(): Promise<void> {
    await this.doing('Opening a mailbox', this.log.open())
    await this.doing('Opening a mailbox', this.makeMissingFolders())
    void this.sweep()
    this.purger.purgeWhenDue()
  }

  /** Removes what is to go by now. */
  async tidy(): Promise<void> {
    await this.doing('Tidying a mailbox', this.purger.purgeOld())
    await this.sweep()
  }

  get directory(): string {
    return this.log.directory
  }

  /** The mailbox was renamed. */
  follow(name: string, directory: string): void {
    this.name = name
    this.log.directory = directory
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
  get messages(): StoredMessages {
    return this.log.state.messages
  }
  get keywords(): ReadonlySet<Flag> {
    return this.log.state.keywords
  }
  get recentAfter(): Uid {
    return this.log.state.recentAfter
  }
  /** Paths of the log's last entry, as far as this mailbox was read, and of the one that will be next. */
  get entries(): { readonly last: string; readonly next: string } {
    return this.log.entries
  }
  /** Messages and other things that the state holds. */
  get weight(): number {
    return this.log.state.weight
  }

  byUid(uid: Uid): StoredMessage | undefined {
    return this.log.state.byUid(uid)
  }

  byOrigin(origin: string): OriginState | undefined {
    const { state } = this.log
    // Only its hash survived a loss. Whoever asks by name may soon expunge it, and others will have to know what left.
    if (state.isHashed(origin)) void this.nameOrigins([{ origin, uidl: undefined }]).catch(() => {})
    return this.known(origin)
  }

  /** `byOrigin` for a delivery, which records what it learns itself. */
  known(origin: string): OriginState | undefined {
    return this.log.state.byOrigin(origin)
  }

  /** Records those origins of which only the hash is known. */
  async nameOrigins(named: readonly { readonly origin: string; readonly uidl: string | undefined }[]): Promise<void> {
    const hashed = () => named.filter(({ origin }) => this.log.state.isHashed(origin))
    if (hashed().length === 0) return
    await this.commit({
      plan: () => hashed().map(({ origin, uidl }) => operations.origin(origin, uidl)),
      done: () => {},
    })
  }

  departed(): Iterable<readonly [origin: string, state: OriginState & { present: false }]> {
    return this.log.state.departed.entries()
  }

  async refresh(): Promise<boolean> {
    const moved = await this.doing('Reading a mailbox', this.log.refresh())
    this.purger.purgeWhenDue()
    return moved
  }

  delta(since: ModSeq): MailboxDelta {
    return this.log.state.delta(since, this.highestModSeq)
  }

  onChange(listener: (own: boolean) => void): () => void {
    // A listener of its own for every call, even of the same function.
    const told = (own: boolean) => listener(own)
    this.listeners.add(told)
    return () => this.listeners.delete(told)
  }

  deliver(): Delivery {
    return new MailboxDelivery(this.context, this)
  }

  /** The flags as this mailbox spells them. Throws StoreError invalid or limit. */
  canonicalFlags(flags: Iterable<Flag>): Flag[] {
    return this.log.state.flagTable.canonical(flags)
  }

  async changeFlags(change: FlagChange): Promise<{ readonly modified: readonly Uid[] }> {
    const flags = this.canonicalFlags(change.flags)
    const without = this.canonicalFlags(change.without ?? [])
    const uids = sortedUids(change.uids)
    let modified: Uid[] = []
    const plans = this.plans.flags
    const plan = function* (messages: StoredMessages) {
      if (without.length === 0) return yield* plans.plan(messages, uids, change, flags, modified)
      yield* plans.plan(messages, uids, { ...change, mode: 'remove' }, without, modified)
      const left = new Set(modified)
      const others = left.size === 0 ? uids : uids.filter((uid) => !left.has(uid))
      yield* plans.plan(messages, others, { mode: change.mode }, flags, modified)
    }
    return await this.commit({
      plan: () => {
        modified = []
        return plan(this.messages)
      },
      done: () => ({ modified }),
    })
  }

  expunge(uids: readonly Uid[], cause: ExpungeCause): Promise<readonly Uid[]> {
    return this.takeOut(uids, cause, this.context.undeleteDays() > 0)
  }

  private async takeOut(uids: readonly Uid[], cause: ExpungeCause, keep: boolean): Promise<readonly Uid[]> {
    const wanted = sortedUids(uids)
    const expunged = await this.commit({
      plan: () => {
        const at = this.seconds()
        const { messages } = this
        return inPieces(wanted, (piece) => {
          const present = piece.filter((uid) => messages.has(uid))
          return present.length === 0 ? undefined : operations.expunge(cause, present, at)
        })
      },
      done: (outcomes) => outcomes.flatMap((outcome) => outcome.expunged ?? []).flat(),
    })
    if (!keep && expunged.length > 0) {
      const gone = new Set(expunged)
      this.leavings.later(() => this.purger.purge(({ message }) => gone.has(message.uid)))
    }
    return expunged
  }

  expunged(): ExpungedMessages {
    return this.log.state.expunged
  }

  async undelete(uids: readonly Uid[]): Promise<CopyResult> {
    return await this.doing('Bringing back messages', undeleteMessages(this.context, this, uids))
  }

  /** Nothing names these message files any more. */
  removeFilesLater(files: readonly string[]): void {
    this.leavings.later(async () => {
      // After a loss a file may be a message again; then this mailbox is not found any more, and the file stays.
      await this.refresh()
      for (const file of files) await unlessAbsent(this.context.fs.remove(`${this.directory}/msg/${file}`))
    })
  }

  async copyTo(uids: readonly Uid[], target: Mailbox, options?: CopyOptions): Promise<CopyResult> {
    if (!(target instanceof OpenMailbox)) throw new Error('the target is of another store')
    await this.bring(uids)
    return await this.doing('Copying messages', copyMessages(this.context, this, uids, target, options))
  }

  async moveTo(uids: readonly Uid[], target: Mailbox, options?: CopyOptions): Promise<CopyResult> {
    const result = await this.copyTo(uids, target, options)
    // They are in the target: nobody wants them back here.
    await this.takeOut(
      result.pairs.map(([source]) => source),
      'client',
      false,
    )
    return result
  }

  async giveOrigins(given: readonly (readonly [uid: Uid, origin: string])[]): Promise<void> {
    for (const [, origin] of given) checkOrigin(origin)
    const ascending = given.toSorted(([a], [b]) => a - b)
    await this.commit({
      *plan() {
        for (let at = 0; at < ascending.length; at += originsPerOperation)
          yield operations.origins(ascending.slice(at, at + originsPerOperation))
      },
      done: () => {},
    })
  }

  async forget(origins: readonly string[]): Promise<void> {
    await this.commit({
      plan: () => {
        const known = origins.filter((origin) => this.log.state.departed.has(origin))
        return known.length === 0 ? [] : [operations.forget(known)]
      },
      done: () => {},
    })
  }

  async raiseModSeq(): Promise<void> {
    // What is recent stays so.
    await this.commit({ plan: () => [operations.recent(this.recentAfter)], done: () => {} })
  }

  claimRecent(): Promise<{ readonly after: Uid; readonly upTo: Uid }> {
    return this.commit({
      plan: (): Operation[] => {
        const newest = (this.uidNext - 1) as Uid
        return newest > this.recentAfter ? [operations.recent(newest)] : []
      },
      done: ([outcome]) => outcome?.recent ?? { after: this.recentAfter, upTo: this.recentAfter },
    })
  }

  /** See `Account.adoptUids`. */
  adoptUids(given: GivenUids): Promise<boolean> {
    return this.commit({
      plan: () => this.plans.adoption(given),
      done: ([outcome]) => outcome?.adopted ?? this.uidValidity === given.uidValidity,
    })
  }

  async raiseUidNext(uidNext: Uid): Promise<void> {
    await this.commit({
      plan: () => this.plans.raisedUidNext(uidNext),
      done: () => {},
    })
  }

  async announce(messages: Announcement): Promise<number> {
    const rows = messages.ascending()
    const sets = rows.sets.map((flags) => this.canonicalFlags(flags))
    return await this.commit({
      plan: () => this.plans.announcements(rows, sets),
      done: (outcomes) => outcomes.reduce((sum, { announced = 0 }) => sum + announced, 0),
    })
  }

  async withdraw(uids: readonly Uid[]): Promise<readonly Uid[]> {
    const wanted = sortedUids(uids)
    return await this.commit({
      plan: () => this.plans.withdrawal(wanted),
      done: (outcomes) => outcomes.flatMap((outcome) => outcome.expunged ?? []).flat(),
    })
  }

  /** What a message keeps that was announced and comes now; undefined for one that is here. */
  announcedAs(uid: Uid): { readonly internalDate: number } | undefined {
    const row = this.byUid(uid)
    return row?.isHere === false ? { internalDate: row.internalDate } : undefined
  }

  bring(uids: readonly Uid[]): Promise<void> {
    return this.reader.bring(uids)
  }

  /** Since 1970. */
  private seconds(): number {
    return Math.floor(this.context.clock.now() / 1000)
  }

  /** Commits to this mailbox's log. */
  commit<Result>(request: CommitRequest<Outcome, Result>): Promise<Result> {
    return this.changing(this.log.commit(request))
  }

  /**
   * A folder that isn't there means mostly that the mailbox was removed: then throws StoreError not-found. Else a removal of an
   * earlier mailbox of this name was late; the folders are made again.
   */
  async changing<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || (error instanceof Error && codeOf(error.cause) === 'ENOENT')) {
        await this.refresh()
        await this.makeFolders()
      }
      throw storeError(error, 'Changing a mailbox')
    }
  }

  content(record: MessageRecord): Promise<MessageContent> {
    return this.reader.content(record)
  }

  part(record: MessageRecord, start: number, end: number): Promise<Buffer> {
    return this.reader.part(record, start, end)
  }

  summary(record: MessageRecord): Promise<MessageSummary> {
    return this.reader.summary(record)
  }

  keys(messages: KeyedMessages): AsyncIterable<KeyRun> {
    return this.reader.keys(messages)
  }

  headerTexts(
    records: readonly MessageRecord[],
    names: readonly string[],
  ): Promise<readonly (HeaderTexts | undefined)[]> {
    return this.reader.headerTexts(records, names)
  }

  preview(record: MessageRecord, options?: { readonly onlyCached?: boolean }): Promise<string | undefined> {
    return this.reader.preview(record, options)
  }

  /** Of a message that has come just now. */
  keepSummary(message: Pick<MessageRecord, 'uid' | 'digest'>, summary: MessageSummary): void {
    this.reader.keepSummary(message, summary)
  }

  texts(records: readonly MessageRecord[]): AsyncIterable<readonly (readonly [MessageRecord, SearchedText])[]> {
    return this.reader.texts(records)
  }

  status(): MailboxStatus {
    return statusOf(this, this.messages)
  }

  close(): Promise<void> {
    return this.released(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Writes what is only in memory. */
  flush(): Promise<void> {
    return this.reader.flush()
  }

  /** What somebody makes of the news can't fail a commit that is durable. */
  private tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      const incident = {
        user: this.userId,
        mailbox: this.name,
        error: error instanceof Error ? error.stack : String(error),
      }
      this.context.log.log('err', 'a listener to a mailbox failed', incident)
    }
  }

  /** Folders that hold something are there. Some backups leave out empty ones. */
  private async makeMissingFolders(): Promise<void> {
    const isSwept = (await unlessAbsent(this.context.fs.status(`${this.directory}/tmp/swept`))) !== undefined
    const isEmptied =
      this.messages.length === 0 && (await unlessAbsent(this.context.fs.status(`${this.directory}/msg`))) === undefined
    if (!isSwept || isEmptied) await this.makeFolders()
  }

  private async makeFolders(): Promise<void> {
    for (const folder of folders) {
      const path = `${this.directory}/${folder}`
      if ((await unlessAbsent(this.context.fs.status(path))) === undefined) await makeIfAbsent(this.context.fs, path)
    }
  }

  private async sweep(): Promise<void> {
    if (!(await this.leavings.sweepWhenDue(this.directory, () => this.liveFiles()))) return
    await this.reader.sweep()
    await this.log.removeOldEpochs().catch(() => {})
  }

  private async liveFiles(): Promise<NameFilter> {
    await this.log.refresh()
    const { messages, expunged } = this.log.state
    const known = new NameFilter(messages.length + expunged.length)
    for await (const { file } of inTurns(messages)) known.add(file)
    for await (const { message } of inTurns(expunged)) known.add(message.file)
    return known
  }

  private async doing<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw storeError(error, what)
    }
  }
}
