/** What the users of a gateway share, and who they are. */

import type { Passage } from '#src/auth/types.ts'
import { canonicalUserId, defaultDomain } from '#src/auth/user-id.ts'
import type { Clock } from '#src/base/clock.ts'
import { AuthError, StoreError, SyntaxFault } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { UserBackends, UserDatabase } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import { usesDirectory } from '#src/config/directory.ts'
import { backendsOfEntry } from '#src/config/directory-backends.ts'
import type { UserRecord } from '#src/config/ms-sync.ts'
import type { EventBus } from '#src/events/types.ts'
import type { Store } from '#src/store/types.ts'
import { pollsAllAlone, pollsAlone } from '../backend/credentials.ts'
import type { BackendAccess } from '../backend/open-backend.ts'
import type { BackendProfile } from '../backend/profile.ts'
import { Slice } from '../backend/slice.ts'
import { settleAnnounced } from '../sync/imap/settle.ts'
import type { Injection } from '../sync/inject/injector.ts'
import type { SyncPolicy } from '../sync/sync-once.ts'
import { accountMaker, type MigrationAccounts } from './account-maker.ts'
import { Agenda } from './agenda.ts'
import { Hosts } from './hosts.ts'
import { injectionOf } from './injection.ts'
import type { Holder } from './leases.ts'
import type { MigrationParts, Pulled } from './migration.ts'
import type { BringBeside, MigrationJournal, Place, PullOrder } from './migration-journal.ts'
import type { Demand } from './on-demand.ts'
import { passThrough } from './pass-through.ts'
import type { Passages } from './passages.ts'
import { QuietHours } from './quiet-hours.ts'
import { Scheduler } from './scheduler.ts'
import type { Shares, SharesOptions } from './shares.ts'
import type { UserStatus } from './status.ts'
import { GatewayUser } from './user.ts'

export interface GatewayParts {
  readonly config: Config
  readonly users: UserDatabase
  readonly store: Store
  readonly events: EventBus
  readonly access: BackendAccess
  readonly clock: Clock
  readonly log: Log
  /** Accounts of synchronisation and migration mode, and entries that name backends; as none where they are not given. */
  readonly accounts?: MigrationAccounts | undefined
  /** Joins the nodes of the store; without it this is the only one. */
  readonly joinShares?: ((parts: Pick<SharesOptions, 'here' | 'onChange'>) => Promise<Shares>) | undefined
  /** Sessions at old servers; without it none is passed through. */
  readonly passages?: Passages | undefined
  /** Something may have been learned of a backend host. */
  readonly keepProfile?: (key: string, profile: BackendProfile) => void
}

/** Of every user. */
const syncTopic = 'ms_sync:'

/** What a user is admitted with needs the password of the login too. */
export type Admission = 'admitted' | 'password-needed'

/** Somebody whose mail was pulled. */
export interface Migrated {
  readonly userId: UserId
  readonly backends: UserBackends
  /** At the old server. */
  readonly password: Buffer | undefined
}

/** Users come with a login and go after their last session. */
export class Gateway {
  readonly store: Store
  readonly events: EventBus
  readonly clock: Clock
  readonly log: Log
  readonly scheduler: Scheduler
  readonly agenda: Agenda<GatewayUser>
  readonly hosts: Hosts
  #access: BackendAccess
  #accounts: MigrationAccounts | undefined
  #quietHours: QuietHours
  readonly #joinShares: GatewayParts['joinShares']
  readonly #passages: Passages | undefined
  #shares: Shares | undefined
  readonly #joined = Promise.withResolvers<Shares | undefined>()
  #config: Config
  #injection: Injection
  #userDatabase: UserDatabase
  readonly #closing = new AbortController()
  readonly #users = new Map<UserId, GatewayUser>()
  readonly #migrated: ((migrated: Migrated) => void)[] = []
  readonly #unsubscribe: () => void
  #journal: MigrationJournal | undefined
  #bringBeside: BringBeside | undefined

  constructor(parts: GatewayParts) {
    const { config, users, store, events, access, clock, log, accounts, keepProfile, joinShares, passages } = parts
    this.#config = config
    this.#injection = injectionOf(config, clock)
    this.#userDatabase = users
    this.store = store
    this.events = events
    this.#access = access
    this.clock = clock
    this.log = log
    this.#accounts = accounts
    this.#joinShares = joinShares
    this.#passages = passages
    passages?.watch((userId) => this.#isElsewhere(userId))
    this.#quietHours = new QuietHours(config.all('backend_quiet_hours'))
    this.hosts = new Hosts(
      access.profiles,
      clock,
      () => this.#quietHours,
      ({ key, profile }) => keepProfile?.(key, profile),
    )
    this.scheduler = new Scheduler(config.get('backend_connections'))
    this.#joined.promise.catch(() => {})
    this.agenda = new Agenda(clock, this.signal, (user) => user.turn())
    this.#unsubscribe = events.subscribe([syncTopic], ({ topic }) => this.#syncNow(topic.slice(syncTopic.length)))
  }

  /** Aborted when the gateway stops. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  /** For the next session of a backend. */
  get access(): BackendAccess {
    return this.#access
  }

  /** For the next session of a backend. */
  get injection(): Injection {
    return this.#injection
  }

  /** Gateway mode: the backend's answer to a poll is one to a login too. */
  get asksBackend(): boolean {
    return this.#config.get('gateway_mode')
  }

  /** From now on migrations are told there. */
  keepJournal(journal: MigrationJournal): void {
    this.#journal = journal
  }

  /** From now on migrations end with it. */
  keepBeside(bring: BringBeside): void {
    this.#bringBeside = bring
  }

  /** Throws AuthError: not in this mode. */
  #migrationOf(order: PullOrder): MigrationParts {
    const accounts = this.#accounts
    if (!this.#config.get('auto_migrate') || accounts === undefined)
      throw new AuthError('unavailable', 'ms_syncd runs without auto_migrate: set it to true and restart ms_syncd')
    const log = this.log.child({ user: order.userId })
    const makeAccount = accountMaker(accounts, this.#config.get('auto_add_laser_routing'), log)
    const leave = (userId: UserId) => this.#leave(userId)
    const account = this.store.account(order.userId)
    const settle = () => settleAnnounced(account, Math.floor(this.clock.now() / 1_000))
    const [journal, bringBeside] = [this.#journal, this.#bringBeside]
    return { order, makeAccount, settle, leave, journal, bringBeside, clock: this.clock, log }
  }

  /** SYN-01: those who have an account are polled as well. */
  get pollsAccounts(): boolean {
    return this.#config.get('sync_mode')
  }

  get fastLogin(): boolean {
    return this.#config.get('backend_fast_login')
  }

  get policy(): SyncPolicy {
    return {
      fetchLastN: this.#config.get('fetch_last_n'),
      ignoreFrontendDeletes: this.#config.get('ignore_frontend_deletes'),
      fetchSetSize: this.#config.get('backend_fetch_set_size'),
      inboxOnly: this.#config.get('sync_inbox_only'),
    }
  }

  /**
   * The backend decides. `user` as the client sent it. Answers where the session goes on, when it is passed through: to a `service` of
   * the old server's. Throws AuthError.
   */
  async login(user: string, userId: UserId, password: Buffer, service?: 'imap' | 'pop'): Promise<Passage | undefined> {
    if (this.signal.aborted) throw new AuthError('unavailable', 'the gateway is stopping')
    // Other services may have another configuration by now.
    if (!this.asksBackend && !this.#config.get('auto_migrate'))
      throw new AuthError('unavailable', 'ms_syncd runs in no mode in which backends decide about logins')
    await this.#needPlace(userId)
    if (await this.#decidedByAccount(userId, password)) return undefined
    const backends = await this.backendsOf(user, userId)
    if (backends === undefined) {
      this.log.log('err', 'no backend for the user: set ms_syncd_host, or a record in ms_sync.xml', { user: userId })
      throw new AuthError('unavailable', 'no mail server is configured for this user')
    }
    // UDB-08: a password in the record of a master backend has to be the one that is used at the front.
    const { password: recorded } = backends.master
    if (recorded !== undefined && !Buffer.from(recorded).equals(password))
      throw new AuthError('bad-credentials', 'not the password of the record in ms_sync.xml')
    if (this.#passages !== undefined && (await this.#passes(userId)))
      return await passThrough(this, this.#passages, { userId, backend: backends.master, password, service })
    const account = this.#config.get('auto_migrate')
      ? ((await this.#journal?.admits(userId)) ?? { properties: [], by: 'login' })
      : undefined
    const migration = account === undefined ? undefined : this.#migrationOf({ userId, given: user, account })
    await this.#user(userId, backends).login(backends, password, migration)
    return undefined
  }

  /** Ends sessions of the user that are passed through, and lets no other one begin; undefined: there is none. */
  #leave(userId: UserId): Promise<void> | undefined {
    return this.#passages?.has(userId) === true ? this.#passages.leave(userId) : undefined
  }

  /** Whether the user's sessions are passed through to the old server, as long as no account decides. */
  async #passes(userId: UserId): Promise<boolean> {
    if (this.#users.get(userId)?.isLeaving === true) return false
    const place = await this.#placeOf(userId)
    if (place !== undefined) return place === 'there'
    return this.#config.get('auto_migrate') && this.#config.get('migration_routing') === 'proxy'
  }

  async #placeOf(userId: UserId): Promise<Place | undefined> {
    return this.#config.get('auto_migrate') ? await this.#journal?.placeOf(userId) : undefined
  }

  /** Throws AuthError while there is none. */
  async #needPlace(userId: UserId): Promise<void> {
    if ((await this.#placeOf(userId)) !== 'between') return
    throw new AuthError('unavailable', 'the mail is on its way to another server; try again later', {
      cause: new Error(
        'the account is being given back to the old server: msadm rollback goes on, or ends it (--cancel)',
      ),
    })
  }

  async #isElsewhere(userId: UserId): Promise<boolean> {
    const account = await this.#accounts?.find(userId)
    return (account === undefined || account.state === 'migrating') && (await this.#passes(userId))
  }

  /** In migration mode: an account that was made since the service that asks has looked. Throws AuthError when it does not let the user in. */
  async #decidedByAccount(userId: UserId, password: Buffer): Promise<boolean> {
    const accounts = this.#config.get('auto_migrate') ? this.#accounts : undefined
    const account = await accounts?.find(userId)
    if (accounts === undefined || account === undefined) return false
    if (account.state === 'migrating' && (await this.#passes(userId))) return false
    if (!(await accounts.matches(userId, account, password)))
      throw new AuthError('bad-credentials', 'not the password of the account')
    if (account.state !== 'enabled') throw new AuthError('denied', `this account is ${account.state}`)
    return true
  }

  /**
   * MIG-08: pulls the mail of a user, whoever has an account. `password` undefined: with the gateway's own right to the mailboxes. Resolves when all
   * is here. Throws AuthError.
   */
  async migrate(order: PullOrder, password: Buffer | undefined): Promise<Pulled> {
    const { given, userId } = order
    if (this.signal.aborted) throw new AuthError('unavailable', 'ms_syncd is stopping')
    const migration = this.#migrationOf(order)
    await this.#needPlace(userId)
    if (order.account?.by === 'operator') await this.#journal?.takesOrder(userId)
    const backends = await this.backendsOf(given, userId)
    if (backends === undefined)
      throw new AuthError('unavailable', 'no old server is known: set ms_syncd_host, or a record in ms_sync.xml')
    if (password === undefined && !pollsAllAlone(backends))
      throw new AuthError(
        'unavailable',
        'the password is needed: the record of the user in ms_sync.xml names neither one nor a master user',
      )
    return await this.#user(userId, backends).migrate(backends, password, migration)
  }

  /** Whether all mail of a user can be pulled without a password. */
  async pullsAlone(given: string, userId: UserId): Promise<boolean> {
    const backends = await this.backendsOf(given, userId)
    return backends !== undefined && pollsAllAlone(backends)
  }

  /** Does work that no session with the user's backends is to meet: none runs, and none begins. Throws AuthError unavailable. */
  async alone<T>(userId: UserId, backends: UserBackends, work: () => Promise<T>): Promise<T> {
    return await this.#user(userId, backends).alone(work)
  }

  isMigrating(userId: UserId): boolean {
    return this.#users.get(userId)?.isMigrating === true
  }

  /** Ends the pull that is under way here, and whoever waits for it is told `reason`. False: there is none. */
  stopMigration(userId: UserId, reason: string): boolean {
    return this.#users.get(userId)?.stopMigration(reason) === true
  }

  /**
   * An account here decided, and lets the user in. A password is only asked for when a backend has none of its own. The mail that is here is
   * served whatever the backends say, so nothing is thrown for them. SYN-01, SYN-04
   */
  async admit(user: string, userId: UserId, password: Buffer | undefined): Promise<Admission> {
    if (this.signal.aborted) throw new AuthError('unavailable', 'the gateway is stopping')
    const backends = await this.backendsOf(user, userId)
    if (backends === undefined) {
      this.log.log('debug', 'no backend for the user: nothing to synchronise', { user: userId })
      return 'admitted'
    }
    const needed = [backends.master, ...backends.extra].some((backend) => !pollsAlone(backend))
    if (needed && password === undefined) return 'password-needed'
    await this.#user(userId, backends).admit(backends, needed ? password : undefined)
    return 'admitted'
  }

  /** Messages that are announced, and that a client wants to read now. Throws AuthError, StoreError. */
  async bring(userId: UserId, demand: Demand): Promise<void> {
    const user = this.#users.get(userId)
    if (user === undefined)
      throw new AuthError('unavailable', 'the mail of this user is not pulled now; the next login goes on with it')
    await user.bring(demand)
  }

  /** UDB-14: the entry in the directory goes first. Throws AuthError: who has backends of his own is not sent to others. */
  async backendsOf(user: string, userId: UserId): Promise<UserBackends | undefined> {
    const own = await this.#ownBackends(userId)
    return this.#userDatabase.find(user, userId, this.#config, own)
  }

  async #ownBackends(userId: UserId): Promise<UserRecord | undefined> {
    if (!this.#config.get('ms_sync_sasl_lookup') || !usesDirectory(this.#config)) return undefined
    try {
      const account = await this.#accounts?.find(userId)
      return account === undefined ? undefined : backendsOfEntry(userId, account.properties)
    } catch (error) {
      if (!(error instanceof StoreError) && !(error instanceof RangeError)) throw error
      this.log.log('err', 'the backends of a user can not be told', { user: userId, reason: error.message })
      throw new AuthError('unavailable', 'the mail servers of this user are not known now', { cause: error })
    }
  }

  /** GW-06, EVT-14. Without a password there is no session with the backend: whoever waits for one is not left guessing. */
  #syncNow(user: string): void {
    if (this.#users.get(user as UserId)?.syncNow() === true) return
    this.events.presences(user).then(
      (sessions) => {
        if (sessions.length > 0)
          this.log.log(
            'warning',
            'not synchronised as asked: the password is not known since ms_syncd was started, or is refused; the user has to log in again',
            { user, sessions: sessions.length },
          )
        else this.log.log('info', 'not synchronised as asked: the user has no session', { user })
      },
      (error: Error) => this.log.log('info', 'not synchronised as asked', { user, reason: error.message }),
    )
  }

  #user(userId: UserId, backends: UserBackends): GatewayUser {
    const known = this.#users.get(userId)
    if (known !== undefined) return known
    const user = new GatewayUser(userId, backends, this, () => {
      if (this.#users.get(userId) === user) this.#users.delete(userId)
    })
    this.#users.set(userId, user)
    return user
  }

  /** Whether a user who is polled without a client still has somebody to read the mail. In gateway mode any of them may log in. */
  async mayStand(userId: UserId): Promise<boolean> {
    if (this.asksBackend) return true
    try {
      const account = await this.#accounts?.find(userId)
      if (account === undefined || account.state === 'disabled') return false
      // What is here stays as it was when the old server got the account back.
      return (await this.#placeOf(userId)) !== 'there'
    } catch (error) {
      this.log.log('warning', 'not polled: the account can not be read', {
        user: userId,
        reason: (error as Error).message,
      })
      return false
    }
  }

  /** Joins the other nodes of the store, takes its share of the users, and begins to poll those who are polled without a client. */
  async start(): Promise<void> {
    this.#shares = await this.#joinShares?.({
      here: () =>
        [...this.#users.values()]
          .filter(({ hasClients, isMigrating, isReserved }) => hasClients || isMigrating || isReserved)
          .map(({ userId }) => userId),
      onChange: () => {
        for (const user of this.#users.values()) user.plan()
      },
    })
    this.#joined.resolve(this.#shares)
    await this.pollStanding()
  }

  /** Whether this node polls the user, of all that share the store. */
  isMine(userId: UserId, hasClients: boolean): boolean {
    return this.#shares === undefined || this.#shares.isMine(userId, hasClients)
  }

  /**
   * Takes work that one ms_syncd of the store does at a time, unless another that lives has it: answers that one. `name`: lower-case letters, digits, - and _.
   * Throws StoreError unavailable.
   */
  async lease(name: string): Promise<Holder | undefined> {
    try {
      const shares = await this.#joined.promise
      return await shares?.lease(name)
    } catch (cause) {
      throw new StoreError(
        'unavailable',
        `what other ms_syncd of this store do can't be told: ${(cause as Error).message}`,
        {
          cause,
        },
      )
    }
  }

  /** This node does the work of this name, and no other. */
  holds(name: string): boolean {
    return this.#joinShares === undefined || this.#shares?.holds(name) === true
  }

  /** Names this node among those of the store; undefined: it is the only one. */
  get nodeId(): string | undefined {
    return this.#shares?.id
  }

  /** Calls `listener` for everybody whose mail is all here. Who wants to keep the password copies it. */
  onMigrated(listener: (migrated: Migrated) => void): void {
    this.#migrated.push(listener)
  }

  migrated(migrated: Migrated): void {
    for (const listener of this.#migrated) listener(migrated)
  }

  /** Begins to poll those who are polled without a client, and ends it for those who are not any more. */
  async pollStanding(): Promise<void> {
    const slice = new Slice()
    const standing = new Set<UserId>()
    const isPolling = this.asksBackend || this.pollsAccounts
    const records = isPolling && this.#config.get('poll_without_client') ? this.#userDatabase.records : []
    for (const { frontendId } of records) {
      if (slice.isOver()) await slice.next()
      const userId = this.#standingId(frontendId)
      const backends = userId === undefined ? undefined : this.#userDatabase.find(frontendId, userId, this.#config)
      if (userId === undefined || backends === undefined || !pollsAnyAlone(backends)) continue
      standing.add(userId)
      this.#user(userId, backends).stand(backends)
    }
    for (const user of this.#users.values()) if (user.isStanding && !standing.has(user.userId)) user.stand(undefined)
  }

  /** The user that a record is for; undefined: a whole domain, or nobody who could log in. */
  #standingId(frontendId: string): UserId | undefined {
    if (frontendId.startsWith('@')) return undefined
    try {
      return canonicalUserId(frontendId, defaultDomain(this.#config, undefined))
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
      this.log.log('warning', 'a record of ms_sync.xml names nobody', { frontendId, reason: error.message })
      return undefined
    }
  }

  /** Backends of users are looked up again at their next login, of those who are polled without a client now. */
  async reload({
    config,
    users,
    access,
    accounts,
  }: Pick<GatewayParts, 'config' | 'users' | 'access' | 'accounts'>): Promise<void> {
    this.#config = config
    this.#injection = injectionOf(config, this.clock)
    this.#userDatabase = users
    this.#access = access
    this.#accounts = accounts
    this.#quietHours = new QuietHours(config.all('backend_quiet_hours'))
    await this.pollStanding()
  }

  /** Of the backends of the users who are here or polled, without the first `from`, in an order that stays while users do. */
  *statuses(from = 0): Generator<UserStatus> {
    let place = 0
    for (const user of this.#users.values()) {
      if (place + user.backendCount > from) {
        const statuses = user.status()
        for (const status of statuses.slice(Math.max(0, from - place))) yield { user: user.userId, ...status }
      }
      place += user.backendCount
    }
  }

  statusOf(userId: UserId): readonly UserStatus[] {
    return (
      this.#users
        .get(userId)
        ?.status()
        .map((status) => ({ user: userId, ...status })) ?? []
    )
  }

  get counts(): { readonly users: number; readonly running: number; readonly waiting: number } {
    return { users: this.#users.size, ...this.scheduler.counts }
  }

  /** Ends sessions at once; what has arrived whole is stored. */
  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#joined.reject(new Error('ms_syncd is stopping'))
    await this.#shares?.[Symbol.asyncDispose]()
    this.#closing.abort(new AuthError('unavailable', 'the gateway is stopping'))
    await Promise.all([...this.#users.values()].map((user) => user.stopped()))
  }
}

const pollsAnyAlone = ({ master, extra }: UserBackends): boolean => [master, ...extra].some(pollsAlone)
