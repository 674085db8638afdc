/**
 * Certificates of migrations in ms_syncd: one is made when all mail of a user is here, others when msadm asks, and both sides are read again when it asks for
 * that. One thing at a time for each user. The questions are in docs/mpp.md.
 */
import { join } from 'node:path'
import { pollsAllAlone } from '#gateway/backend/credentials.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import type { Extension, ExtensionParts } from '#gateway/ms_syncd/extension.ts'
import type { Migrated } from '#gateway/ms_syncd/gateway.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { certificatesName } from '#src/certificate/certificates.ts'
import type { ProofAnswer } from '#src/certificate/questions.ts'
import { SigningKey } from '#src/certificate/signing-key.ts'
import { CertificateError } from '#src/certificate/writer.ts'
import type { Config } from '#src/config/config.ts'
import type { Json } from '#src/events/types.ts'
import { accountDirectory } from '#src/store/names.ts'
import { notePasswordUse } from '../records/kept-passwords.ts'
import type { Migrations } from '../records/migrations.ts'
import type { MigrationRecord } from '../records/record.ts'
import type { MigrationRecords } from '../records/records.ts'
import { certify, type ProofRequest } from './certify.ts'
import { ProofProgress } from './progress.ts'
import { openReplay } from './replay.ts'
import { verifyMigration } from './verify.ts'

/** A server that lets nobody in so soon again, or is away, is asked again: minutes from one attempt to the next. */
const attemptsAfterMinutes = [0, 1, 5, 15, 60]

/** What a migration may have left of the password. */
interface Kept
  extends Pick<
    Migrations,
    'password' | 'backendsOf' | 'certify' | 'certificateDue' | 'certificateSettled' | 'dueCertificates'
  > {
  readonly records: Pick<MigrationRecords, 'find'>
}

export const proof = async (parts: ExtensionParts, migrations: Kept): Promise<Extension> => new Proof(parts, migrations)

class Proof implements Extension {
  readonly #parts: ExtensionParts
  readonly #migrations: Kept
  readonly #directory: string
  readonly #closing = new AbortController()
  readonly #running = new Map<UserId, ProofProgress>()
  readonly #work = new Set<Promise<unknown>>()
  #config: Config

  constructor(parts: ExtensionParts, migrations: Kept) {
    this.#parts = parts
    this.#migrations = migrations
    this.#config = parts.runtime.config
    this.#directory = parts.shared(certificatesName)
    migrations.certify()
    parts.gateway.onMigrated((migrated) => {
      // What it is called from has to go on.
      const own = { ...migrated, password: migrated.password && Buffer.from(migrated.password) }
      this.#run(own.userId, async () => {
        await this.#migrations.certificateDue(own.userId).catch((error: unknown) => this.#notNoted(own.userId, error))
        await this.#afterMigration(own)
      })
    })
  }

  /** Makes those that an ms_syncd which ended owes. */
  async started(): Promise<void> {
    const { gateway } = this.#parts
    for (const record of await this.#migrations.dueCertificates())
      if (gateway.isMine(record.userId, false)) this.#run(record.userId, () => this.#again(record))
  }

  #run(userId: UserId, task: () => Promise<void>): void {
    const work = task().catch((error: unknown) => this.#notNoted(userId, error))
    this.#work.add(work)
    work.finally(() => this.#work.delete(work))
  }

  #notNoted(user: UserId, error: unknown): void {
    this.#parts.gateway.log.log('err', 'it could not be noted whether a certificate is due', {
      user,
      reason: reasonOf(error) ?? String(error),
    })
  }

  async #again(record: MigrationRecord): Promise<void> {
    const { userId } = record
    const backends = await this.#migrations.backendsOf(record)
    const password = this.#migrations.password(record, 'for the certificate that the last ms_syncd did not make')
    if (backends !== undefined && (password !== undefined || pollsAllAlone(backends)))
      return await this.#afterMigration({ userId, backends, password })
    password?.fill(0)
    this.#parts.gateway.log.log(
      'err',
      'ms_syncd ended before it made the certificate of a migration, and the password is not kept; msadm certificate --new -p makes one',
      { user: userId },
    )
    await this.#migrations.certificateSettled(userId)
  }

  answer(request: Json, signal: AbortSignal): Promise<Json> | undefined {
    if (typeof request !== 'object' || request === null || !('type' in request)) return undefined
    const { type, userId } = request
    if (type === 'migration-proof') return Promise.resolve(this.#running.get(userId as UserId)?.now ?? null)
    if (type !== 'migration-certify' && type !== 'migration-verify') return undefined
    return this.#asked(type, request, signal)
  }

  async #asked(type: string, request: { readonly [key: string]: Json }, asker: AbortSignal): Promise<ProofAnswer> {
    const { user, userId, password: sent } = request
    if (typeof user !== 'string' || typeof userId !== 'string') return refusal('the request is not understood')
    const id = userId as UserId
    let password: Buffer | undefined = typeof sent === 'string' ? Buffer.from(sent, 'base64') : undefined
    try {
      const backends = await this.#parts.gateway.backendsOf(user, id)
      if (backends === undefined)
        return refusal('no old server is known: set ms_syncd_host, or a record in ms_sync.xml')
      if (password === undefined) password = await this.#kept(id)
      else this.#noteUse(id, `an operator gave it (${type})`)
      if (password === undefined && !pollsAllAlone(backends))
        return refusal('the password at the old server is not kept: give it with -p')
      const signal = AbortSignal.any([asker, this.#closing.signal])
      if (type === 'migration-certify') {
        const { file, statement } = await this.#certify({ userId: id, backends, password }, 'asked', signal)
        return { ok: true, userId, file, ...statement }
      }
      const { file, verification } = await this.#alone(id, 'verification', async (progress) =>
        verifyMigration({ ...this.#request({ userId: id, backends, password }, progress, signal) }),
      )
      return { ok: true, userId, file, ...verification }
    } catch (error) {
      const reason = asker.aborted ? undefined : reasonOf(error)
      if (reason === undefined) throw error
      return refusal(reason)
    } finally {
      password?.fill(0)
    }
  }

  async #kept(userId: UserId): Promise<Buffer | undefined> {
    const record = await this.#migrations.records.find(userId)
    return record === undefined ? undefined : this.#migrations.password(record, 'both sides are compared')
  }

  #noteUse(user: UserId, why: string): void {
    notePasswordUse(this.#parts.gateway.log, user, why)
  }

  #request({ userId, backends, password }: Migrated, progress: ProofProgress, signal: AbortSignal): ProofRequest {
    const { gateway } = this.#parts
    const directory = join(this.#directory, accountDirectory(userId))
    return { gateway, userId, backends, password, directory, progress, signal }
  }

  async #certify(migrated: Migrated, occasion: 'migrated' | 'asked', signal: AbortSignal) {
    return await this.#alone(migrated.userId, 'certificate', async (progress) => {
      const file = this.#config.get('certificate_key_file')
      const key = await (file === undefined ? SigningKey.readOrMake(this.#directory) : SigningKey.read(file))
      const { userId, password } = migrated
      const { gateway, accounts } = this.#parts
      const login = { gateway, accounts, config: this.#config, userId, password, signal }
      const replay = (pop3: boolean) => openReplay({ ...login, pop3 })
      const notGiven = (await this.#migrations.records.find(userId))?.beside?.notGiven
      return await certify(this.#request(migrated, progress, signal), occasion, key, replay, notGiven)
    })
  }

  /** Throws StoreError in-use. */
  async #alone<T>(
    userId: UserId,
    what: ProofProgress['what'],
    work: (progress: ProofProgress) => Promise<T>,
  ): Promise<T> {
    const before = this.#running.get(userId)
    if (before !== undefined) throw new StoreError('in-use', `a ${before.what} of this user is being made now`)
    const progress = new ProofProgress(what, this.#parts.gateway.clock)
    this.#running.set(userId, progress)
    try {
      return await work(progress)
    } finally {
      this.#running.delete(userId)
    }
  }

  /** The mail is here, with or without a certificate. Throws StoreError: it is not noted that this one is settled. */
  async #afterMigration(migrated: Migrated): Promise<void> {
    const { userId, password } = migrated
    const log = this.#parts.gateway.log.child({ user: userId })
    try {
      const end = await this.#attempt(migrated, log)
      if (end === 'stopped') return log.log('notice', 'the next ms_syncd makes the certificate of the migration', {})
      if (end === 'failed') log.log('err', 'the migration has no certificate; msadm certificate --new makes one', {})
      await this.#migrations.certificateSettled(userId)
    } finally {
      password?.fill(0)
    }
  }

  async #attempt(migrated: Migrated, log: Log): Promise<'made' | 'failed' | 'stopped'> {
    const { signal } = this.#closing
    for (const minutes of attemptsAfterMinutes)
      try {
        if (minutes > 0) await this.#parts.gateway.clock.sleep(minutes * 60_000, signal)
        if (migrated.password !== undefined) this.#noteUse(migrated.userId, 'for the certificate of the migration')
        const { file, statement } = await this.#certify(migrated, 'migrated', signal)
        const { listed, here, root } = statement
        log.log(listed === here ? 'notice' : 'warning', 'certified', { listed, here, root, file })
        return 'made'
      } catch (error) {
        if (signal.aborted) return 'stopped'
        log.log('warning', 'no certificate of the migration so far', { reason: reasonOf(error) ?? String(error) })
        if (error instanceof BackendError ? !error.retryable : !(error instanceof StoreError)) break
      }
    return 'failed'
  }

  async reload(config: Config): Promise<void> {
    this.#config = config
  }

  async stop(): Promise<void> {
    this.#closing.abort(new Error('ms_syncd is stopping'))
    await Promise.allSettled(this.#work)
  }
}

const refusal = (text: string): ProofAnswer => ({ ok: false, kind: 'unavailable', text })

/** In words for an operator. Undefined: a defect. */
const reasonOf = (error: unknown): string | undefined => {
  if (error instanceof BackendError)
    return `the old server: ${error.message}${error.serverText === undefined ? '' : `: ${error.serverText}`}`
  if (error instanceof CertificateError) return `nothing was signed, because it does not add up: ${error.message}`
  if (error instanceof StoreError || error instanceof AuthError) return error.message
  return undefined
}
