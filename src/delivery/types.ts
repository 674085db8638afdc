/**
 * Final delivery as the other rooms see it: one message for many recipients comes in as a stream, each recipient has a fate of his own, and no
 * fate is told before what it tells of is durable. RFC 2033 §4.2
 */
import type { Uid, UserId } from '../base/ids.ts'
import type { Account, Flag } from '../store/types.ts'

/** Who handed the message over, for its Received field and for filters. RFC 5321 §4.4 */
export interface Trace {
  /** What the client called itself (LHLO). */
  readonly helo: string
  /** Of the client, as of a trusted one's XCLIENT; undefined over a Unix socket. */
  readonly address: string | undefined
  /** That belongs to the address. */
  readonly name: string | undefined
  /** A registered transmission type, `LMTP`, `ESMTPSA`, `UTF8LMTPS` … RFC 3848, RFC 6531 §4.3 */
  readonly type: string
  /** Version and cipher, for a comment; undefined without TLS. */
  readonly tls: string | undefined
}

export interface Transaction {
  /** In Received and in the log: letters and digits. */
  readonly id: string
  /** Reverse-path without angle brackets; '' for that of notifications. */
  readonly sender: string
  /** Of MAIL FROM, by upper-case keyword; '' for one without a value. */
  readonly parameters: ReadonlyMap<string, string>
  /** Undefined for one that has its trace fields already: nothing is added. */
  readonly trace: Trace | undefined
  /** Seconds since 1970. */
  readonly receivedAt: number
  readonly recipients: readonly Recipient[]
}

/** As resolved by whoever accepted it. */
export interface Recipient {
  /** Forward-path as it was given, without angle brackets. */
  readonly address: string
  /** Of RCPT TO, by upper-case keyword. */
  readonly parameters: ReadonlyMap<string, string>
  /** Behind the `+` of a user's address. RFC 5233 */
  readonly detail: string | undefined
  /** Undefined for a shared folder, which has no script and no quota. */
  readonly userId: UserId | undefined
  readonly account: Account
  /** Where it goes unless a filter says otherwise; the inbox where there is none of this name. LMTP-10 */
  readonly mailbox: string
  /** Does the work, which adds a message of this size, unless the user is over quota. Throws StoreError over-quota. QUO-06 */
  adding<T>(sizeOctets: number, work: () => Promise<T>): Promise<T>
}

/** A complete message with its trace fields, as it is stored for everybody whose filter does not edit it. */
export interface IncomingMessage {
  readonly sizeOctets: number
  /** With the empty line behind it; of a longer one its first 128 KiB. */
  readonly header: Buffer
  /** Octets [start, end); fewer only at the end of the message. */
  read(start: number, end: number): Promise<Buffer>
  /** The same in chunks of at most 64 KiB. */
  stream(start?: number, end?: number): AsyncIterable<Buffer>
}

/** One place that a message is stored in. */
export interface Placing {
  /** Unicode, '/' between levels. Where it can't be opened or made, the inbox. */
  readonly mailbox: string
  readonly flags: readonly Flag[]
  /** Makes it when it is missing, and subscribes to it. RFC 5490 §3.2 */
  readonly create: boolean
  /** Stands in the place of the message's header, its empty line included. RFC 5293 */
  readonly header?: Buffer
  /** Stands in the place of what follows the header. RFC 5703 */
  readonly body?: Buffer
  /** Whose mailbox it is, where it is not the recipient's: he may put messages there. No quota of his counts it. SV-05 */
  readonly account?: Account
}

/** What is to be done with one recipient's message. */
export interface Decision {
  /** None: it is discarded, or only sent on. */
  readonly placings: readonly Placing[]
  /** Refuses the message for this recipient instead; nothing else is done but `perform`. RFC 5429 §2.1 */
  readonly refusal?: { readonly text: string }
  /** Called when what is stored is durable, before the fate is told: queues what goes out. When it fails, the recipient's fate is temporary. */
  perform?(): Promise<void>
  /** Kept together with those of other messages after all the rest is done. */
  readonly tracked?: readonly Tracked[]
  /** Called when nothing of it is left to do, also when something failed. */
  end?(): void
}

/** A script's word on one recipient's message. When it throws, the message is kept in the inbox. */
export type Filter = (transaction: Transaction, recipient: Recipient, message: IncomingMessage) => Promise<Decision>

/** What became of a message for one recipient. */
export type Fate =
  | { readonly kind: 'stored'; readonly places: readonly { readonly mailbox: string; readonly uid: Uid }[] }
  /** It had been delivered before: as good as stored. LMTP-05 */
  | { readonly kind: 'duplicate'; readonly mailbox: string }
  /** By the filter; also when it was only sent on. */
  | { readonly kind: 'discarded' }
  /** By the filter. */
  | { readonly kind: 'refused'; readonly text: string }
  /** `reply`: 4yz to be tried again, 5yz not. `status`: RFC 3463. */
  | { readonly kind: 'failed'; readonly reply: number; readonly status: string; readonly text: string }

/** A message on its way in. Disposed before `end` nothing is left of it. */
export interface Incoming extends AsyncDisposable {
  /** Resolves or returns when more may be written; lines end in CRLF. The chunk is not copied: nobody may change it afterwards. Throws StoreError unavailable. */
  write(chunk: Uint8Array): void | Promise<void>
  /** The message is complete. One fate a recipient, in their order; whatever goes wrong is somebody's fate. */
  end(): Promise<readonly Fate[]>
}

/** Takes messages in. One for each process. */
export interface Deliverer {
  begin(transaction: Transaction): Incoming
}

/** What is remembered of messages, for a while: LMTP-06. */
export type TrackedKind =
  /** A Message-Id delivered to a mailbox. */
  | 'duplicate'
  /** Somebody who got a vacation answer. RFC 5230 §4.2 */
  | 'vacation'
  /** An id of RFC 7352. */
  | 'id'

export interface Tracked {
  readonly kind: TrackedKind
  /** Whose: a user id, or the name of a shared tree. */
  readonly owner: string
  /** Any text; only a digest of it is kept. */
  readonly key: string
  /** What `list` tells of it. */
  readonly shown?: string
  /** Seconds for which it counts; undefined: for `duplicate_history` days. */
  readonly seconds?: number
}

/** `msgtrack_db`: shared by all processes and machines that name the same one. */
export interface MessageTrack {
  /** When it was noted, seconds since 1970; undefined for one that is not there or counts no more. */
  find(kind: TrackedKind, owner: string, key: string): Promise<number | undefined>
  /** Notes them as of now, again also where they are there. Durable when resolved. */
  add(tracked: readonly Tracked[]): Promise<void>
  /** Those that count now and that something is shown of. */
  list(kind: TrackedKind, owner: string): AsyncIterable<Shown>
  close(): Promise<void>
}

export interface Shown {
  /** Seconds since 1970. */
  readonly at: number
  readonly text: string
}
