/** What makes a local user of somebody whose mail was pulled. MIG-02 to MIG-06; docs/decisions/0260-who-is-moved-at-login.md */
import type { Clock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { MakeAccount } from './account-maker.ts'
import type { BackendLink } from './link.ts'
import type { BringBeside, MigrationJournal, PullCounts, PullOrder, RecordedOrder } from './migration-journal.ts'

/** A pass that left something out is followed by others; what none of so many brought is told, and no longer waited for. */
const passesForAll = 3
/** Between them. */
const passEveryMs = 60_000
/** While it is to be seen whether the old server has really lost what it does not list any more. */
const seldomMs = 900_000

export interface MigrationParts {
  readonly order: PullOrder
  /** When all mail is here. */
  readonly makeAccount: MakeAccount
  /** Before that: what was announced and did not come is not waited for any more. Answers how many. Throws StoreError. */
  readonly settle: () => Promise<number>
  /** Ends the user's sessions at the old server that go through here; undefined: there is none. */
  readonly leave: (userId: UserId) => Promise<void> | undefined
  readonly journal: MigrationJournal | undefined
  readonly bringBeside: BringBeside | undefined
  readonly clock: Clock
  readonly log: Log
}

/** What a migration led to. */
export type Pulled = Pick<PullCounts, 'listed' | 'here' | 'notGiven'>

/** Of one user whose mail is not all here yet. */
export class Migration {
  #parts: MigrationParts
  /** The old server let somebody in; before that there is nothing to tell. */
  #isBegun = false
  /** With a right of the gateway's own, and no password. */
  #isAlone = false
  /** What was pulled while the user still worked at the old server is followed by another pass: so many there have been. */
  #leaving: 'not yet' | 'under way' | ReadonlyMap<BackendLink, number> = 'not yet'
  #finishing: Promise<boolean> | undefined
  #isOver = false
  readonly #end = Promise.withResolvers<Pulled>()
  readonly #stop = new AbortController()

  constructor(parts: MigrationParts) {
    this.#parts = parts
    this.#end.promise.catch(() => {})
  }

  /** Somebody else wants it too: a user who logs in meanwhile, an operator. Where both want the account, the operator says how. */
  wants(parts: MigrationParts): void {
    const { account } = this.#parts.order
    if (parts.order.account === undefined || (account?.by === 'operator' && parts.order.account.by === 'login')) return
    this.#parts = parts
  }

  /** `password` undefined: the gateway's own right. */
  begun(password: Buffer | undefined): void {
    this.#isBegun = true
    this.#isAlone = password === undefined
    this.#tell((journal, order) => journal.begun(order, password))
  }

  #tell<T>(news: (journal: MigrationJournal, order: RecordedOrder) => T): T | undefined {
    const { order, journal } = this.#parts
    const { account } = order
    return journal === undefined || account === undefined ? undefined : news(journal, { ...order, account })
  }

  /** Nobody goes on with it. */
  giveUp(reason: string, links: readonly BackendLink[]): void {
    this.broke(reason, links, false)
    this.#reject(reason)
  }

  /** Ends its sessions too. The records are the caller's. */
  stop(reason: string): void {
    this.#isOver = true
    this.#stop.abort(new AuthError('unavailable', reason))
    this.#reject(reason)
  }

  #reject(reason: string): void {
    this.#end.reject(new AuthError('unavailable', 'the mail could not be moved here', { cause: new Error(reason) }))
  }

  /** Mailboxes and messages here have the UIDs of the old server. */
  get keepsUids(): boolean {
    return this.#parts.order.account?.renumbered !== true
  }

  /** Aborted when it is stopped. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** A session broke off; `goesOn`: another one follows. */
  broke(reason: string, links: readonly BackendLink[], goesOn: boolean): void {
    if (this.#isBegun && !this.#isOver)
      this.#tell((journal, order) => journal.broke(order, reason, goesOn, countsOf(links)))
  }

  /** Resolves when all mail is here and the account is made. Rejects with AuthError when nobody goes on. */
  get over(): Promise<Pulled> {
    return this.#end.promise
  }

  /** Everything was asked for at least once: the user may work with what is here. */
  isUsable(links: readonly BackendLink[]): boolean {
    return links.every(({ passes }) => passes.whole > 0)
  }

  /** One of those that somebody may want to prove: not a look for what has come since. */
  get isProvable(): boolean {
    const { account, isLast = account !== undefined } = this.#parts.order
    return isLast
  }

  /** No session of the user goes to the old server any more. */
  get isLeaving(): boolean {
    return this.#leaving !== 'not yet'
  }

  /** True: what was done at the old server through here is here as well. */
  #hasLeft(links: readonly BackendLink[], onLeft: () => void): boolean {
    if (this.#leaving === 'not yet') {
      this.#leaving = 'under way'
      const left = this.#parts.leave(this.#parts.order.userId)
      if (left === undefined) this.#leaving = new Map()
      else
        void left.then(() => {
          this.#leaving = new Map(links.map((link) => [link, link.passes.whole]))
          for (const link of links) link.promptNow()
          onLeft()
        })
    }
    const before = this.#leaving
    return before !== 'under way' && links.every((link) => link.passes.whole > (before.get(link) ?? 0))
  }

  /** After a session with a backend. `onLeft`: sessions with them are due. Makes the account when all mail is here. True when this did. */
  async look(
    links: readonly BackendLink[],
    password: Buffer | undefined,
    onLeft: () => void = () => {},
  ): Promise<boolean> {
    if (this.#isOver || (password === undefined && !this.#isAlone)) return false
    for (const link of links)
      if (link.passes.whole > 0 && !isPulled(link)) link.promptAt(this.#parts.clock.monotonic() + pauseMs(link))
    if (!links.every(isPulled) || !this.#hasLeft(links, onLeft)) {
      this.#tell((journal, order) => journal.passed(order, countsOf(links)))
      return false
    }
    this.#finishing ??= this.#finish(links, password === undefined ? undefined : Buffer.from(password)).finally(() => {
      this.#finishing = undefined
    })
    return await this.#finishing
  }

  /** The order, with what the old servers say of the account. */
  async #withBeside(links: readonly BackendLink[], password: Buffer | undefined): Promise<PullOrder> {
    const { order, bringBeside } = this.#parts
    const { account } = order
    const [master, ...extra] = links.map(({ backend }) => backend)
    if (account === undefined || bringBeside === undefined || master === undefined) return order
    const properties = await bringBeside({ ...order, account }, { master, extra }, password, this.signal)
    return { ...order, account: { ...account, properties } }
  }

  async #finish(links: readonly BackendLink[], password: Buffer | undefined): Promise<boolean> {
    const { makeAccount, settle, log } = this.#parts
    let hasAccount: boolean
    try {
      const settled = await settle()
      if (settled > 0)
        log.log('warning', 'messages that the old server listed did not come: notices are in their places', { settled })
      hasAccount = await makeAccount(await this.#withBeside(links, password), password)
    } finally {
      password?.fill(0)
    }
    this.#isOver = true
    const counts = countsOf(links)
    await this.#tell((journal, recorded) => journal.ended(recorded, hasAccount, counts))
    const { listed, here, notGiven } = counts
    log.log(notGiven > 0 ? 'warning' : 'notice', 'migrated: all mail of the user is here', {
      backends: links.length,
      listed,
      notGiven,
    })
    this.#end.resolve({ listed, here, notGiven })
    return true
  }
}

/** As many are named. */
const maxLeftOut = 100

const countsOf = (links: readonly BackendLink[]): PullCounts => {
  const sum = (count: (link: BackendLink) => number) => links.reduce((total, link) => total + count(link), 0)
  const leftOut = links.flatMap(({ passes }) => passes.leftOut)
  const toCome = sum(({ passes }) => passes.toCome)
  return {
    listed: sum(({ passes }) => passes.listed),
    here: sum(({ passes, taken }) =>
      passes.whole > 0 ? passes.listed - (passes.missing - passes.leftOut.length) : taken.messages,
    ),
    notGiven: sum(({ passes }) => passes.missing),
    ...(toCome === 0 ? {} : { toCome }),
    ...(leftOut.length === 0 ? {} : { leftOut: leftOut.slice(0, maxLeftOut) }),
    octets: sum(({ taken }) => taken.octets),
  }
}

/** What has gone there before it came may be given back: until that is settled, the account is not made. docs/decisions/0290-mail-that-went-before-it-came.md */
const isPulled = ({ passes }: BackendLink): boolean =>
  passes.whole > 0 && passes.toCome === 0 && (passes.missing === 0 || passes.whole >= passesForAll)

const pauseMs = ({ passes }: BackendLink): number =>
  passes.toCome === 0 ? passEveryMs : Math.min(passEveryMs * passes.whole, seldomMs)
