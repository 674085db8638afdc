/**
 * Passwords of users whose mail is being pulled, as they lie in records: sealed, or not at all (then this process remembers them). Whatever is done with one leaves a line in the log, which
 * carries `audit=migration-password`. docs/decisions/0262-passwords-of-a-pull.md
 */
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Config } from '#src/config/config.ts'
import { Sealer } from '#src/config/sealer.ts'
import type { MigrationRecord } from './record.ts'

type Owner = Pick<MigrationRecord, 'userId' | 'secret'>

/** Every use of a password leaves such a line, whoever has it from where. */
export const notePasswordUse = (log: Log, user: UserId, why: string): void =>
  log.child({ audit: 'migration-password' }).log('notice', 'password of a user at the old server used', { user, why })

export class KeptPasswords {
  readonly #sealer: Sealer | undefined
  readonly #log: Log
  /** Of this process only, without a key. */
  readonly #inMemory = new Map<UserId, Buffer>()

  constructor(sealer: Sealer | undefined, log: Log) {
    this.#sealer = sealer
    this.#log = log.child({ audit: 'migration-password' })
  }

  /** Throws OptionFault for a key that can't be used. */
  static async open(config: Config, log: Log): Promise<KeptPasswords> {
    return new KeptPasswords(await Sealer.from(config, 'migration_key_file', 'wherry migration passwords'), log)
  }

  /** Copies it. What goes into the record; undefined: there is no key, and it stays in the memory of this process. */
  keep(userId: UserId, password: Buffer): string | undefined {
    if (this.#sealer !== undefined) return this.#sealer.seal(password.toString('base64'), userId)
    this.#forget(userId)
    this.#inMemory.set(userId, Buffer.from(password))
    return undefined
  }

  kept(userId: UserId): void {
    this.#note(this.#sealer === undefined ? 'kept in memory' : 'kept, sealed', userId, 'the pull needs it')
  }

  has({ userId, secret }: Owner): boolean {
    return secret !== undefined || this.#inMemory.has(userId)
  }

  /** The caller overwrites it. Undefined: there is none, or it does not open with the key. */
  use({ userId, secret }: Owner, why: string): Buffer | undefined {
    const opened = secret === undefined ? undefined : this.#sealer?.open(secret, userId)
    const password = opened === undefined ? this.#inMemory.get(userId) : Buffer.from(opened, 'base64')
    if (password === undefined) return undefined
    this.#note('used', userId, why)
    return opened === undefined ? Buffer.from(password) : password
  }

  /** The caller takes it out of the record. */
  destroy(owner: Owner, why: string): void {
    if (!this.has(owner)) return
    this.#forget(owner.userId)
    this.#note('destroyed', owner.userId, why)
  }

  #forget(userId: UserId): void {
    this.#inMemory.get(userId)?.fill(0)
    this.#inMemory.delete(userId)
  }

  #note(what: string, user: UserId, why?: string): void {
    this.#log.log('notice', `password of a user at the old server ${what}`, { user, why })
  }
}
