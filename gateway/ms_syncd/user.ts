/**
 * One user of the gateway, from the first login until the last session is gone: idle, authenticating, synchronising, waiting
 * for the next poll. docs/decisions/0084-logins-by-asking-the-backend.md
 */
import { AuthError, type AuthErrorKind } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { MailEvent } from '#src/events/types.ts'
import { BackendError, type BackendErrorKind } from '../backend/errors.ts'
import { syncOnce } from '../sync/sync-once.ts'
import type { Gateway } from './gateway.ts'
import { BackendLink } from './link.ts'
import { PasswordDigest } from './password.ts'
import { loginPriority, pollPriority } from './scheduler.ts'

/** A password that the backend accepted so recently is not asked about again: clients open several connections at once. */
const recentMs = 60_000
/** A session that was just admitted may not be announced yet; nor those of services that look for a restarted mseventd. */
const announceMs = 30_000
/** How often a user without polling is looked at, to forget the password of one who left. */
const lookMs = 300_000

/** A master session under way. */
interface Attempt {
  readonly digest: PasswordDigest
  isProven: boolean
  /** The backend accepted the login; rejects with AuthError. */
  readonly proven: Promise<void>
  /** The session is over, well or not. */
  readonly done: Promise<void>
}

/** `onGone` is called when nothing of the user has to be remembered any more. */
export class GatewayUser {
  readonly userId: UserId
  readonly #gateway: Gateway
  readonly #log: Log
  readonly #onGone: () => void
  #master: BackendLink
  #extra: readonly BackendLink[]
  #password: Buffer | undefined
  #verified: { readonly digest: PasswordDigest; readonly atMs: number } | undefined
  #attempt: Attempt | undefined
  /** Who is here is known from then on only. */
  #unknownUntilMs = -Infinity
  #unsubscribe: (() => void) | undefined
  readonly #sessions = new Set<Promise<void>>()
  #wake = new AbortController()
  #looping = false
  #lookAgainMs = Infinity

  constructor(userId: UserId, backends: UserBackends, gateway: Gateway, onGone: () => void) {
    this.userId = userId
    this.#gateway = gateway
    this.#log = gateway.log.child({ user: userId })
    this.#onGone = onGone
    this.#master = this.#link(backends.master)
    this.#extra = backends.extra.map((backend) => this.#link(backend))
  }

  #link(backend: Backend): BackendLink {
    const { access, clock } = this.#gateway
    return new BackendLink(backend, access.profiles.of(backend.host, backend.port), clock, this.#log)
  }

  /** Resolves when the login is good (and, without backend_fast_login, the mail is here). Throws AuthError. */
  async login(backends: UserBackends, password: Buffer): Promise<void> {
    try {
      await this.#login(backends, password)
    } finally {
      // Nobody was let in: nothing to remember, however many passwords are tried.
      if (!this.#looping && this.#attempt === undefined) this.#onGone()
    }
  }

  async #login(backends: UserBackends, password: Buffer): Promise<void> {
    const { clock, fastLogin } = this.#gateway
    const digest = new PasswordDigest(password)
    for (;;) {
      const attempt = this.#attempt
      if (attempt === undefined) break
      if (attempt.digest.equals(digest)) return this.#follow(attempt, password, fastLogin)
      if (attempt.isProven) throw new AuthError('in-use', 'the mailbox is being synchronised; try again shortly')
      await attempt.proven.catch(() => {})
    }
    const verified = this.#verified?.digest.equals(digest) === true ? this.#verified : undefined
    const now = clock.now()
    if (verified !== undefined && (now - verified.atMs < recentMs || now < this.#master.allowedMs)) {
      this.#log.log('debug', 'login accepted: the backend accepted this password before')
      if (now - verified.atMs >= recentMs) this.#master.prompt()
      this.#admit(password)
      return
    }
    if (this.#verified !== undefined && now < this.#master.allowedMs)
      throw new AuthError('login-delay', 'the backend can not be asked about this password yet; try again later')
    this.#useBackends(backends)
    await this.#follow(this.#start(this.#master, password, digest, loginPriority), password, fastLogin)
  }

  async #follow(attempt: Attempt, password: Buffer, fast: boolean): Promise<void> {
    await attempt.proven
    for (const link of this.#extra) {
      if (link.backend.password === undefined) link.stopped = false
      link.promptNow()
    }
    this.#admit(password)
    if (!fast) await Promise.all([attempt.done, ...this.#sessions])
  }

  /** The records may have changed since the last login. Links that stay keep what they know. */
  #useBackends({ master, extra }: UserBackends): void {
    const keep = (link: BackendLink | undefined, backend: Backend): BackendLink => {
      if (link === undefined || !sameMaildrop(link.backend, backend)) return this.#link(backend)
      // A refusal was for the password of before.
      if (link.backend.password !== backend.password) link.stopped = false
      link.backend = backend
      return link
    }
    this.#master = keep(this.#master, master)
    const old = this.#extra
    this.#extra = extra.map((backend) =>
      keep(
        old.find((link) => sameMaildrop(link.backend, backend)),
        backend,
      ),
    )
  }

  /** A session with the master: its login decides about `password`. */
  #start(link: BackendLink, password: Buffer, digest: PasswordDigest, priority: number): Attempt {
    const own = this.#verified === undefined || this.#verified.digest.equals(digest)
    const { promise: proven, resolve, reject } = Promise.withResolvers<void>()
    proven.catch(() => {})
    const attempt: Attempt = {
      digest,
      isProven: false,
      proven,
      done: this.#session(link, Buffer.from(password), priority, own, () => {
        attempt.isProven = true
        this.#verified = { digest, atMs: this.#gateway.clock.now() }
        resolve()
      }).then(
        () => {
          if (this.#attempt === attempt) this.#attempt = undefined
        },
        (error: unknown) => {
          if (this.#attempt === attempt) this.#attempt = undefined
          if (attempt.isProven) return
          const known = this.#verified?.digest.equals(digest) === true
          const busy = error instanceof BackendError && (error.kind === 'in-use' || error.kind === 'login-delay')
          if (known && busy) resolve()
          else {
            // A backend that takes the password back ends what was built on it.
            if (known && error instanceof BackendError && error.refusesLogin) {
              this.#forgetPassword()
              this.#verified = undefined
            }
            reject(authError(error))
          }
        },
      ),
    }
    this.#attempt = attempt
    return attempt
  }

  /** One backend session. Owns `password` and overwrites it; `own`: it is the one that polls. Rejects when it fails. */
  #session(link: BackendLink, password: Buffer, priority: number, own: boolean, onProven: () => void): Promise<void> {
    let proven = false
    const { scheduler, signal, store, access, policy, injection, clock } = this.#gateway
    const { backend, log, setbacks } = link
    link.begun()
    const running = scheduler
      .run(backend.host, priority, signal, () =>
        syncOnce({
          backend,
          userId: this.userId,
          password,
          store,
          access,
          policy,
          injection,
          setbacks,
          clock,
          log,
          signal,
          onProven: () => {
            proven = true
            link.proven()
            onProven()
          },
        }),
      )
      .then(
        (result) => link.done(result),
        (error: unknown) => {
          if (own || proven) link.failed(error, signal.aborted)
          else link.abandoned(error)
          throw error
        },
      )
      .finally(() => {
        password.fill(0)
        this.#stir()
      })
    const settled = running.catch(() => {})
    this.#sessions.add(settled)
    settled.then(() => this.#sessions.delete(settled))
    return running
  }

  /** A client session is there: from now on the password is needed for polling. */
  #admit(password: Buffer): void {
    const { events } = this.#gateway
    this.#waitForAnnouncements()
    this.#forgetPassword()
    this.#password = Buffer.from(password)
    this.#unsubscribe ??= events.subscribe(
      [this.userId, `mbox:${this.userId}`],
      (event) => this.#onEvent(event),
      () => {
        this.#waitForAnnouncements()
        this.#look()
      },
    )
    this.#syncDue(this.#extra)
    this.#loop()
    this.#stir()
  }

  #waitForAnnouncements(): void {
    this.#unknownUntilMs = this.#gateway.clock.now() + announceMs
  }

  #onEvent({ topic, fields }: MailEvent): void {
    if (topic === this.userId) this.#look()
    else if (Number(fields.expunged) > 0)
      for (const link of [this.#master, ...this.#extra])
        if (fields.mailbox === undefined || link.backend.mailbox === fields.mailbox) link.prompt()
    this.#stir()
  }

  /** GW-06, EVT-14: as soon as LOGIN-DELAY allows. False when there is no password that the backend accepts. */
  syncNow(): boolean {
    if (this.#password === undefined) return false
    for (const link of [this.#master, ...this.#extra]) link.prompt()
    this.#stir()
    return true
  }

  #look(): void {
    this.#lookAgainMs = this.#gateway.clock.now()
    this.#stir()
  }

  #stir(): void {
    this.#wake.abort()
  }

  /** Waits for what is due, until no session is left. */
  #loop(): void {
    if (this.#looping) return
    this.#looping = true
    this.#run()
      .catch((error: unknown) => {
        if (!this.#gateway.signal.aborted)
          this.#log.log('err', 'polling ended', { reason: error instanceof Error ? error.message : String(error) })
        this.#forgetPassword()
      })
      .finally(() => {
        this.#looping = false
        // Somebody may have logged in while the loop was ending.
        if (this.#password !== undefined && !this.#gateway.signal.aborted) return this.#loop()
        this.#leave()
        this.#onGone()
      })
  }

  async #run(): Promise<void> {
    const { clock, signal } = this.#gateway
    this.#lookAgainMs = clock.now() + lookMs
    for (;;) {
      const links = [this.#master, ...this.#extra]
      const dueMs = Math.min(this.#lookAgainMs, ...links.map((link) => link.dueMs))
      await this.#until(dueMs)
      signal.throwIfAborted()
      if (clock.now() < dueMs) continue
      const isHere = this.#password !== undefined && (await this.#hasSession())
      // While mseventd was asked, somebody may have been let in, or it may have been restarted.
      if (this.#password === undefined || (!isHere && clock.now() >= this.#unknownUntilMs)) {
        this.#leave()
        // The digest stays as long as the backend may refuse to be asked.
        const keepMs = Math.max(this.#master.allowedMs, (this.#verified?.atMs ?? -Infinity) + recentMs)
        if (clock.now() >= keepMs && this.#attempt === undefined) return
        this.#lookAgainMs = Math.max(keepMs, clock.now() + 1_000)
        await this.#until(this.#lookAgainMs)
        continue
      }
      this.#lookAgainMs = clock.now() + lookMs
      this.#syncDue(links)
    }
  }

  #syncDue(links: readonly BackendLink[]): void {
    const now = this.#gateway.clock.now()
    for (const link of links) {
      if (this.#password === undefined || link.dueMs > now) continue
      if (link === this.#master) this.#start(link, this.#password, this.#verified!.digest, pollPriority)
      else {
        const own = link.backend.password
        const password = Buffer.from(own ?? this.#password)
        this.#session(link, password, pollPriority, true, () => {}).catch(() => {})
      }
    }
  }

  /** Sleeps until then, or until something happens. */
  async #until(ms: number): Promise<void> {
    const { clock, signal } = this.#gateway
    this.#wake = new AbortController()
    const waitMs = ms - clock.now()
    if (waitMs <= 0) return
    const either = AbortSignal.any([signal, this.#wake.signal])
    await clock.sleep(Math.min(waitMs, 2 ** 31 - 1), either).catch(() => {})
  }

  /** Whether imapd or pop3d serves this user now. When that can't be known, polling goes on. */
  async #hasSession(): Promise<boolean> {
    try {
      return (await this.#gateway.events.presences(this.userId)).length > 0
    } catch {
      return true
    }
  }

  #forgetPassword(): void {
    this.#password?.fill(0)
    this.#password = undefined
  }

  #leave(): void {
    this.#forgetPassword()
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  /** After the gateway's signal was aborted: resolves when nothing runs any more. */
  async stopped(): Promise<void> {
    this.#stir()
    await Promise.all(this.#sessions)
    this.#leave()
  }
}

const sameMaildrop = (a: Backend, b: Backend): boolean =>
  a.protocol === b.protocol && a.host === b.host && a.port === b.port && a.user === b.user && a.mailbox === b.mailbox

const authKinds: Readonly<Partial<Record<BackendErrorKind, AuthErrorKind>>> = {
  auth: 'bad-credentials',
  'needs-consent': 'bad-credentials',
  'in-use': 'in-use',
  'login-delay': 'login-delay',
}

/** What a login is told about a failure: the kind, and words that name no secret. */
const authError = (error: unknown): AuthError => {
  const kind = (error instanceof BackendError ? authKinds[error.kind] : undefined) ?? 'unavailable'
  const texts: Readonly<Partial<Record<AuthErrorKind, string>>> = {
    'bad-credentials': 'the mail server refused user or password',
    'in-use': 'the mailbox is in use by another session',
    'login-delay': 'the mail server wants a longer pause between logins',
  }
  return new AuthError(kind, texts[kind] ?? 'the mail server can not be asked now', { cause: error })
}
