/** What is told of migrations to whoever keeps records of them, and what is asked back. The gateway itself forgets them with its process. */
import type { AccountRecord } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'
import type { UserBackends } from '#src/config/backends.ts'

/** The account that is to be made when all mail is here. */
export interface WantedAccount {
  readonly properties: AccountRecord['properties']
  /** A login makes an account that is missing, and no more; an operator's order also enables one that is there, and gives it the password. */
  readonly by: 'login' | 'operator'
  /** Mailboxes get a UIDVALIDITY of their own: mail that was removed here had UIDs under that of the old server. */
  readonly renumbered?: true
}

/** A pull of all mail of one user. */
export interface PullOrder {
  readonly userId: UserId
  /** As the user, or an operator, wrote it. */
  readonly given: string
  /** Undefined: whoever ordered it makes the account, and no record is kept. */
  readonly account: WantedAccount | undefined
  /** Without an account: this pull is the last one, and what is here is worth a proof. */
  readonly isLast?: boolean
}

export type RecordedOrder = PullOrder & { readonly account: WantedAccount }

export interface PullCounts {
  /** Messages at the old servers, by the passes that came to their end. */
  readonly listed: number
  /** Those of them that are here. */
  readonly here: number
  /** Those that they list and don't give. */
  readonly notGiven: number
  /** Those that are announced here and have gone there before they came, which is not believed yet. Absent: none. */
  readonly toCome?: number
  /** Mailboxes that they list and don't open, as they call them; each is counted in `notGiven` once. Absent: none. */
  readonly leftOut?: readonly string[]
  /** Pulled since the order. */
  readonly octets: number
}

/** Where somebody is whose place the configuration does not tell. */
export type Place =
  /** All mail is here, and only the account is missing: the next login is not passed through to the old server. */
  | 'here'
  /** The old server has the account again. docs/decisions/0276-the-way-back.md */
  | 'there'
  /** It is being given back: neither side lets anybody in. */
  | 'between'

export interface MigrationJournal {
  /**
   * Somebody without an account logs in: what the account is to be. Throws AuthError unavailable: his mail is not to be pulled now, and the old server
   * is not asked.
   */
  admits(userId: UserId): Promise<WantedAccount>
  /** An operator orders the migration. Throws AuthError unavailable: it is paused, until somebody lets it go on. */
  takesOrder(userId: UserId): Promise<void>
  /** Throws AuthError unavailable. */
  placeOf(userId: UserId): Promise<Place | undefined>
  /** The old server let the gateway in. `password`, of the user, is copied; undefined: with a right of the gateway's own. */
  begun(order: RecordedOrder, password: Buffer | undefined): void
  /** A pass came to its end, and others follow. */
  passed(order: RecordedOrder, counts: PullCounts): void
  /** A session broke off. `goesOn`: by itself, as long as ms_syncd runs. */
  broke(order: RecordedOrder, reason: string, goesOn: boolean, counts: PullCounts): void
  /** All mail is here. `hasAccount`: and the account. Resolves when that is durable. */
  ended(order: RecordedOrder, hasAccount: boolean, counts: PullCounts): Promise<void>
}

/**
 * Brings what the old servers have beside mail, when all of that is here and before the account is made. Answers properties of that, with those that were ordered.
 * What can't be had is told elsewhere, and holds no migration up: it does not reject.
 */
export type BringBeside = (
  order: RecordedOrder,
  backends: UserBackends,
  /** Undefined: with the gateway's own right. */
  password: Buffer | undefined,
  signal: AbortSignal,
) => Promise<AccountRecord['properties']>
