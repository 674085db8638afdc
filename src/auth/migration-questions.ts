/** What ms_syncd is asked and told about the records of migrations, over the event bus. docs/mpp.md */

/** What ms_syncd is asked. `userIds` (canonical) absent: about everybody. */
export type MigrationQuestion =
  /** It answers MigrationList. */
  | { readonly type: 'migration-list'; readonly userIds?: readonly string[] }
  /** It answers MigrationVerdicts. */
  | { readonly type: 'migration-pause' | 'migration-resume'; readonly userIds?: readonly string[] }

/** What a migration of a user would find. Nothing is changed on either side, and nothing of it remembered. It answers DryRunAnswer. */
export type DryRunRequest = {
  readonly type: 'migration-dry-run'
  /** As the operator wrote it. */
  readonly user: string
  readonly userId: string
  /** Base64 of the octets; absent: as in MigrateRequest. */
  readonly password?: string
  /** Of the account that would be made. */
  readonly properties: readonly (readonly [name: string, value: string])[]
}

/** Something that an operator should know before a migration. */
export type ToldRisk = {
  readonly kind: string
  readonly found: string
  readonly advice: string
  /** The user can't be moved like that. */
  readonly isBlocking: boolean
}

/** Of one user, by logins and listings. */
export type DryRun = {
  readonly ok: true
  readonly userId: string
  /** Old servers that let the gateway in, and what they have. */
  readonly backends: readonly {
    readonly url: string
    readonly mailboxes: number
    readonly messages: number
    readonly octets: number
    /** Octets of the largest message. */
    readonly largest: number
  }[]
  /** Milliseconds that the pull would take. */
  readonly ms: number
  /** Pulls that this is made of; 0: it is a guess. */
  readonly measured: number
  readonly risks: readonly ToldRisk[]
  /** Sieve scripts at the old server; absent: they were not asked for. */
  readonly scripts?: number
  /** Why they could not be counted. */
  readonly scriptsNotTold?: string
}
/** `text` is for the operator. */
export type DryRunAnswer = DryRun | { readonly ok: false; readonly text: string }

/** A record, without its secret. */
export type ToldMigration = {
  readonly userId: string
  readonly state: string
  /** Milliseconds since 1970. */
  readonly since: number
  readonly begun: number
  readonly reason?: string
  readonly wave?: string
  readonly listed: number
  readonly here: number
  readonly notGiven: number
  /** Announced here and gone there before they came, which is not believed yet; absent: none. */
  readonly toCome?: number
  /** Mailboxes that the old server lists and does not open, in `notGiven` as one each. */
  readonly leftOut?: readonly string[]
  readonly octets: number
  /** What the old server has beside mail (rights, quota), in words; absent: it was not asked for that. */
  readonly beside?: { readonly given: readonly string[]; readonly notGiven: readonly string[] }
  /** The pull goes on after a restart, without anybody's password. */
  readonly isKept: boolean
}

export type MigrationList = {
  readonly ok: true
  readonly migrations: readonly ToldMigration[]
  /** What is wrong with records that can't be read. */
  readonly damaged: readonly string[]
}

export type MigrationVerdict = {
  readonly userId: string
  /** Of the record now. */
  readonly state: string
  /** Why it was not done; undefined: it was. */
  readonly refusal?: string
}
export type MigrationVerdicts = {
  readonly ok: true
  readonly verdicts: readonly MigrationVerdict[]
  readonly damaged: readonly string[]
}
