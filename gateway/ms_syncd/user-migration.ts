/** The migration of a user, as long as his mail is not all here. MIG-05, MIG-06 */
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Gateway } from './gateway.ts'
import { nothingPassed } from './link.ts'
import type { UserLinks } from './links.ts'
import { Migration, type MigrationParts } from './migration.ts'

/** The account database was away. */
const accountRetryMs = 30_000

export class UserMigration {
  readonly #userId: UserId
  readonly #gateway: Pick<Gateway, 'clock' | 'migrated'>
  readonly #links: UserLinks
  readonly #log: Log
  /** The user has no account here yet, and is to get one; or what has come since is pulled. */
  #current: Migration | undefined

  constructor(userId: UserId, gateway: Pick<Gateway, 'clock' | 'migrated'>, links: UserLinks, log: Log) {
    this.#userId = userId
    this.#gateway = gateway
    this.#links = links
    this.#log = log
  }

  get current(): Migration | undefined {
    return this.#current
  }

  /** Joins the one that is under way. */
  begin(parts: MigrationParts): Migration {
    if (this.#current !== undefined) this.#current.wants(parts)
    else for (const link of this.#links.all) link.passes = nothingPassed
    this.#current ??= new Migration(parts)
    return this.#current
  }

  /** Nobody goes on with it. */
  giveUp(reason: string): void {
    this.#current?.giveUp(reason, this.#links.all)
    this.#current = undefined
  }

  /** Ends its sessions too. False: there is none. */
  stop(reason: string): boolean {
    const stopped = this.#current
    this.#current = undefined
    stopped?.stop(reason)
    return stopped !== undefined
  }

  /** A session of `migration` broke off. `goesOn`: another one follows. */
  broke(migration: Migration | undefined, error: Error, goesOn: boolean): void {
    migration?.broke(`${this.#reasons()} (${error.message})`, this.#links.all, goesOn)
  }

  /** MIG-06: nobody works with mail of which a part may be missing, unless backend_fast_login says so. Throws AuthError. */
  needMail(): void {
    if (this.#current?.isUsable(this.#links.all) !== false) return
    throw new AuthError('unavailable', 'the mail could not be moved here yet; try again later', {
      cause: new Error(`the pull broke off: ${this.#reasons()}`),
    })
  }

  /** MIG-05: behind a session. Makes the account when all mail is here; true when this did. `password` is asked for again behind that. `onLeft`: sessions are due. */
  async look(password: () => Buffer | undefined, onLeft: () => void): Promise<boolean> {
    const looked = this.#current
    try {
      if ((await looked?.look(this.#links.all, password(), onLeft)) !== true) return false
    } catch (error) {
      // The mail is here; the next session tries again.
      this.#log.log('err', 'the account of a migrated user could not be made', { reason: (error as Error).message })
      this.#links.master.promptAt(this.#gateway.clock.monotonic() + accountRetryMs)
      return false
    }
    const [master, ...extra] = this.#links.all.map(({ backend }) => backend)
    if (looked?.isProvable === true)
      this.#gateway.migrated({ userId: this.#userId, backends: { master: master!, extra }, password: password() })
    this.#current = undefined
    return true
  }

  /** Of the backends that give no mail now. */
  #reasons(): string {
    return this.#links.all
      .map((link) => link.status(true, true))
      .flatMap(({ backend, reason }) => (reason === undefined ? [] : [`${backend}: ${reason}`]))
      .join('; ')
  }
}
