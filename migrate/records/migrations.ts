/** The migrations of all users, beyond the life of one ms_syncd: what an operator stops and lets go on, and what goes on by itself. docs/decisions/0261-records-of-migrations.md, 0263-pulls-that-go-on.md */
import type { Extension, ExtensionParts } from '#gateway/ms_syncd/extension.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type {
  MigrationList,
  MigrationVerdict,
  MigrationVerdicts,
  ToldMigration,
} from '#src/auth/migration-questions.ts'
import type { Clock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { UserBackends } from '#src/config/backends.ts'
import type { Json } from '#src/events/types.ts'
import { needsPassword, pausedByOperator, RecordJournal } from './journal.ts'
import { KeptPasswords } from './kept-passwords.ts'
import { type MigrationRecord, nothingCounted } from './record.ts'
import { MigrationRecords } from './records.ts'

/** How often it is looked for pulls that nobody goes on with: those of a node that died, or that the old server did not let in. */
const lookMs = 300_000

export interface Enrolment {
  readonly userId: UserId
  readonly given: string
  readonly wave: string
  readonly password: Buffer | undefined
  readonly properties: MigrationRecord['account']['properties']
}

type Parts = Pick<ExtensionParts, 'gateway' | 'shared'> & {
  readonly runtime: Pick<ExtensionParts['runtime'], 'config' | 'log' | 'clock'>
}

export class Migrations implements Extension {
  readonly records: MigrationRecords
  readonly #gateway: Gateway
  readonly #clock: Clock
  readonly #log: Log
  readonly #passwords: KeptPasswords
  readonly #journal: RecordJournal
  readonly #closing = new AbortController()
  readonly #begun = new Set<UserId>()
  #looking: Promise<void> = Promise.resolve()

  private constructor({ runtime, gateway, shared }: Parts, passwords: KeptPasswords) {
    this.#gateway = gateway
    this.#clock = runtime.clock
    this.#log = runtime.log
    this.#passwords = passwords
    this.records = new MigrationRecords(shared('migrations'))
    this.#journal = new RecordJournal(this.records, passwords, this.#clock, this.#log)
  }

  /** Throws OptionFault for a key that can't be used. */
  static async open(parts: Parts): Promise<Migrations> {
    const { config, log } = parts.runtime
    const migrations = new Migrations(parts, await KeptPasswords.open(config, log))
    parts.gateway.keepJournal(migrations.#journal)
    return migrations
  }

  async started(): Promise<void> {
    this.#looking = this.#run()
  }

  answer(request: Json): Promise<Json> | undefined {
    const asked = read(request)
    switch (asked?.type) {
      case 'migration-list':
        return this.#list(asked.userIds)
      case 'migration-pause':
        return this.#each(
          asked.userIds,
          (record) => !isOver(record),
          (userId) => this.pause(userId),
        )
      case 'migration-resume':
        return this.#each(asked.userIds, isStopped, (userId) => this.resume(userId))
      default:
        return undefined
    }
  }

  async reload(): Promise<void> {}

  async stop(): Promise<void> {
    this.#closing.abort(new AuthError('unavailable', 'ms_syncd is stopping'))
    await this.#looking
  }

  /** Ends the pull until somebody lets it go on; durable when it resolves. Answers why not. */
  async pause(userId: UserId): Promise<string | undefined> {
    let refusal: string | undefined
    await this.records.change(userId, (was) => {
      refusal = was === undefined ? nothingKnown : isOver(was) ? `it is ${was.state} already` : undefined
      return was === undefined || refusal !== undefined ? was : this.#journal.to(was, 'paused')
    })
    if (refusal === undefined) this.#gateway.stopMigration(userId, 'an operator paused the migration')
    return refusal
  }

  /** Goes on with the pull; it is under way when this resolves. Answers why not. */
  async resume(userId: UserId): Promise<string | undefined> {
    const record = await this.records.find(userId)
    if (record === undefined) return nothingKnown
    if (isOver(record)) return `it is ${record.state} already`
    if (this.#gateway.isMigrating(userId)) return undefined
    const password = await this.#passwordFor(record, 'an operator resumed the pull')
    if (password.kind === 'missing') {
      // Logins are let through again.
      await this.records.change(userId, (was) =>
        was?.state === 'paused' ? this.#journal.to(was, 'waiting', needsPassword) : was,
      )
      return `${password.why}; ${needsPassword}`
    }
    await this.records.change(userId, (was) => was && this.#journal.to(was, 'pulling'))
    this.#begin(record, password.octets)
    return undefined
  }

  /** After the final pass: destroys what is kept for it. Who was given back stays so, and who is being given back needs it. */
  async close(userId: UserId): Promise<void> {
    await this.records.change(userId, (was) => {
      if (was === undefined || was.state === 'rolling-back') return was
      return this.#journal.closed(was, 'the migration is closed')
    })
  }

  /** From now on somebody makes certificates: each is due from the end of a migration until it is settled, across restarts. */
  certify(): void {
    this.#journal.certifies = true
  }

  /** Another one than that of the end of a pull. Throws StoreError. */
  async certificateDue(userId: UserId): Promise<void> {
    await this.records.change(userId, (was) => was && { ...was, certificateDue: true })
  }

  /** It is made, or never will be; what was kept for it alone is destroyed. Throws StoreError. */
  async certificateSettled(userId: UserId): Promise<void> {
    await this.records.change(userId, (was) => {
      if (was?.certificateDue === undefined) return was
      const { certificateDue: _, ...settled } = was
      return was.state === 'closed' ? this.#journal.withoutSecret(settled, 'the certificate is settled') : settled
    })
  }

  /** Those of a process that ended before. Throws StoreError. */
  async dueCertificates(): Promise<readonly MigrationRecord[]> {
    const { records } = await this.records.list()
    return records.filter(({ certificateDue }) => certificateDue === true)
  }

  /** A user is to be moved later, as part of a wave. Throws StoreError. */
  async enrol({ userId, given, wave, password, properties }: Enrolment): Promise<void> {
    const sealed = password === undefined ? undefined : this.#passwords.keep(userId, password)
    await this.records.change(userId, (was) => {
      if (password !== undefined) this.#passwords.kept(userId)
      // Who was given back to the old server is moved anew.
      const before = was === undefined || was.state === 'rolled-back' ? this.#anew(was) : was
      const secret = sealed === undefined ? {} : { secret: sealed }
      return { ...before, userId, given, wave, account: { properties, by: 'operator' }, ...secret }
    })
  }

  /** Who was given back to the old server is moved once more. Answers false: he was not, or is already. */
  async moveAgain(userId: UserId): Promise<boolean> {
    let isAgain = false
    await this.records.change(userId, (was) => {
      isAgain = was?.state === 'rolled-back'
      return isAgain ? ({ ...was, ...this.#anew(was) } as MigrationRecord) : was
    })
    return isAgain
  }

  #anew<R extends Partial<MigrationRecord>>(was: R | undefined) {
    const now = this.#clock.now()
    return { ...was, begun: now, state: 'waiting', since: now, counts: nothingCounted } as const
  }

  /**
   * Its wave is over, or goes on, without it; `why` is for the record and the log. Who is here has nothing to wait for any more; who is not begins at
   * his next login, in another wave, or when an operator says so: not by itself, whatever right the gateway has at the old server.
   */
  async leaveWave(userId: UserId, wave: string, why: string): Promise<void> {
    await this.records.change(userId, (was) => {
      if (was?.wave !== wave) return was
      const { wave: _, ...left } = was
      if (left.state === 'migrated') return this.#journal.closed(left, why)
      if (isOver(left)) return left
      const rests = left.state === 'pulled' ? left : this.#journal.to(left, 'waiting', `${why}; ${needsPassword}`)
      return this.#journal.withoutSecret(rests, why)
    })
  }

  /** An operator gives the account back; durable when it resolves. `reason`: why that did not come to its end so far. */
  async rollingBack(userId: UserId, reason?: string): Promise<void> {
    await this.records.change(userId, (was) => was && this.#journal.to(was, 'rolling-back', reason))
  }

  /** It was not given back after all. `hasAccount`: its user can log in. Answers the state that it has again. */
  async staysHere(userId: UserId, hasAccount: boolean): Promise<MigrationRecord['state']> {
    const back = hasAccount ? 'closed' : 'pulled'
    const now = await this.records.change(userId, (was) => {
      if (was?.state !== 'rolling-back') return was
      return this.#journal.to(was, hasAccount && was.wave !== undefined ? 'migrated' : back)
    })
    return now?.state ?? back
  }

  /** The old server has the account again. */
  async rolledBack(userId: UserId): Promise<void> {
    await this.records.change(userId, (was) => {
      if (was === undefined) return was
      const { certificateDue: _, ...without } = was
      const back = this.#journal.to({ ...without, atOldServer: true }, 'rolled-back')
      return this.#journal.withoutSecret(back, 'the old server has the account again')
    })
  }

  /** Whether there is something that gives a session with every old server: what the record keeps, or a right of the gateway's own. */
  async canLogIn(record: MigrationRecord): Promise<boolean> {
    return this.#passwords.has(record) || (await this.#gateway.pullsAlone(record.given, record.userId))
  }

  /** What is kept of a user; the caller overwrites it. Undefined: nothing. `why` is for the log. */
  password(record: MigrationRecord, why: string): Buffer | undefined {
    return this.#passwords.use(record, why)
  }

  /** Of a record. Throws AuthError. */
  backendsOf({ given, userId }: Pick<MigrationRecord, 'given' | 'userId'>): Promise<UserBackends | undefined> {
    return this.#gateway.backendsOf(given, userId)
  }

  /** Resolves when all mail is here and the record says so. Throws AuthError; the record says why. */
  async pull(record: MigrationRecord): Promise<void> {
    if (record.state === 'paused') throw notMoved(pausedByOperator)
    const password = await this.#passwordFor(record, 'its wave pulls')
    if (password.kind === 'missing') throw notMoved(password.why)
    const next = await this.records.change(record.userId, (was) =>
      was === undefined || was.state === 'paused' || isGivenBack(was) ? was : this.#journal.to(was, 'pulling'),
    )
    if (next !== undefined && next.state !== 'pulling') {
      password.octets?.fill(0)
      throw notMoved(next.state === 'paused' ? pausedByOperator : 'an operator gave the account back to the old server')
    }
    await this.#pull(record, password.octets)
  }

  /** What has come since, for somebody whose mail is here: his account is his own affair by now. Throws AuthError; a password that is refused is destroyed. */
  async pullAgain(record: MigrationRecord, isLast: boolean): Promise<void> {
    const { userId, given } = record
    const password = await this.#passwordFor(record, 'its wave pulls what has come since')
    if (password.kind === 'missing') throw notMoved(password.why)
    try {
      const order = { userId, given, account: undefined, isLast }
      const { listed, here, notGiven } = await this.#gateway.migrate(order, password.octets)
      await this.records.change(userId, (was) => was && { ...was, counts: { ...was.counts, listed, here, notGiven } })
    } catch (error) {
      if (error instanceof AuthError && error.kind === 'bad-credentials')
        await this.records.change(
          userId,
          (was) => was && this.#journal.withoutSecret({ ...was, reason: reasonOf(error) }, refusedThere),
        )
      throw error
    } finally {
      password.octets?.fill(0)
    }
  }

  /** Ends a pull that is under way; whoever waits for it is told `reason`. Its record stays. */
  stopPull(userId: UserId, reason: string): void {
    this.#gateway.stopMigration(userId, reason)
  }

  async #passwordFor(record: MigrationRecord, why: string): Promise<KeptPassword> {
    const { userId, given } = record
    if (this.#passwords.has(record)) {
      const octets = this.#passwords.use(record, why)
      if (octets !== undefined) return { kind: 'found', octets }
      return { kind: 'missing', why: 'the kept password does not open with the key of migration_key_file' }
    }
    if (await this.#gateway.pullsAlone(given, userId)) return { kind: 'found', octets: undefined }
    return { kind: 'missing', why: 'the password is not kept (migration_key_file)' }
  }

  /** Takes the password. Throws AuthError, when the record says why. */
  async #pull({ userId, given, account }: MigrationRecord, password: Buffer | undefined): Promise<void> {
    try {
      await this.#gateway.migrate({ userId, given, account }, password)
    } catch (error) {
      await this.#notPulled(userId, error)
      throw error
    } finally {
      password?.fill(0)
    }
  }

  /** In the background, once at a time; its record tells how it went. */
  #begin(record: MigrationRecord, password: Buffer | undefined): void {
    const { userId } = record
    if (this.#begun.has(userId)) {
      password?.fill(0)
      return
    }
    this.#begun.add(userId)
    this.#pull(record, password)
      .catch((error: Error) =>
        this.#log.log('info', 'a pull did not come to its end', { user: userId, reason: error.message }),
      )
      .finally(() => this.#begun.delete(userId))
  }

  async #notPulled(userId: UserId, error: unknown): Promise<void> {
    // It was let in, and its own news tell how it goes on.
    if (this.#closing.signal.aborted || this.#gateway.isMigrating(userId)) return
    const reason = reasonOf(error as Error)
    const isRefused = error instanceof AuthError && error.kind === 'bad-credentials'
    await this.records
      .change(userId, (was) => {
        if (was === undefined || was.state !== 'pulling') return was
        if (!isRefused) return this.#journal.to(was, 'failed', reason)
        // Asked again and again it would lock the user out there.
        const failed = this.#journal.to(was, 'failed', `${reason}; ${needsPassword}`)
        return this.#journal.withoutSecret(failed, refusedThere)
      })
      .catch((failure: Error) =>
        this.#log.log('err', 'the record of a migration could not be written', {
          user: userId,
          reason: failure.message,
        }),
      )
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#look().catch((error: Error) =>
        this.#log.log('err', 'migrations can not be looked at', { reason: error.message }),
      )
      await this.#clock.sleep(lookMs, this.#closing.signal).catch(() => {})
    }
  }

  /** Goes on with what broke off, and stops what was paused at another node. */
  async #look(): Promise<void> {
    const { records, damaged } = await this.records.list()
    for (const reason of damaged) this.#log.log('err', 'a migration is not known any more', { reason })
    for (const { userId, state } of records) {
      if (this.#closing.signal.aborted) return
      if (state === 'paused') this.#gateway.stopMigration(userId, 'an operator paused the migration')
      if (state === 'pulling' || state === 'failed') await this.#goOn(userId)
    }
  }

  async #goOn(userId: UserId): Promise<void> {
    if (this.#gateway.isMigrating(userId) || !this.#gateway.isMine(userId, false)) return
    const record = await this.records.find(userId)
    if (record === undefined || (record.state !== 'pulling' && record.state !== 'failed')) return
    // Its wave says when.
    if (record.wave !== undefined) return
    const password = await this.#passwordFor(record, 'the pull goes on by itself')
    if (password.kind === 'found') {
      await this.records.change(userId, (was) => was && this.#journal.to(was, 'pulling'))
      this.#begin(record, password.octets)
    } else if (record.state === 'pulling')
      await this.records.change(
        userId,
        (was) => was && this.#journal.to(was, 'failed', `ms_syncd was restarted: ${password.why}; ${needsPassword}`),
      )
  }

  async #list(userIds: readonly UserId[] | undefined): Promise<MigrationList> {
    const { records, damaged } = await this.records.list()
    const wanted = userIds === undefined ? undefined : new Set(userIds)
    const migrations = records.filter(({ userId }) => wanted?.has(userId) !== false).map(told)
    return { ok: true, migrations: migrations.sort((a, b) => (a.userId < b.userId ? -1 : 1)), damaged }
  }

  async #each(
    userIds: readonly UserId[] | undefined,
    isMeant: (record: MigrationRecord) => boolean,
    work: (userId: UserId) => Promise<string | undefined>,
  ): Promise<MigrationVerdicts> {
    const { records, damaged } = userIds === undefined ? await this.records.list() : { records: [], damaged: [] }
    const about = userIds ?? records.filter(isMeant).map(({ userId }) => userId)
    const verdicts: MigrationVerdict[] = []
    for (const userId of about) {
      const refusal = await work(userId)
      const state = (await this.records.find(userId))?.state ?? 'unknown'
      verdicts.push({ userId, state, ...(refusal === undefined ? {} : { refusal }) })
    }
    return { ok: true, verdicts, damaged }
  }
}

type KeptPassword =
  /** Undefined: with the gateway's own right. */
  { readonly kind: 'found'; readonly octets: Buffer | undefined } | { readonly kind: 'missing'; readonly why: string }

const nothingKnown = 'no migration of this user is known'
const refusedThere = 'the old server refuses it'

const notMoved = (why: string): AuthError =>
  new AuthError('denied', 'the mail could not be moved here', { cause: new Error(why) })

const reasonOf = ({ message, cause }: Error): string => (cause instanceof Error ? cause.message : message)

/** Nothing is pulled any more. */
const isOver = (record: MigrationRecord): boolean =>
  record.state === 'migrated' || record.state === 'closed' || isGivenBack(record)

const isGivenBack = ({ state }: MigrationRecord): boolean => state === 'rolling-back' || state === 'rolled-back'

/** Who is meant where nobody is named. Members of a wave wait for their turn in it. */
const isStopped = ({ state, wave }: MigrationRecord): boolean =>
  state === 'paused' || (wave === undefined && (state === 'failed' || state === 'pulling'))

const told = ({
  userId,
  state,
  since,
  begun,
  reason,
  wave,
  counts,
  beside,
  secret,
}: MigrationRecord): ToldMigration => ({
  userId,
  state,
  since,
  begun,
  ...(reason === undefined ? {} : { reason }),
  ...(wave === undefined ? {} : { wave }),
  ...counts,
  ...(beside === undefined ? {} : { beside }),
  isKept: secret !== undefined,
})

const types = ['migration-list', 'migration-pause', 'migration-resume'] as const

const read = (
  request: Json,
): { readonly type: (typeof types)[number]; readonly userIds: readonly UserId[] | undefined } | undefined => {
  if (typeof request !== 'object' || request === null || !('type' in request)) return undefined
  const type = types.find((name) => name === request.type)
  const { userIds } = request as { userIds?: Json }
  if (type === undefined || (userIds !== undefined && !isTexts(userIds))) return undefined
  return { type, userIds: userIds as readonly UserId[] | undefined }
}

const isTexts = (value: Json): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
