/** Writes what the gateway tells of migrations into their records. */
import type {
  MigrationJournal,
  Place,
  PullCounts,
  RecordedOrder,
  WantedAccount,
} from '#gateway/ms_syncd/migration-journal.ts'
import type { Clock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { KeptPasswords } from './kept-passwords.ts'
import { type MigrationRecord, type MigrationState, nothingCounted } from './record.ts'
import type { MigrationRecords } from './records.ts'

/** What has to happen, where a pull does not go on by itself. */
export const needsPassword = "it goes on at the user's next login, or with msadm migrate -p"

export const pausedByOperator = 'an operator paused the migration: msadm migrate --resume lets it go on'

export class RecordJournal implements MigrationJournal {
  readonly #records: MigrationRecords
  readonly #passwords: KeptPasswords
  readonly #clock: Clock
  readonly #log: Log
  /** Pulled before the pull that runs. */
  readonly #octetsBefore = new Map<UserId, number>()
  /** Somebody makes certificates. */
  certifies = false

  constructor(records: MigrationRecords, passwords: KeptPasswords, clock: Clock, log: Log) {
    this.#records = records
    this.#passwords = passwords
    this.#clock = clock
    this.#log = log
  }

  async admits(userId: UserId): Promise<WantedAccount> {
    const record = await this.#unlessPaused(userId)
    const properties = record === undefined || isClosed(record) ? [] : record.account.properties
    return { properties, by: 'login' }
  }

  async takesOrder(userId: UserId): Promise<void> {
    await this.#unlessPaused(userId)
  }

  async #unlessPaused(userId: UserId): Promise<MigrationRecord | undefined> {
    const record = await this.#find(userId)
    if (record?.state !== 'paused') return record
    throw new AuthError('unavailable', 'the mail is not moved here now; try again later', {
      cause: new Error(pausedByOperator),
    })
  }

  async placeOf(userId: UserId): Promise<Place | undefined> {
    const record = await this.#find(userId)
    if (record?.state === 'rolling-back') return 'between'
    if (record?.atOldServer === true) return 'there'
    return record?.state === 'pulled' ? 'here' : undefined
  }

  async #find(userId: UserId): Promise<MigrationRecord | undefined> {
    return await this.#records.find(userId).catch((cause: Error) => {
      throw new AuthError('unavailable', 'the mail can not be moved here now; try again later', { cause })
    })
  }

  begun({ userId, given, account }: RecordedOrder, password: Buffer | undefined): void {
    // At once: the caller's copy does not stay.
    const secret = password === undefined ? undefined : this.#passwords.keep(userId, password)
    this.#note(userId, (was) => {
      const before = was === undefined || isClosed(was) ? undefined : was
      this.#octetsBefore.set(userId, before?.counts.octets ?? 0)
      if (password !== undefined && before?.secret === undefined) this.#passwords.kept(userId)
      const now = this.#clock.now()
      const anew: Pick<MigrationRecord, 'begun' | 'since' | 'counts' | 'atOldServer' | 'secret' | 'reason'> = {
        begun: now,
        since: now,
        counts: nothingCounted,
        ...atOldServer(was),
      }
      const { secret: _, reason: __, ...kept } = before ?? anew
      const next = {
        ...kept,
        userId,
        given,
        account,
        state: 'pulling',
        ...(secret === undefined ? {} : { secret }),
      } as const
      return before?.state === 'pulling' ? next : { ...next, since: now }
    })
  }

  passed({ userId }: RecordedOrder, counts: PullCounts): void {
    this.#note(userId, (was) => {
      // Sessions that broke off before are made good.
      if (was?.state !== 'pulling' && was?.state !== 'failed') return was && this.#counted(was, counts)
      return this.to(
        this.#counted(was, counts),
        'pulling',
        counts.toCome === undefined ? undefined : goneThere(counts.toCome),
      )
    })
  }

  broke({ userId }: RecordedOrder, reason: string, goesOn: boolean, counts: PullCounts): void {
    this.#note(userId, (was) => {
      // An operator's word stands.
      if (was === undefined || was.state === 'paused') return was
      const failed = this.to(this.#counted(was, counts), 'failed', goesOn ? reason : `${reason}; ${needsPassword}`)
      return goesOn ? failed : this.withoutSecret(failed, 'the old server is not asked any more')
    })
  }

  async ended({ userId }: RecordedOrder, hasAccount: boolean, counts: PullCounts): Promise<void> {
    await this.#note(userId, (was) => {
      if (was === undefined) return was
      const counted = this.#counted(was, counts)
      const pulled = this.certifies ? ({ ...counted, certificateDue: true } as const) : counted
      if (!hasAccount) return this.to(pulled, 'pulled')
      // The last word is that of its wave.
      const { atOldServer: _, ...moved } = pulled
      if (was.wave !== undefined) return this.to(moved, 'migrated')
      return this.closed(moved, 'all mail is here')
    })
    this.#octetsBefore.delete(userId)
  }

  /** The record in another state. */
  to(record: MigrationRecord, state: MigrationState, reason?: string): MigrationRecord {
    const { reason: _, ...rest } = record
    const since = record.state === state ? record.since : this.#clock.now()
    return { ...rest, state, since, ...(reason === undefined ? {} : { reason }) }
  }

  /** What is kept is destroyed now, or when the certificate is settled. */
  closed(record: MigrationRecord, why: string): MigrationRecord {
    const closed = record.state === 'rolled-back' ? record : this.to(record, 'closed')
    return closed.certificateDue === true ? closed : this.withoutSecret(closed, why)
  }

  withoutSecret(record: MigrationRecord, why: string): MigrationRecord {
    const { secret: _, ...rest } = record
    this.#passwords.destroy(record, why)
    return rest
  }

  #counted(record: MigrationRecord, counts: PullCounts): MigrationRecord {
    const octets = (this.#octetsBefore.get(record.userId) ?? 0) + counts.octets
    return { ...record, counts: { ...counts, octets } }
  }

  /** A pull does not hang on its record: on a full disk it fails by itself, and the record is written with the next news. */
  async #note(userId: UserId, change: Parameters<MigrationRecords['change']>[1]): Promise<void> {
    try {
      await this.#records.change(userId, change)
    } catch (error) {
      this.#log.log('err', 'the record of a migration could not be written', {
        user: userId,
        reason: (error as Error).message,
      })
    }
  }
}

const goneThere = (messages: number): string =>
  `the old server lists ${messages} messages no more that it had and has not given; the account is made when it has given them, or has been without them for a day`

const isClosed = ({ state }: MigrationRecord): boolean => state === 'closed' || state === 'rolled-back'

const atOldServer = (record: MigrationRecord | undefined): Pick<MigrationRecord, 'atOldServer'> =>
  record?.atOldServer === true ? { atOldServer: true } : {}
