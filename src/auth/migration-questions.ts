/** What ms_syncd is asked and told about the records of migrations, over the event bus. docs/mpp.md */

/** What ms_syncd is asked. `userIds` (canonical) absent: about everybody. */
export type MigrationQuestion =
  /** It answers MigrationList. */
  | { readonly type: 'migration-list'; readonly userIds?: readonly string[] }
  /** It answers MigrationVerdicts. */
  | { readonly type: 'migration-pause' | 'migration-resume'; readonly userIds?: readonly string[] }

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
  readonly octets: number
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
