/**
 * How much one backend host is asked for: slots that it has to earn, pauses while it is away or asks for less, quiet hours.
 * What it learns is in the host's profile and outlives the process. docs/decisions/0163-what-is-learned-of-hosts.md
 */
import type { Clock } from '#src/base/clock.ts'
import { BackendError, type BackendErrorKind } from '../backend/errors.ts'
import type { BackendProfile } from '../backend/profile.ts'
import type { QuietHours } from './quiet-hours.ts'

/** Sessions of a host that nothing is known of; each login that it accepts adds one. */
const firstSlots = 2
/** Logins at a host that is away: somebody may be waiting when it comes back. */
const loginsWhileAway = 8
/** A host is away when so many sessions in a row did not come to a login. */
const awayAfter = 3
const firstAwayMs = 15_000
const longestAwayMs = 900_000
/** A host asks for less when so many of its accounts were told so, with no session in between that went well. */
const throttledAfter = 3
const firstThrottleMs = 60_000
const longestThrottleMs = 3_600_000
/** Of the sessions that were too many, so many are used: the users' own clients need room too. */
const headroom = 0.8
/** A learned limit grows by one each hour, and is forgotten after a week. */
const hourSeconds = 3_600
const weekSeconds = 7 * 86_400

/** No session came to a login: it is the host's trouble, and not the account's. */
const isUnreachable: ReadonlySet<BackendErrorKind> = new Set<BackendErrorKind>([
  'connect',
  'timeout',
  'closed',
  'protocol',
  'tls',
])

export interface Hold {
  readonly why: 'throttled' | 'away' | 'quiet'
  /** Milliseconds since 1970. */
  readonly until: number
}

export class BackendHost {
  readonly key: string
  readonly profile: BackendProfile
  readonly #clock: Clock
  readonly #quietHours: () => QuietHours
  readonly #keep: (host: BackendHost) => void
  #slots = firstSlots
  #running = 0
  #unreachable = 0
  #awayMs = firstAwayMs
  readonly #throttled = new Set<string>()
  #throttleMs = firstThrottleMs

  /** `keep` is called at the end of a session: something may have been learned. */
  constructor(
    key: string,
    profile: BackendProfile,
    clock: Clock,
    quietHours: () => QuietHours,
    keep: (host: BackendHost) => void,
  ) {
    this.#keep = keep
    this.key = key
    this.profile = profile
    this.#clock = clock
    this.#quietHours = quietHours
  }

  /** Why polls wait, and until when; undefined: they don't. Logins never wait for it. */
  get hold(): Hold | undefined {
    const now = this.#clock.now()
    const { heldUntil = 0, heldFor } = this.profile.learned
    const quiet = this.#quietHours().endOf(this.key, now)
    if (heldUntil * 1_000 > now && heldFor !== undefined && heldUntil * 1_000 > (quiet ?? 0))
      return { why: heldFor, until: heldUntil * 1_000 }
    return quiet === undefined ? undefined : { why: 'quiet', until: quiet }
  }

  /** When polls may begin, on the scale of `clock.monotonic()`. */
  get pollsFromMs(): number {
    const { hold } = this
    return hold === undefined ? -Infinity : this.#clock.monotonic() + hold.until - this.#clock.now()
  }

  get running(): number {
    return this.#running
  }

  /** Sessions that may run at the same time. */
  limit(isLogin: boolean): number {
    const learned = this.#learnedLimit()
    if (this.#unreachable > 0) return isLogin ? Math.min(loginsWhileAway, learned) : 1
    return isLogin ? learned : Math.min(this.#slots, learned)
  }

  #learnedLimit(): number {
    const { connections, connectionsAt } = this.profile.learned
    if (connections === undefined || connectionsAt === undefined) return Infinity
    const ageSeconds = this.#clock.now() / 1_000 - connectionsAt
    if (ageSeconds > weekSeconds) return Infinity
    return Math.max(1, Math.floor(connections * headroom) + Math.floor(Math.max(0, ageSeconds) / hourSeconds))
  }

  begun(): void {
    this.#running++
  }

  ended(): void {
    this.#running--
    this.#keep(this)
  }

  /** It accepted a login. */
  proven(): void {
    this.#slots++
    this.#unreachable = 0
    this.#awayMs = firstAwayMs
    this.#release('away')
  }

  /** A session of `account` went through. */
  done(): void {
    this.#throttled.clear()
    this.#throttleMs = firstThrottleMs
    this.#release('throttled')
  }

  /** A session of `account` went through, and the host said that it asks for too much. */
  slowed(account: string): void {
    this.#slots = Math.max(1, this.#slots >> 1)
    this.#askedForLess(account, undefined)
  }

  /** `isProven`: its login had been accepted. */
  failed(error: unknown, account: string, isProven: boolean): void {
    if (!(error instanceof BackendError)) return
    if (error.kind === 'throttled') this.#askedForLess(account, error.retryAfterMs)
    else if (!isProven && isUnreachable.has(error.kind)) this.#notReached()
    // Whatever it answers, it is there.
    else if (!isProven && error.serverText !== undefined) this.#unreachable = 0
  }

  #notReached(): void {
    this.#slots = firstSlots
    // Sessions that ran together failed together: that is one failure.
    if (++this.#unreachable < awayAfter || this.#isHeldFor('away')) return
    this.#holdFor('away', this.#awayMs * (0.75 + Math.random() / 2))
    this.#awayMs = Math.min(2 * this.#awayMs, longestAwayMs)
  }

  /** One account alone may be over a limit of its own. */
  #askedForLess(account: string, retryAfterMs: number | undefined): void {
    this.#throttled.add(account)
    if (this.#throttled.size < throttledAfter || this.#isHeldFor('throttled')) return
    this.#throttled.clear()
    this.#slots = firstSlots
    const { learned } = this.profile
    learned.connections = Math.max(1, Math.min(this.#running - 1, learned.connections ?? Infinity))
    learned.connectionsAt = Math.floor(this.#clock.now() / 1_000)
    this.#holdFor('throttled', retryAfterMs ?? this.#throttleMs)
    this.#throttleMs = Math.min(2 * this.#throttleMs, longestThrottleMs)
  }

  #isHeldFor(why: 'throttled' | 'away'): boolean {
    const { heldFor, heldUntil = 0 } = this.profile.learned
    return heldFor === why && heldUntil * 1_000 > this.#clock.now()
  }

  #holdFor(why: 'throttled' | 'away', ms: number): void {
    const { learned } = this.profile
    const until = Math.ceil((this.#clock.now() + ms) / 1_000)
    if (until <= (learned.heldUntil ?? 0) && learned.heldFor === 'throttled') return
    learned.heldUntil = until
    learned.heldFor = why
  }

  #release(why: 'throttled' | 'away'): void {
    const { learned } = this.profile
    if (learned.heldFor !== why) return
    delete learned.heldUntil
    delete learned.heldFor
  }
}
