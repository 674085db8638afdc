/**
 * One backend of one user, over time: when the next session is due, and how the last one went. A failure never deletes and
 * never disables, but for a refused password, which is not tried again by itself.
 */
import type { Clock } from '#src/base/clock.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { pollsAlone } from '../backend/credentials.ts'
import { BackendError } from '../backend/errors.ts'
import type { BackendProfile } from '../backend/profile.ts'
import { Setbacks } from '../sync/setbacks.ts'
import type { SyncResult } from '../sync/sync.ts'

const firstRetryMs = 2_000
const longestRetryMs = 900_000
/** Other changes of the same moment travel along. */
const promptMs = 500
/** Clocks differ: LOGIN-DELAY counts at the backend. */
const delayMarginMs = 1_000

/** Told what happens (`begun`, `proven`, `done`, `failed`, `abandoned`), it says when the next session is due. */
export class BackendLink {
  readonly setbacks = new Setbacks()
  backend: Backend
  readonly #profile: BackendProfile
  readonly #clock: Clock
  readonly #log: Log
  #loginMs = -Infinity
  /** Asked for by the backend in a refusal. */
  #pauseUntilMs = -Infinity
  #dueMs = Infinity
  #dueBeforeMs = Infinity
  #failures = 0
  /** The password was refused: no session before somebody logs in, or before the record has another one where it is from there. */
  stopped = false
  running = false

  constructor(backend: Backend, profile: BackendProfile, clock: Clock, log: Log) {
    this.backend = backend
    this.#profile = profile
    this.#clock = clock
    this.#log = log.child({
      backend: `${backend.protocol}://${backend.host}:${backend.port}`,
      mailbox: backend.mailbox,
    })
  }

  get log(): Log {
    return this.#log
  }

  /** When the next session may begin, by LOGIN-DELAY. GW-18 */
  get allowedMs(): number {
    const delayMs = (this.#profile.learned.loginDelaySeconds ?? 0) * 1_000
    return Math.max(this.#pauseUntilMs, delayMs === 0 ? -Infinity : this.#loginMs + delayMs + delayMarginMs)
  }

  /** When the next session begins; Infinity: not by itself. On the scale of `clock.now()`. */
  get dueMs(): number {
    return this.stopped || this.running ? Infinity : Math.max(this.#dueMs, this.allowedMs)
  }

  /** Something happened that the other side should see soon. */
  prompt(): void {
    this.#dueMs = Math.min(this.#dueMs, this.#clock.monotonic() + promptMs)
  }

  promptNow(): void {
    this.promptAt(this.#clock.monotonic())
  }

  promptAt(ms: number): void {
    this.#dueMs = Math.min(this.#dueMs, ms)
  }

  /** When the backend accepted a login last; -Infinity: not yet. */
  get loginMs(): number {
    return this.#loginMs
  }

  begun(): void {
    this.running = true
    this.#dueBeforeMs = this.#dueMs
    this.#dueMs = Infinity
  }

  /** The session was for a password that somebody tried: it says nothing about the one that polls. */
  abandoned(error: unknown): void {
    this.running = false
    this.#dueMs = Math.min(this.#dueMs, this.#dueBeforeMs)
    const reply = error instanceof BackendError ? error.serverText : undefined
    this.#log.log('notice', 'the backend did not accept a login', { reason: reasonOf(error), reply })
  }

  /** The backend accepted a login. */
  proven(): void {
    this.#loginMs = this.#clock.monotonic()
    this.stopped = false
  }

  done(result: SyncResult): void {
    this.running = false
    this.#failures = 0
    // A prompt that came meanwhile stands: what it was about may have been missed.
    this.#schedule()
    const { fetched, fetchedOctets, failed, expungedHere, pushedOut, deletedThere, listed } = result
    const changed = fetched + failed + expungedHere + pushedOut + deletedThere > 0
    const counts = { listed, fetched, octets: fetchedOctets, failed, expungedHere, pushedOut, deletedThere }
    this.#log.log(changed ? 'info' : 'debug', 'synchronised', counts)
  }

  #schedule(): void {
    const { intervalSeconds } = this.backend
    if (intervalSeconds > 0) this.#dueMs = Math.min(this.#dueMs, this.#clock.monotonic() + intervalSeconds * 1_000)
  }

  /** `stopping`: the gateway ended the session itself. */
  failed(error: unknown, stopping: boolean): void {
    this.running = false
    const now = this.#clock.monotonic()
    const backendError = error instanceof BackendError ? error : undefined
    if (stopping) return
    const fields = { kind: backendError?.kind ?? 'store', reason: reasonOf(error), reply: backendError?.serverText }
    // A token that is not there is looked for again: nobody is asked for that, and the provider only after somebody consented.
    const waitsForConsent = backendError?.kind === 'needs-consent' && this.backend.service?.type === 'token'
    if (backendError?.refusesLogin === true && !waitsForConsent) {
      this.stopped = true
      const remedy = pollsAlone(this.backend) ? 'its record has another one' : 'the next login'
      const what = backendError.kind === 'auth' ? 'the password' : 'logins until its owner allows them at the provider'
      this.#log.log('warning', `the backend refuses ${what}; no further attempt before ${remedy}`, fields)
      return
    }
    this.#failures++
    const backoffMs = Math.min(firstRetryMs * 2 ** (this.#failures - 1), longestRetryMs) * (0.75 + Math.random() / 2)
    // What needs a person is asked for again, but rarely.
    const waitMs =
      backendError?.retryable === false ? longestRetryMs : Math.max(backoffMs, backendError?.retryAfterMs ?? 0)
    this.#dueMs = now + waitMs
    if (backendError?.retryAfterMs !== undefined) this.#pauseUntilMs = now + backendError.retryAfterMs
    const retry = { ...fields, retrySeconds: Math.round(waitMs / 1_000) }
    this.#log.log('warning', outcomes[backendError?.kind ?? 'store'] ?? 'the backend session failed', retry)
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A line of its own for each way to fail. */
const outcomes: Readonly<Record<string, string>> = {
  'needs-consent': 'its owner has to consent to the access: msadm oauth consent',
  'in-use': 'the maildrop is in use by another session',
  'login-delay': 'the backend wants a longer pause between logins',
  throttled: 'the backend asks for fewer sessions or less traffic',
  temporary: 'the backend has a passing failure',
  permanent: 'the backend refuses, and says that it needs its administrator',
  'over-quota': 'the account has no room left at the backend',
  gone: 'the backend does not have the mailbox any more',
  unsupported: 'the backend does not know what is asked of it',
  connect: 'the backend can not be reached',
  timeout: 'the backend does not answer in time',
  closed: 'the backend closed the connection',
  protocol: 'the backend does not speak POP3',
  limit: 'the backend sends more than is accepted',
  tls: 'the connection to the backend can not be protected',
  stopped: 'a message from the backend could not be taken',
  store: 'the store can not take the mail now',
}
