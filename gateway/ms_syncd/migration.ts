/** What makes a local user of somebody whose mail was pulled. MIG-02 to MIG-06; docs/decisions/0260-who-is-moved-at-login.md */
import type { AccountRecord, Accounts } from '#src/auth/accounts.ts'
import { routingAttributes } from '#src/auth/routing-attributes.ts'
import type { Clock } from '#src/base/clock.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { BackendLink } from './link.ts'

/** A pass that left something out is followed by others; what none of so many brought is told, and no longer waited for. */
const passesForAll = 3
/** Between them. */
const passEveryMs = 60_000

export interface MigrationParts {
  /** When all mail is here. It may throw, and is called again then. */
  readonly makeAccount: (password: Buffer) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** What a migration led to. */
export interface Pulled {
  /** Messages at the old servers. */
  readonly listed: number
  /** Those that they list and don't give. */
  readonly notGiven: number
}

/** Of one user whose mail is not all here yet. */
export class Migration {
  readonly #parts: MigrationParts
  #makeAccount: MigrationParts['makeAccount']
  #finishing: Promise<boolean> | undefined
  #isOver = false
  readonly #end = Promise.withResolvers<Pulled>()

  constructor(parts: MigrationParts) {
    this.#parts = parts
    this.#makeAccount = parts.makeAccount
    this.#end.promise.catch(() => {})
  }

  /** A user logs in meanwhile: the account is wanted, whoever began. */
  wants(makeAccount: MigrationParts['makeAccount']): void {
    this.#makeAccount = makeAccount
  }

  /** Nobody goes on with it. */
  giveUp(reason: string): void {
    this.#end.reject(new AuthError('unavailable', 'the mail could not be moved here', { cause: new Error(reason) }))
  }

  /** Resolves when all mail is here and the account is made. Rejects with AuthError when nobody goes on. */
  get over(): Promise<Pulled> {
    return this.#end.promise
  }

  /** Everything was asked for at least once: the user may work with what is here. */
  isUsable(links: readonly BackendLink[]): boolean {
    return links.every(({ passes }) => passes.whole > 0)
  }

  /** After a session with a backend. Makes the account when all mail is here. True when this did. */
  async look(links: readonly BackendLink[], password: Buffer | undefined): Promise<boolean> {
    if (this.#isOver || password === undefined) return false
    for (const link of links)
      if (link.passes.whole > 0 && !isPulled(link)) link.promptAt(this.#parts.clock.monotonic() + passEveryMs)
    if (!links.every(isPulled)) return false
    this.#finishing ??= this.#finish(links, Buffer.from(password)).finally(() => {
      this.#finishing = undefined
    })
    return await this.#finishing
  }

  async #finish(links: readonly BackendLink[], password: Buffer): Promise<boolean> {
    try {
      await this.#makeAccount(password)
    } finally {
      password.fill(0)
    }
    this.#isOver = true
    const sum = (count: (link: BackendLink) => number) => links.reduce((total, link) => total + count(link), 0)
    const pulled = { listed: sum(({ passes }) => passes.listed), notGiven: sum(({ passes }) => passes.missing) }
    const severity = pulled.notGiven > 0 ? 'warning' : 'notice'
    this.#parts.log.log(severity, 'migrated: all mail of the user is here', { backends: links.length, ...pulled })
    this.#end.resolve(pulled)
    return true
  }
}

/** For the first login. MIG-05 */
export const accountMaker =
  (userId: UserId, accounts: Pick<Accounts, 'add'>, routing: boolean, log: Log): MigrationParts['makeAccount'] =>
  async (password) => {
    const properties = routing ? routingAttributes(userId) : []
    const account: AccountRecord = { userId, state: 'enabled', verifiers: undefined, services: {}, properties }
    try {
      await accounts.add(account, password)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
      log.log('warning', 'the mail was pulled, and meanwhile somebody else made the account: it stays as it is', {})
    }
  }

const isPulled = ({ passes }: BackendLink): boolean =>
  passes.whole > 0 && (passes.missing === 0 || passes.whole >= passesForAll)
