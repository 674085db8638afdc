/** What makes a local user of somebody whose mail was pulled. MIG-02 to MIG-06; docs/decisions/0260-who-is-moved-at-login.md */
import type { AccountRecord, Accounts } from '#src/auth/accounts.ts'
import { routingAttributes } from '#src/auth/routing-attributes.ts'
import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { BackendLink } from './link.ts'

/** A pass that left something out is followed by others; what none of so many brought is told, and no longer waited for. */
const passesForAll = 3
/** Between them. */
const passEveryMs = 60_000

export interface MigrationParts {
  readonly userId: UserId
  readonly accounts: Pick<Accounts, 'add'>
  readonly routing: boolean
  readonly clock: Clock
  readonly log: Log
}

/** Of one user who has no account here yet. */
export class Migration {
  readonly #parts: MigrationParts
  #finishing: Promise<boolean> | undefined
  #isOver = false

  constructor(parts: MigrationParts) {
    this.#parts = parts
  }

  /** The account is there. */
  get isOver(): boolean {
    return this.#isOver
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
    const { userId, accounts, routing, log } = this.#parts
    const account: AccountRecord = {
      userId,
      state: 'enabled',
      verifiers: undefined,
      services: {},
      properties: routing ? routingAttributes(userId) : [],
    }
    try {
      await accounts.add(account, password)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
      log.log('warning', 'the mail was pulled, and meanwhile somebody else made the account: it stays as it is', {})
      this.#isOver = true
      return true
    } finally {
      password.fill(0)
    }
    this.#isOver = true
    const missing = links.reduce((sum, { passes }) => sum + passes.missing, 0)
    log.log(missing > 0 ? 'warning' : 'notice', 'migrated: the user has an account here now', {
      backends: links.length,
      listed: links.reduce((sum, { passes }) => sum + passes.listed, 0),
      ...(missing > 0 ? { notGiven: missing } : {}),
    })
    return true
  }
}

const isPulled = ({ passes }: BackendLink): boolean =>
  passes.whole > 0 && (passes.missing === 0 || passes.whole >= passesForAll)
