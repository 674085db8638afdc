/** How fetched messages get into the store, whatever lies between: what the synchronisation of POP3 and of IMAP backends writes into. */
import type { Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Account, Flag, Mailbox } from '#src/store/types.ts'
import type { BodySink } from '../../backend/types.ts'

/** What is known of a message before its octets are. */
export interface Incoming {
  /** Unique in the mailbox. */
  readonly origin: string
  /** The unique-id that pop3d shows. RFC 1939 §7 */
  readonly uidl?: string | undefined
  /** INTERNALDATE, seconds since 1970; undefined: from the message's header. */
  readonly internalDate?: number | undefined
  readonly flags?: Iterable<Flag> | undefined
  /** It is to have this one where that is free: `NewMessage.uid`. */
  readonly uid?: Uid | undefined
  /** The synchronisation needs the digest of what the backend has as long as it knows the origin: `readInjected` has it where it differs from the record's. */
  readonly isCompared?: boolean | undefined
  /** SHA-256 of what the backend has, base64url, where the octets are others. */
  readonly originalDigest?: string | undefined
}

/** Messages of one backend session on their way into one mailbox, in order. */
export interface Injector {
  /** Takes one message; `onAbort` when nothing or only a part of it came. A promise of the sink holds the backend back. */
  open(message: Incoming, onAbort: () => void): BodySink
  /**
   * Resolves when everything that arrived whole is safe, or among `postponed`. Throws StoreError, and RemoteError where a server on the way takes
   * nothing now; what was taken before is safe then.
   */
  finish(): Promise<void>
  /** Messages that are safe and need not be fetched again, and their octets. */
  readonly taken: number
  readonly takenOctets: number
  /** Of these, those that are not in the mailbox: a submission server has them, or a server of the site refused them. `readInjected` */
  readonly leftAway: number
  /** Origins of messages that came whole and could not be taken now. */
  readonly postponed: readonly string[]
}

export interface Target {
  readonly account: Account
  /** Open, until the injector has finished. */
  readonly mailbox: Mailbox
  readonly log: Log
  /** As far as is known before they come. */
  readonly expected?: Expected
}

/** Messages that are to come, and their octets where the backend told them: a hint. */
export interface Expected {
  readonly messages: number
  readonly octets?: number
}

/** A way into the store. */
export interface Injection {
  into(target: Target): Injector
  /** Messages can have the UIDs that they come with. */
  readonly keepsUids?: boolean | undefined
  /** Whatever comes is stored as it is, and refused by nobody. */
  readonly storesAll?: boolean | undefined
  /** Told where somebody wants to know how far a pass is: so many messages may come in mailboxes that it has not come to. */
  readonly ahead?: (messages: number) => void
}
