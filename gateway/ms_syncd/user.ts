/**
 * One user of the gateway: his backends, and when each is looked at. He is here from a login until his last session is gone
 * and, where the records have what the backends want, also without one (`stand`).
 * docs/decisions/0084-logins-by-asking-the-backend.md, 0160-who-is-polled.md
 */
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { MailEvent } from '#src/events/types.ts'
import { pollPassword, pollsAlone } from '../backend/credentials.ts'
import { Clients } from './clients.ts'
import type { Gateway } from './gateway.ts'
import { BackendLink } from './link.ts'
import { UserLinks } from './links.ts'
import type { MigrationParts, Pulled } from './migration.ts'
import { type Demand, OnDemand } from './on-demand.ts'
import { PasswordDigest } from './password.ts'
import { Readers } from './readers.ts'
import { loginPriority, pollPriority } from './scheduler.ts'
import { eventFields, type LinkStatus } from './status.ts'
import { UserMigration } from './user-migration.ts'
import { UserSessions } from './user-sessions.ts'
import { type Attempt, type BackendSession, recentMs, Verdicts } from './verdicts.ts'
import { Watches } from './watches.ts'

/** How often a user without polling is looked at, to forget the password of one who left. */
const lookMs = 300_000

/** Who decides about the passwords of the last login. */
type Decider = 'backend' | 'account'

/** `onGone` is called when nothing of the user has to be remembered any more. */
export class GatewayUser {
  readonly userId: UserId
  readonly #gateway: Gateway
  readonly #log: Log
  readonly #onGone: () => void
  readonly #links: UserLinks
  readonly #clients: Clients
  readonly #verdicts: Verdicts
  #decider: Decider = 'account'
  /** Of the last login: for backends whose record has none, as long as a client is here. */
  #password: Buffer | undefined
  readonly #migration: UserMigration
  /** Migrated, and not to be synchronised: no backend is asked any more. */
  #isLocal = false
  #isStanding = false
  #isReserved = false
  readonly #sessions: UserSessions
  /** Logins that are being decided. */
  #asking = 0
  #lookAgainMs = Infinity
  #isActing = false
  readonly #watches: Watches
  readonly #readers: Readers
  readonly #onDemand: OnDemand

  constructor(userId: UserId, backends: UserBackends, gateway: Gateway, onGone: () => void) {
    const { clock, events, log } = gateway
    this.userId = userId
    this.#gateway = gateway
    this.#log = log.child({ user: userId })
    this.#onGone = onGone
    this.#links = new UserLinks(backends, (backend) => {
      const host = gateway.hosts.of(backend.host, backend.port)
      return new BackendLink(backend, userId, host, clock, this.#log)
    })
    this.#clients = new Clients(
      userId,
      events,
      clock,
      (event) => this.#onEvent(event),
      () => this.#look(),
    )
    this.#verdicts = new Verdicts(clock)
    this.#readers = new Readers(clock)
    this.#onDemand = new OnDemand(userId, gateway, this.#log)
    this.#migration = new UserMigration(userId, gateway, this.#links, this.#log)
    this.#sessions = new UserSessions({
      userId,
      gateway,
      links: this.#links,
      readers: this.#readers,
      migration: this.#migration,
      hasClients: () => this.#clients.expected,
      onNews: (link) => this.#tell(link),
      onDone: () => this.#migrate(),
      onOver: () => this.plan(),
    })
    this.#watches = new Watches(
      gateway,
      (link) => {
        link.prompt()
        this.plan()
      },
      ({ backend }) => pollPassword(backend, this.#password),
    )
  }

  /**
   * The backend decides: resolves when the login is good (and, without backend_fast_login, the mail is here). `migration`: of a user without an account
   * here, who is to get one. Throws AuthError.
   */
  async login(backends: UserBackends, password: Buffer, migration: MigrationParts | undefined): Promise<void> {
    this.#needNotReserved()
    this.#decider = 'backend'
    // Who has no account again was one who was removed, and is migrated anew.
    this.#isLocal = false
    const stopped = migration === undefined ? undefined : this.#migration.begin(migration).signal
    const { fastLogin } = this.#gateway
    this.#asking++
    try {
      const was = await this.#login(backends, password, fastLogin)
      // Without its migration the mail is not all here, and nobody makes the account.
      stopped?.throwIfAborted()
      if (!fastLogin && this.isMigrating) {
        if (was === 'known') await this.#pull()
        stopped?.throwIfAborted()
        this.#migration.needMail()
      }
    } finally {
      this.#asking--
      // Nobody was let in: nothing to remember, however many passwords are tried.
      this.plan()
    }
  }

  /** `password` undefined: all backends are the gateway's own to look at. Resolves when all mail is here. Throws AuthError: the backends don't let the user in, or a session broke off. */
  async migrate(backends: UserBackends, password: Buffer | undefined, parts: MigrationParts): Promise<Pulled> {
    this.#needNotReserved()
    this.#decider = 'backend'
    this.#isLocal = false
    const { over } = this.#migration.begin(parts)
    this.#asking++
    try {
      if (password === undefined) {
        this.#links.use(backends)
        this.#migration.current?.begun(undefined)
        await this.#pull()
      } else if ((await this.#login(backends, password, false)) === 'known') await this.#pull()
      // One that may not be asked again yet is waited for.
      if (this.#links.all.some(({ isFailing }) => isFailing)) this.#migration.needMail()
      return await over
    } finally {
      this.#asking--
      this.plan()
    }
  }

  /** Does work between sessions with the backends: none runs, and none begins. Throws AuthError unavailable. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#needNotReserved()
    if (this.isMigrating) throw new AuthError('unavailable', 'the mail of this user is being pulled now')
    this.#isReserved = true
    this.#asking++
    this.plan()
    try {
      await this.#sessions.over()
      this.#onDemand.close()
      return await work()
    } finally {
      this.#isReserved = false
      this.#asking--
      this.plan()
    }
  }

  get isReserved(): boolean {
    return this.#isReserved
  }

  #needNotReserved(): void {
    if (this.#isReserved)
      throw new AuthError('unavailable', 'the mail of this user is compared, or carried to the old server, now')
  }

  /** Behind a login without a session. */
  async #pull(): Promise<void> {
    const missing = this.#links.all.filter(({ passes }) => passes.whole === 0)
    for (const link of missing) link.promptNow()
    this.#syncDue(missing, loginPriority)
    await this.#sessions.over()
  }

  get isMigrating(): boolean {
    return this.#migration.current !== undefined
  }

  /** All mail was pulled once, and no session of the user goes to the old server any more. */
  get isLeaving(): boolean {
    return this.#migration.current?.isLeaving === true
  }

  /** Ends the pull that is under way, and forgets its password. False: there is none. */
  stopMigration(reason: string): boolean {
    const isStopped = this.#migration.stop(reason)
    if (isStopped) this.#forgetPassword()
    this.plan()
    return isStopped
  }

  /** `known`: accepted a moment ago, without a session now. */
  async #login(backends: UserBackends, password: Buffer, fastLogin: boolean): Promise<'asked' | 'known'> {
    const digest = new PasswordDigest(password)
    await this.#sessions.giveWay()
    for (let ahead = this.#verdicts.ahead(digest); ahead !== undefined; ahead = this.#verdicts.ahead(digest))
      await ahead
    const { attempt } = this.#verdicts
    if (attempt !== undefined) {
      await this.#follow(attempt, password, fastLogin)
      return 'asked'
    }
    const { master } = this.#links
    const known = this.#verdicts.known(digest, master.allowedMs)
    if (known !== undefined) {
      this.#log.log('debug', 'login accepted: the backend accepted this password before')
      if (known === 'before') master.prompt()
      this.#accepted(password)
      return 'known'
    }
    this.#links.use(backends)
    // What polls by a right of the gateway's own is not refused when a password is.
    const isOwn = this.#links.master.backend.service === undefined && this.#verdicts.isOwn(digest)
    const started = this.#sessions.begin(this.#links.master, { password, priority: loginPriority, isOwn })
    await this.#follow(this.#decide(started, digest), password, fastLogin)
    return 'asked'
  }

  async #follow(attempt: Attempt, password: Buffer, fast: boolean): Promise<void> {
    attempt.hurry()
    await attempt.good
    this.#accepted(password)
    this.#promptAll(this.#links.extra)
    if (!fast) await Promise.all([attempt.over, this.#sessions.over()])
  }

  /** The local account decided: somebody is let in. `password`: of the login, where a backend needs it. Without backend_fast_login, resolves when all backends were asked. SYN-01 */
  async admit(backends: UserBackends, password: Buffer | undefined): Promise<void> {
    this.#decider = 'account'
    this.#links.use(backends)
    this.#admit(password)
    this.#promptAll(this.#links.all)
    if (!this.#gateway.fastLogin) await this.#sessions.over()
  }

  /** Polls from now on without clients too, where records have passwords; undefined: no longer. */
  stand(backends: UserBackends | undefined): void {
    if (backends !== undefined) {
      this.#links.use(backends)
      if (this.#gateway.asksBackend) this.#decider = 'backend'
      const now = this.#gateway.clock.monotonic()
      // Spread over the interval, in which they stay spread.
      for (const link of this.#links.all)
        if (!this.#isStanding && link.backend.intervalSeconds > 0)
          link.promptAt(now + Math.random() * link.backend.intervalSeconds * 1_000)
    }
    this.#isStanding = backends !== undefined
    this.plan()
  }

  get isStanding(): boolean {
    return this.#isStanding
  }

  /** A client waits for the mail of these. */
  #promptAll(links: readonly BackendLink[]): void {
    const now = this.#gateway.clock.monotonic()
    for (const link of links) {
      // A refusal was for the password of before.
      if (!pollsAlone(link.backend)) link.stopped = false
      if (now - link.loginMs >= recentMs) link.promptNow()
    }
    this.#syncDue(links, loginPriority)
    this.plan()
  }

  /** A client session is there: from now on the password is needed for polling. */
  #admit(password: Buffer | undefined): void {
    this.#clients.admit()
    if (password !== undefined || !this.isMigrating) this.#forgetPassword()
    if (password !== undefined) this.#password = Buffer.from(password)
    this.#lookAgainMs = this.#gateway.clock.monotonic() + lookMs
    this.plan()
  }

  /** By the master backend. */
  #accepted(password: Buffer): void {
    this.#admit(password)
    this.#migration.current?.begun(password)
  }

  #decide(session: BackendSession, digest: PasswordDigest): Attempt {
    return this.#verdicts.await(session, digest, () => {
      this.#forgetPassword()
      this.#migration.giveUp('the old server takes the password back')
    })
  }

  /** Behind a session: the user is local, when all mail is here. */
  async #migrate(): Promise<void> {
    const isMoved = await this.#migration.look(
      () => this.#password,
      () => this.plan(),
    )
    if (!isMoved) return
    this.#decider = 'account'
    this.#isLocal = !this.#gateway.pollsAccounts
    if (this.#isLocal || !this.#clients.expected) this.#forgetPassword()
  }

  /** To whoever follows. */
  #tell(link: BackendLink): void {
    const fields = eventFields(this.userId, link.status(this.#polls(link), this.#isMine))
    this.#gateway.events.publish({ topic: `backend:${this.userId}`, name: 'backend', fields })
  }

  #onEvent(event: MailEvent): void {
    for (const link of this.#links.all) if (concerns(link.backend, event)) link.prompt()
    this.plan()
  }

  /** GW-06, EVT-14: as soon as LOGIN-DELAY allows. False when there is no password that a backend accepts. */
  syncNow(): boolean {
    const links = this.#links.all.filter((link) => this.#polls(link))
    // The node that polls the user hears it too.
    if (this.#isMine) for (const link of links) link.prompt()
    this.plan()
    return links.length > 0
  }

  #look(): void {
    this.#lookAgainMs = this.#gateway.clock.monotonic()
    this.plan()
  }

  /** Whether there is a password to poll with, and somebody to poll for. */
  #polls({ backend }: BackendLink): boolean {
    if (this.#isLocal || this.#isReserved) return false
    if (!pollsAlone(backend)) return this.#password !== undefined
    return this.#isStanding || this.#clients.expected || this.isMigrating
  }

  /** Another node of the store may poll the user. */
  get #isMine(): boolean {
    // Nobody else has the password of a migration.
    return this.isMigrating || this.#gateway.isMine(this.userId, this.#clients.expected)
  }

  /** Clients may be served here. */
  get hasClients(): boolean {
    return this.#clients.expected
  }

  /** Says when the user is to be looked at next, or that he is gone. Called when anything changed that this hangs on. */
  plan(): void {
    const { agenda, signal } = this.#gateway
    // As long as a client is here, backends that can tell what changed are waited for.
    this.#watches.keep(this.#clients.expected ? this.#links.all.filter((link) => this.#polls(link)) : [])
    if (this.#isActing || signal.aborted) return
    const isMine = this.#isMine
    const due = this.#links.all.map((link) => (isMine && this.#polls(link) ? link.dueMs : Infinity))
    const look = this.#clients.expected ? this.#lookAgainMs : this.#isStanding ? Infinity : this.#keptUntilMs()
    const nextMs = Math.min(look, ...due)
    if (nextMs === -Infinity) {
      agenda.set(this, Infinity)
      this.#forgetPassword()
      this.#migration.giveUp('no session with the old server is due any more')
      this.#onGone()
    } else agenda.set(this, nextMs)
  }

  /** A user without sessions and polls is remembered as long as the backend may refuse to be asked; -Infinity: no longer. */
  #keptUntilMs(): number {
    const keptMs = this.#verdicts.keptUntilMs(this.#links.master.allowedMs)
    if (keptMs > this.#gateway.clock.monotonic()) return keptMs
    return this.#sessions.count + this.#asking > 0 ? Infinity : -Infinity
  }

  /** Does what is due. */
  turn(): void {
    if (this.#isActing) return
    this.#isActing = true
    this.#act()
      .catch((error: unknown) =>
        this.#log.log('err', 'polling ended', { reason: error instanceof Error ? error.message : String(error) }),
      )
      .finally(() => {
        this.#isActing = false
        this.plan()
      })
  }

  async #act(): Promise<void> {
    const { clock, signal } = this.#gateway
    if (this.#clients.expected) {
      if (!(await this.#clients.areHere())) this.#leave()
      signal.throwIfAborted()
      this.#lookAgainMs = clock.monotonic() + lookMs
    } else if (this.#isStanding && !(await this.#gateway.mayStand(this.userId))) {
      for (const link of this.#links.all) link.putOff(clock.monotonic() + lookMs)
      return
    }
    this.#syncDue(this.#links.all, pollPriority)
  }

  #syncDue(links: readonly BackendLink[], priority: number): void {
    const now = this.#gateway.clock.monotonic()
    // What a login waits for is done here, whoever polls.
    if (priority === pollPriority && !this.#isMine) return
    for (const link of links) {
      if (!this.#polls(link) || link.dueMs > now) continue
      const password = pollPassword(link.backend, this.#password)
      if (link !== this.#links.master || this.#decider === 'account')
        this.#sessions.begin(link, { password, priority, isOwn: true }).done.catch(() => {})
      else if (this.#verdicts.attempt === undefined) {
        if (password === undefined) this.#sessions.pollAlone(link, priority)
        else this.#decide(this.#sessions.begin(link, { password, priority, isOwn: true }), new PasswordDigest(password))
      }
      password?.fill(0)
    }
  }

  /** Messages that are announced, and that a client wants to read now. Throws AuthError, StoreError. */
  async bring(demand: Demand): Promise<void> {
    const backends = this.#links.all.flatMap((link) => (this.#polls(link) ? [link.backend] : []))
    await this.#readers.wait(() =>
      this.#onDemand.bring(demand, backends, (backend) => pollPassword(backend, this.#password)),
    )
  }

  get backendCount(): number {
    return 1 + this.#links.extra.length
  }

  status(): readonly LinkStatus[] {
    return this.#links.all.map((link) => link.status(this.#polls(link), this.#isMine))
  }

  #forgetPassword(): void {
    this.#password?.fill(0)
    this.#password = undefined
  }

  #leave(): void {
    // A migration goes on to its end, with or without clients.
    const goesOn = this.isMigrating && !this.#links.all.some(({ stopped }) => stopped)
    if (!goesOn || this.#gateway.signal.aborted) this.#forgetPassword()
    this.#clients.leave()
  }

  /** After the gateway's signal was aborted: resolves when nothing runs any more. */
  async stopped(): Promise<void> {
    await this.#sessions.over()
    this.#onDemand.close()
    this.#leave()
  }
}

/** Whether a change here is one that the backend is told of. */
const concerns = ({ protocol, mailbox }: Backend, { name, fields }: MailEvent): boolean => {
  const { mailbox: changed, ...counts } = fields
  const isImap = protocol === 'imap' || protocol === 'imaps'
  if (isImap) return name === 'tree' || Number(counts.added) + Number(counts.updated) + Number(counts.expunged) > 0
  return Number(counts.expunged) > 0 && (changed === undefined || changed === mailbox)
}
