/**
 * The store as the other rooms see it: accounts, mailboxes, messages. Every promise of a write resolves only when the
 * effect is durable; every reader announces only what is durable. Failures are `StoreError`.
 */

import type { MailboxId, ModSeq, Uid, UserId } from '../base/ids.ts'
import type { KeyText } from '../mime/order-keys.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { Announcement } from './announcement.ts'
import type { HeaderTexts } from './header-texts.ts'
import type { SearchedText } from './text-cache.ts'

/** A flag or keyword as IMAP spells it: '\Seen', '$Forwarded'. Compared without case; system flags in RFC spelling. '\Recent' is never among them. */
export type Flag = string

/** A message as the log records it. Never changed in place: a flag change makes a new record. */
export interface MessageRecord {
  readonly uid: Uid
  /** Name in the mailbox's `msg/`. */
  readonly file: string
  readonly sizeOctets: number
  /** INTERNALDATE, seconds since 1970. */
  readonly internalDate: number
  /** Shared between records with equal sets. */
  readonly flags: ReadonlySet<Flag>
  readonly modSeq: ModSeq
  /** False for an announced message: its octets have not come, and `sizeOctets` is what another server says. */
  readonly isHere: boolean
  /** SHA-256 of the octets, base64url; of no meaning where they are not here. */
  readonly digest: string
  /** Where a synchronised message comes from, in the gateway's own spelling, or what a copy was made of (`copySource`); unique in the mailbox. */
  readonly origin: string | undefined
  /** The unique-id that pop3d shows, where the origin gave one. RFC 1939 §7 */
  readonly uidl: string | undefined
}

/**
 * Messages, ascending UID. Never changes: a change of the mailbox makes another list, which shares with this one what stayed. Records are made
 * when they are asked for; whoever goes through many reads single properties by position.
 */
export interface MessageList extends Iterable<MessageRecord> {
  readonly length: number
  /** Of a position from 0; undefined where there is none. */
  at(position: number): MessageRecord | undefined
  uidAt(position: number): Uid
  flagsAt(position: number): ReadonlySet<Flag>
  sizeAt(position: number): number
  /** Seconds since 1970. */
  internalDateAt(position: number): number
  modSeqAt(position: number): ModSeq
  /** The MODSEQ that it was added with: while it has that, its flags are as they were given. */
  addedModSeqAt(position: number): ModSeq
  /** When it came into the mailbox, seconds since 1970; undefined for one that came before this was noted, or was found again after a loss. RFC 8514 */
  savedDateAt(position: number): number | undefined
  originAt(position: number): string | undefined
  uidlAt(position: number): string | undefined
  /** See `MessageRecord.isHere`. */
  isHereAt(position: number): boolean
  /** Those that are not here, ascending. Next to no work where all are. */
  announced(): Iterable<Uid>
  /** Position of the first message with this UID or a higher one; `length` where there is none. Cheap for neighbours one after another. */
  positionOf(uid: Uid): number
  byUid(uid: Uid): MessageRecord | undefined
}

/** Why a message left: decides what the gateway does at the backend. */
export type ExpungeCause =
  /** A client (or expiry) deleted it here: the backend's copy is to go too. */
  | 'client'
  /** It vanished at the backend. */
  | 'backend'
  /** Pushed out by fetch_last_n: the backend keeps it. */
  | 'window'

/** A message as it was when it left, which can be brought back. */
export interface ExpungedMessage {
  readonly message: MessageRecord
  /** Seconds since 1970. */
  readonly expungedAt: number
  readonly cause: ExpungeCause
}

/** What the mailbox knows of an origin. A departed origin is remembered until `forget`, so that it is not fetched again. */
export type OriginState =
  | { readonly present: true; readonly uid: Uid }
  | { readonly present: false; readonly uid: Uid; readonly cause: ExpungeCause; readonly modSeq: ModSeq }

/** UIDs from `first` to `last`, both included. */
export interface UidRange {
  readonly first: Uid
  readonly last: Uid
}

/** Net difference between two states of a mailbox; may be about all of a large one, so it is made while it is read. */
export interface MailboxDelta {
  /** Ascending; all of them are there. */
  added(): Iterable<Uid>
  /** Messages that were there before and whose flags changed; ascending, all of them are there. */
  updated(): Iterable<Uid>
  /** Ascending, none touches another; may name UIDs that the caller never saw. */
  expunged(): Iterable<UidRange>
  readonly highestModSeq: ModSeq
}

/** What is known of a message before its octets are. */
export interface NewMessage {
  /** Seconds since 1970. */
  readonly internalDate: number
  readonly flags?: Iterable<Flag>
  readonly origin?: string
  readonly uidl?: string
  /**
   * That another server gave it: the message has it here when it is free, which is at or above UIDNEXT at the commit. Otherwise it gets the next one, as
   * any other message does; `Delivered` tells. None above 4026531840 is taken. Within a delivery those with given UIDs come first, ascending.
   */
  readonly uid?: Uid
  /**
   * What all attempts to hand this message over have in common, and nothing else, for a shared one: when it came into this mailbox in the last five days, it is
   * not stored again. docs/decisions/0365-a-retry-is-stored-once.md
   */
  readonly handed?: string
}

/** Announced messages that somebody wants to read now. */
export interface Wanted {
  readonly userId: UserId
  readonly mailboxId: MailboxId
  /** Of the mailbox, as it is now. */
  readonly mailbox: string
  readonly uids: readonly Uid[]
}

/** Resolves when they are in the store, or won't come now; rejects with the reason why they don't. */
export type Bring = (wanted: Wanted) => Promise<void>

/** What another server tells of a mailbox whose UIDs are to be kept. RFC 9051 §2.3.1.1 */
export interface GivenUids {
  readonly uidValidity: number
  readonly uidNext: Uid
}

/**
 * One message for any number of mailboxes, of which every partition keeps one copy. Its octets come once and can be read back until it is disposed,
 * which is when nobody adds it any more.
 */
export interface SharedMessage extends AsyncDisposable {
  readonly sizeOctets: number
  /** Resolves or returns when more may be written. The chunk is not copied: nobody may change it afterwards. */
  write(chunk: Uint8Array): void | Promise<void>
  /** The message is complete: it can be read, and added to deliveries. */
  end(): Promise<void>
  /** Octets [start, end); fewer only at the end of the message. */
  read(start: number, end: number): Promise<Buffer>
  /** The same in chunks of at most 64 KiB. */
  stream(start?: number, end?: number): AsyncIterable<Buffer>
}

/** Takes one message's octets. */
export interface MessageSink {
  /** Resolves or returns when more may be written. The chunk is not copied: nobody may change it afterwards. */
  write(chunk: Uint8Array): void | Promise<void>
  /** The message is complete. Without it, commit leaves the message out. Resolves or returns when the next one may be written. */
  end(): void | Promise<void>
  /** This message is not wanted after all; the others of the delivery are unaffected. */
  abort(): void | Promise<void>
}

/** Fate of one message of a delivery, in the order of `add`. */
export type Delivered =
  | { readonly uid: Uid }
  /** The origin is in the mailbox, or departed and not forgotten: nothing was stored. */
  | { readonly duplicateOf: OriginState }
  /** It was handed over before: nothing was stored. The other one has, or had, this UID. */
  | { readonly repeatOf: Uid }
  | { readonly aborted: true }

/** Messages being written to one mailbox. None is visible before `commit`; all become visible in one change set. */
export interface Delivery extends AsyncDisposable {
  add(message: NewMessage): MessageSink
  /** Adds one that has ended, and that goes to other mailboxes as well. */
  addShared(message: NewMessage, shared: SharedMessage): void
  /** Makes files, directory and change set durable, then resolves. All or nothing. */
  commit(): Promise<readonly Delivered[]>
  /** Removes what was written. Also done by disposal without commit. */
  abandon(): Promise<void>
}

export interface FlagChange {
  readonly uids: readonly Uid[]
  readonly mode: 'set' | 'add' | 'remove'
  readonly flags: Iterable<Flag>
  /** Taken off by the same commit, before `flags` are added. With mode 'add' only. */
  readonly without?: Iterable<Flag>
  /** RFC 7162 §3.1.3: messages changed after this are left alone and reported. */
  readonly unchangedSince?: ModSeq
}

export interface CopyOptions {
  /** By UID of the source; a copy is one of its message unless told otherwise. */
  readonly origins?: ReadonlyMap<Uid, string>
  /** Flags that the copies get of those that the messages have; all unless told otherwise. */
  readonly keepsFlag?: (flag: Flag) => boolean
}

export interface CopyResult {
  readonly uidValidity: number
  /** Ascending source order. Messages that are gone already are missing here. */
  readonly pairs: readonly (readonly [source: Uid, target: Uid])[]
}

/** Octets of one message, readable until closed even when the message is expunged meanwhile. */
export interface MessageContent extends AsyncDisposable {
  readonly sizeOctets: number
  /** Octets [start, end); fewer only at the end of the message. */
  read(start: number, end: number): Promise<Buffer>
  /** The same in chunks of at most 64 KiB. */
  stream(start?: number, end?: number): AsyncIterable<Buffer>
}

/** Messages whose order keys are wanted. */
export interface KeyedMessages {
  /** Ascending. */
  readonly uids: readonly Uid[]
  /** Asked only for those whose keys are not known yet. */
  readonly record: (index: number) => MessageRecord
}

/** The order keys of the messages `uids[start]` to `uids[end - 1]`. */
export interface KeyRun {
  readonly start: number
  readonly end: number
  /** False for a message whose octets are not here or can't be read: then the others must not be asked. */
  readonly keys: {
    has(uid: Uid): boolean
    /** See `OrderKeys.texts`; octets in latin1. */
    text(uid: Uid, text: KeyText): string
    /** Seconds since 1970; NaN without a legible Date. */
    sentAt(uid: Uid): number
    isReply(uid: Uid): boolean
  }
}

/**
 * An open mailbox: the state at `highestModSeq`, shared by all who opened it in this process. The state moves forward
 * by `refresh` and by own commits only, never between two lines of a caller that does not await.
 */
export interface Mailbox extends AsyncDisposable {
  readonly id: MailboxId
  /** It lies in an archive: every write fails with StoreError no-permission, and nothing about it changes. */
  readonly readOnly: boolean
  /** Unicode, '/' between levels, 'INBOX' for the inbox. */
  readonly name: string
  readonly uidValidity: number
  readonly uidNext: Uid
  readonly highestModSeq: ModSeq
  /** Replaced, not changed, when the state moves. */
  readonly messages: MessageList
  /** Keywords in use or used before, for FLAGS and PERMANENTFLAGS. */
  readonly keywords: ReadonlySet<Flag>
  /** Messages above this UID are \Recent for whoever claims them. */
  readonly recentAfter: Uid
  byUid(uid: Uid): MessageRecord | undefined
  byOrigin(origin: string): OriginState | undefined
  /** Departed origins that were not forgotten yet. */
  departed(): Iterable<readonly [origin: string, state: OriginState & { present: false }]>
  /** Looks for change sets of others, here or on other machines. True when the state moved. */
  refresh(): Promise<boolean>
  /** Everything after `since`, at any age: exact from memory when recent, else by scan. */
  delta(since: ModSeq): MailboxDelta
  /**
   * Called (synchronously) after the state moved, whoever caused it. `own`: by a commit of whoever opened the mailbox in this process, which has
   * the number `highestModSeq`. Returns the way to stop it.
   */
  onChange(listener: (own: boolean) => void): () => void
  deliver(): Delivery
  /**
   * Messages that are there from now on, and whose octets come later: with a delivery of the same origin, under the same UID, whatever size they have then. All in
   * one commit, in the order of their numbers. Answers how many are new: an origin that is known is left out.
   */
  announce(messages: Announcement): Promise<number>
  /** Takes announced messages out as if they had never been told of, so that they may come in another way. What has come stays. Answers those that it took out. */
  withdraw(uids: readonly Uid[]): Promise<readonly Uid[]>
  /** Has those of these messages fetched that are not here (`StoreOptions.bring`). Throws StoreError away; what came is here all the same. */
  bring(uids: readonly Uid[]): Promise<void>
  /** UIDs that `unchangedSince` left alone. Gone messages are ignored. One commit, or none when nothing changes. */
  changeFlags(change: FlagChange): Promise<{ readonly modified: readonly Uid[] }>
  /** The UIDs that this call expunged, ascending. */
  expunge(uids: readonly Uid[], cause: ExpungeCause): Promise<readonly Uid[]>
  /** In the order in which they left. They go for good after a while. */
  expunged(): Iterable<ExpungedMessage>
  /** Brings expunged messages back under new UIDs, without \Deleted, as copies: their origins stay departed. All or nothing. */
  undelete(uids: readonly Uid[]): Promise<CopyResult>
  /**
   * Flags and INTERNALDATE are kept, origins are not: a copy is a message of its own, and knows what it was made of, unless `origins`
   * says where it comes from. One that the target knows already is left out. All or nothing.
   */
  copyTo(uids: readonly Uid[], target: Mailbox, options?: CopyOptions): Promise<CopyResult>
  /** Target first, then the source: a crash between leaves a duplicate, never a hole. */
  moveTo(uids: readonly Uid[], target: Mailbox, options?: Pick<CopyOptions, 'keepsFlag'>): Promise<CopyResult>
  /**
   * Says where messages come from that are here already: a copy at a backend was made of them, or is known under another origin now. What left
   * meanwhile departs with the origin (`client`); an origin that is known stays where it is.
   */
  giveOrigins(given: readonly (readonly [uid: Uid, origin: string])[]): Promise<void>
  /** The backend no longer lists these departed origins. */
  forget(origins: readonly string[]): Promise<void>
  /** Gives no UID below this one any more that was not given yet: what another server spent them for is gone. Nothing above 4026531840. */
  raiseUidNext(uidNext: Uid): Promise<void>
  /** Spends a MODSEQ on none of the messages: something else of the mailbox changed, which is kept elsewhere. RFC 7162 §3.2 */
  raiseModSeq(): Promise<void>
  /** Commits "recent up to the newest"; the UIDs that became \Recent for this caller, and for nobody else, lie in (after, upTo]. */
  claimRecent(): Promise<{ readonly after: Uid; readonly upTo: Uid }>
  /** Throws StoreError: damaged, expunged (file already gone), away, unavailable. */
  content(record: MessageRecord): Promise<MessageContent>
  /** Octets [start, end), at most 64 KiB and all within the message; those of many messages asked for at once come cheap. Throws as `content`. */
  part(record: MessageRecord, start: number, end: number): Promise<Buffer>
  /** From the derived cache, else by one pass over the file, then cached. */
  summary(record: MessageRecord): Promise<MessageSummary>
  /**
   * What messages are ordered by (SORT, THREAD): from the derived cache, else from their summaries, then cached. In runs of up to 256 messages, each a
   * few ms of work when nothing has to be made.
   */
  keys(messages: KeyedMessages): AsyncIterable<KeyRun>
  /**
   * What SEARCH asks of the headers of messages, in their order, from the derived cache; undefined: the message is damaged, or gone. `names`: lower case, those
   * of fields that summaries have. Throws StoreError: away, unavailable.
   */
  headerTexts(
    records: readonly MessageRecord[],
    names: readonly string[],
  ): Promise<readonly (HeaderTexts | undefined)[]>
  /** The beginning of its text, from the derived cache, to which it is added; `onlyCached`: undefined where it would have to be made. Throws as `content` does. */
  preview(record: MessageRecord, options?: { readonly onlyCached?: boolean }): Promise<string | undefined>
  /**
   * What SEARCH looks into, of messages in ascending order, in runs of them that were read together; from the derived cache, to which it is added. Throws
   * StoreError: away, unavailable.
   */
  texts(records: readonly MessageRecord[]): AsyncIterable<readonly (readonly [MessageRecord, SearchedText])[]>
  /** Gives this reference back. */
  close(): Promise<void>
}

export interface MailboxEntry {
  readonly name: string
  /** False for a level that only holds children (\Noselect). */
  readonly selectable: boolean
  readonly hasChildren: boolean
}

export interface MailboxStatus {
  readonly messages: number
  readonly recent: number
  readonly unseen: number
  readonly deleted: number
  readonly sizeOctets: number
  readonly uidNext: Uid
  readonly uidValidity: number
  readonly highestModSeq: ModSeq
  readonly mailboxId: MailboxId
}

/** A mailbox that was removed and can be brought back. */
export interface RemovedMailbox {
  /** For `restore`; may be another one when it is listed again. */
  readonly id: string
  readonly mailboxId: MailboxId
  /** It had when it was removed. */
  readonly name: string
  /** Seconds since 1970. */
  readonly removedAt: number
  readonly messages: number
  readonly sizeOctets: number
}

export interface Usage {
  readonly messages: number
  readonly octets: number
}

/** One user's tree. Cheap to make; does no I/O before it is used. */
export interface Account {
  readonly userId: UserId
  /** Directory of the account, absolute; with several roots the one that was last found, see `locate`. */
  readonly path: string
  /** The root that the account lives in, or that it would be made in. Throws StoreError unavailable, also while it is being moved. */
  locate(): Promise<{ readonly root: string; readonly path: string; readonly exists: boolean }>
  exists(): Promise<boolean>
  /**
   * Removes from the disk what can't be brought back any more, and what crashes left, where nobody does who uses the account. Nothing for an archive,
   * where nothing is ever removed.
   */
  tidy(): Promise<void>
  /** Makes the account and its INBOX; nothing when both are there. */
  ensure(): Promise<void>
  /** Removes the whole tree. */
  destroy(): Promise<void>
  /** All mailboxes, sorted by name, INBOX first. */
  list(): Promise<readonly MailboxEntry[]>
  open(name: string): Promise<Mailbox>
  status(name: string): Promise<MailboxStatus>
  /** One entry of `list`; undefined where there is none. */
  find(name: string): Promise<MailboxEntry | undefined>
  /** For one question about names, whatever state the mailbox is in; undefined where there is none. */
  findId(name: string): Promise<MailboxId | undefined>
  /**
   * Messages and their octets in all mailboxes together; those that were expunged don't count. With `recount` nothing is believed that was counted
   * before; the result is the same, unless something derived is damaged.
   */
  usage(options?: { readonly recount?: boolean }): Promise<Usage>
  /** Missing levels above become non-selectable. Throws already-exists, invalid (with the reason), limit. */
  create(name: string, as?: { readonly uidValidity?: number; readonly uidNext?: Uid }): Promise<void>
  /**
   * From now on UIDs below `uidNext` are those of messages that come with them (`NewMessage.uid`), and of no others: a client that knows them from another
   * server never takes one message for another. A mailbox that never held a message takes UIDVALIDITY over as well; whoever has it open then has
   * to open it again (not-found). False, and nothing is changed: it has another UIDVALIDITY. Throws not-found, invalid.
   */
  adoptUids(name: string, as: GivenUids): Promise<boolean>
  /** It can be brought back for a while. With children: becomes non-selectable. INBOX: invalid. RFC 9051 §6.3.5 */
  remove(name: string): Promise<void>
  /** Oldest first. */
  removed(): Promise<readonly RemovedMailbox[]>
  /** Brings back a removed mailbox as it was, also its UIDs; answers its name, another one where there is one of that name now. Throws not-found. */
  restore(id: string): Promise<string>
  /** Children move along. INBOX: its messages move, it stays, its children stay. RFC 9051 §6.3.6 */
  rename(from: string, to: string): Promise<void>
  subscriptions(): Promise<readonly string[]>
  subscribe(name: string): Promise<void>
  unsubscribe(name: string): Promise<void>
  /** A value of the account's own log (sync cursors and the like), JSON. */
  get(key: string): Promise<unknown>
  /** All values whose keys begin so. */
  entries(prefix: string): Promise<ReadonlyMap<string, unknown>>
  /** Sets or (undefined) removes values in one durable change set. */
  put(values: Readonly<Record<string, unknown>>): Promise<void>
  /** Changes one value, whoever else does the same: `change` makes the new one (undefined: none) of what is there, and is asked again when that changed. */
  update(key: string, change: (value: unknown) => unknown): Promise<void>
  /**
   * Changes values in one durable change set, whoever else does the same: `plan` makes the new ones (undefined: none) of all that are there, and is asked
   * again when they changed. Throws what it throws, and nothing is changed.
   */
  change(plan: (values: ReadonlyMap<string, unknown>) => Readonly<Record<string, unknown>>): Promise<void>
}

/**
 * Which users have given whom rights, so that nobody has to look through all accounts for what is shared with him. Derived from what the accounts
 * themselves say, which alone counts; it may name somebody who gives no rights any more.
 */
export interface Sharers {
  /** Notes that the owner has given rights to what `identifier` names. */
  add(identifier: string, owner: UserId): Promise<void>
  remove(identifier: string, owner: UserId): Promise<void>
  /** Sorted. */
  of(identifier: string): Promise<readonly UserId[]>
}

/** A commit by this process, for the event channel. */
export interface CommitNotice {
  readonly userId: UserId
  readonly mailbox: string
  readonly highestModSeq: ModSeq
  readonly added: number
  readonly updated: number
  readonly expunged: number
}

/** A change of the tree, or of what is subscribed to, by this process. */
export interface TreeNotice {
  readonly userId: UserId
  readonly change: 'created' | 'removed' | 'restored' | 'renamed' | 'subscribed' | 'unsubscribed'
  /** As it was called before. */
  readonly mailbox: string
  /** Of 'renamed': as it is called now. */
  readonly to?: string
}

export interface MoveOptions {
  /** Reads every message back and compares its digest. */
  readonly verify?: boolean
  /** Milliseconds between the freeze and the last pass: as long as other machines go on seeing what was renamed. */
  readonly waitMs?: number
  readonly onProgress?: (progress: MoveProgress) => void
  /** Gives up; the account stays where it was. */
  readonly signal?: AbortSignal
}

export interface MoveProgress {
  readonly phase: 'counting' | 'copying' | 'frozen' | 'removing'
  /** Looked at in this pass. */
  readonly files: number
  readonly octets: number
  /** Of all, as counted at the beginning. */
  readonly ofFiles: number
  readonly ofOctets: number
}

export interface MoveResult {
  readonly from: string
  readonly to: string
  /** What was copied. */
  readonly files: number
  readonly octets: number
  /** Messages that are damaged, there as here; only looked for with `verify`. */
  readonly damaged: number
  /** For so long nobody could use the account. */
  readonly frozenMs: number
}

export interface Store extends AsyncDisposable {
  /** Directories that accounts live in, the home first. */
  readonly roots: readonly string[]
  /** Directories of accounts that are only read: an account that is in none of the roots is looked for there. */
  readonly archives: readonly string[]
  account(userId: UserId): Account
  /** A tree of mailboxes that belongs to no user, in this directory. `name` stands for the user id in what is told of it. */
  tree(name: string, directory: string): Account
  /** Kept in the home. */
  readonly sharers: Sharers
  /** A message above so many octets goes to a file beside the mail of the account, asked for when there is one. */
  share(options: { readonly memoryOctets: number; readonly near: () => Promise<Account> }): SharedMessage
  /**
   * Moves an account to another root while it is in use. Throws StoreError not-found, already-exists (it is there), in-use (somebody else is
   * moving it), unavailable, the signal's reason: then the account is where it was.
   */
  move(userId: UserId, root: string, options?: MoveOptions): Promise<MoveResult>
  /**
   * Gives an account another name while it is in use: sessions lose their mailboxes, everything else stays as it was, UIDs too. Throws StoreError
   * not-found, already-exists, in-use, unavailable: then it has the name that it had.
   */
  rename(from: UserId, to: UserId): Promise<void>
  /** Every account once, while none is moved back and forth. */
  accounts(): AsyncIterable<UserId>
  close(): Promise<void>
}
