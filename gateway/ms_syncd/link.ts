/**
 * One backend of one user, over time: when the next session is due, and how the last one went. A failure never deletes and
 * never disables, but for a refused password, which is not tried again by itself.
 */
import type { Clock } from '#src/base/clock.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { pollsAlone } from '../backend/credentials.ts'
import { BackendError } from '../backend/errors.ts'
import { Setbacks } from '../sync/setbacks.ts'
import type { SyncResult } from '../sync/sync.ts'
import type { BackendHost } from './host.ts'
import type { Progress } from './progress.ts'
import { heldText, type LinkStatus, linkState, type Outcome, outcomeText } from './status.ts'

const firstRetryMs = 2_000
const longestRetryMs = 900_000
/** Other changes of the same moment travel along. */
const promptMs = 500
/** Clocks differ: LOGIN-DELAY counts at the backend. */
const delayMarginMs = 1_000
/** A backend that said that too much is asked of it is left alone for so long, whatever a client does. */
const slowedMs = 60_000

export interface Passes {
  /** Sessions that came to their end. */
  readonly whole: number
  /** Of the last one of them: messages there, what it did not get, and mailboxes that it could not open. */
  readonly listed: number
  readonly missing: number
  /** Announced ones that are missing there, which is not believed yet. */
  readonly toCome: number
  readonly leftOut: readonly string[]
}

export const nothingPassed: Passes = { whole: 0, listed: 0, missing: 0, toCome: 0, leftOut: [] }

/** Told what happens (`begun`, `started`, `proven`, then `done`, `failed`, `abandoned` or `heldBack`), it says when the next session is due. */
export class BackendLink {
  readonly setbacks = new Setbacks()
  readonly host: BackendHost
  backend: Backend
  readonly #account: string
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
  /** Of the session that waits or runs; undefined: it was not due, but asked for. */
  #wasDueMs: number | undefined
  /** From when the last session was due to its begin, ms. */
  #lateMs: number | undefined
  #phase: 'resting' | 'queued' | 'running' = 'resting'
  #isProven = false
  /** Of the session that runs, and when it began. */
  #progress: Progress | undefined
  #startedAt: number | undefined
  #outcome: Outcome | undefined
  #doneAt: number | undefined
  /** Missing at the backend, and kept here. */
  #held = 0
  passes = nothingPassed
  #totals = { sessions: 0, listed: 0, fetched: 0, octets: 0 }

  constructor(backend: Backend, userId: string, host: BackendHost, clock: Clock, log: Log) {
    this.backend = backend
    this.host = host
    this.#account = `${userId} ${backend.user}`
    this.#clock = clock
    this.#log = log.child({ backend: this.#url, mailbox: backend.mailbox })
  }

  get #url(): string {
    const { protocol, host, port } = this.backend
    return `${protocol}://${host}:${port}`
  }

  get log(): Log {
    return this.#log
  }

  /** When the next session may begin, by LOGIN-DELAY and by what the backend asked for. GW-18 */
  get allowedMs(): number {
    const delayMs = (this.host.profile.learned.loginDelaySeconds ?? 0) * 1_000
    return Math.max(this.#pauseUntilMs, delayMs === 0 ? -Infinity : this.#loginMs + delayMs + delayMarginMs)
  }

  /** When the next session begins by itself; Infinity: it doesn't. On the scale of `clock.monotonic()`, as all times here. */
  get dueMs(): number {
    if (this.stopped || this.#phase !== 'resting') return Infinity
    return Math.max(this.#dueMs, this.allowedMs, this.host.pollsFromMs)
  }

  /** The last session did not come to its end. */
  get isFailing(): boolean {
    return this.#outcome !== undefined
  }

  /** Since ms_syncd was started, without the session that runs. */
  get taken(): { readonly messages: number; readonly octets: number } {
    return { messages: this.#totals.fetched, octets: this.#totals.octets }
  }

  /** Something happened that the other side should see soon. */
  prompt(): void {
    this.promptAt(this.#clock.monotonic() + promptMs)
  }

  promptNow(): void {
    this.promptAt(this.#clock.monotonic())
  }

  promptAt(ms: number): void {
    this.#dueMs = Math.min(this.#dueMs, ms)
  }

  /** Not before. */
  putOff(ms: number): void {
    this.#dueMs = Math.max(this.#dueMs, ms)
  }

  /** When the backend accepted a login last; -Infinity: not yet. */
  get loginMs(): number {
    return this.#loginMs
  }

  /** A session waits for its turn. */
  begun(): void {
    const { dueMs } = this
    this.#wasDueMs = dueMs <= this.#clock.monotonic() ? dueMs : undefined
    this.#phase = 'queued'
    this.#dueBeforeMs = this.#dueMs
    this.#dueMs = Infinity
  }

  /** It runs. */
  started(progress: Progress): void {
    this.#phase = 'running'
    this.#progress = progress
    this.#startedAt = this.#clock.now()
    this.#lateMs = this.#wasDueMs === undefined ? undefined : Math.round(this.#clock.monotonic() - this.#wasDueMs)
    this.#isProven = false
    this.host.begun()
  }

  /** Its turn came, and it is not to run now. */
  heldBack(): void {
    this.#phase = 'resting'
    this.#dueMs = Math.min(this.#dueMs, this.#dueBeforeMs)
  }

  /** The backend accepted a login. */
  proven(): void {
    this.#loginMs = this.#clock.monotonic()
    this.#isProven = true
    this.stopped = false
    this.host.proven()
  }

  /** `jitter`: part of the interval by which the next session may come sooner. */
  done(result: SyncResult, jitter: number): void {
    if (result.slowed) this.host.slowed(this.#account)
    else this.host.done()
    this.#end()
    if (result.slowed) this.#pauseUntilMs = this.#clock.monotonic() + slowedMs
    this.#failures = 0
    this.#outcome = undefined
    // A prompt that came meanwhile stands: what it was about may have been missed.
    this.#schedule(jitter)
    const {
      fetched,
      fetchedOctets,
      failed,
      expungedHere,
      pushedOut,
      deletedThere,
      listed,
      toCome = 0,
      leftOut = [],
    } = result
    this.#doneAt = this.#clock.now()
    this.#held = result.held
    this.passes = { whole: this.passes.whole + 1, listed, missing: failed, toCome, leftOut }
    this.#totals = {
      ...this.#totals,
      sessions: this.#totals.sessions + 1,
      listed,
    }
    const changed = fetched + failed + expungedHere + pushedOut + deletedThere > 0
    const counts = { listed, fetched, octets: fetchedOctets, failed, expungedHere, pushedOut, deletedThere }
    this.#log.log(changed ? 'info' : 'debug', 'synchronised', counts)
  }

  /** What the session took counts, however it ended. */
  #end(): void {
    const { messages = 0, octets = 0 } = this.#progress?.taken ?? {}
    const { fetched, octets: before } = this.#totals
    this.#totals = { ...this.#totals, fetched: fetched + messages, octets: before + octets }
    this.#progress = undefined
    if (this.#phase === 'running') this.host.ended()
    this.#phase = 'resting'
  }

  #schedule(jitter: number): void {
    const { intervalSeconds } = this.backend
    if (intervalSeconds > 0)
      this.promptAt(this.#clock.monotonic() + intervalSeconds * 1_000 * (1 - jitter * Math.random()))
  }

  /** The session was for a password that somebody tried: it says nothing about the one that polls. */
  abandoned(error: unknown): void {
    this.host.failed(error, this.#account, this.#isProven)
    this.#end()
    this.#dueMs = Math.min(this.#dueMs, this.#dueBeforeMs)
    const reply = error instanceof BackendError ? error.serverText : undefined
    this.#log.log('notice', 'the backend did not accept a login', { reason: reasonOf(error), reply })
  }

  /** `stopping`: the gateway ended the session itself. */
  failed(error: unknown, stopping: boolean): void {
    if (!stopping) this.host.failed(error, this.#account, this.#isProven)
    this.#end()
    const now = this.#clock.monotonic()
    const backendError = error instanceof BackendError ? error : undefined
    if (stopping) return
    const kind = backendError?.kind ?? 'store'
    const fields = { kind, reason: reasonOf(error), reply: backendError?.serverText }
    this.#outcome = kind
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
    this.#log.log('warning', outcomeText(kind), retry)
  }

  /** For whoever looks; `isPolled`: sessions begin by themselves, and `isMine`: in this process. */
  status(isPolled: boolean, isMine: boolean): LinkStatus {
    const [now, monotonic] = [this.#clock.now(), this.#clock.monotonic()]
    const toWall = (ms: number) => Math.round(now + ms - monotonic)
    const { dueMs, allowedMs } = this
    const held = this.host.hold
    const isHeld = held !== undefined && this.host.pollsFromMs >= dueMs
    const isPaused = this.#pauseUntilMs > monotonic
    const outcome = this.#outcome ?? (isPaused ? 'throttled' : undefined)
    const state = linkState({
      phase: this.#phase,
      stopped: this.stopped,
      outcome,
      isPolled: isPolled && dueMs !== Infinity,
      isMine,
      isPaused,
      isDelayed: allowedMs > monotonic && allowedMs >= dueMs,
      held: isHeld ? held.why : undefined,
    })
    const { messages = 0, octets = 0 } = this.#progress?.taken ?? {}
    const { sessions, listed } = this.#totals
    const left = this.#progress?.left
    return {
      backend: this.#url,
      mailbox: this.backend.mailbox,
      state,
      ...(outcome !== undefined
        ? { reason: outcomeText(outcome) }
        : this.#held > 0
          ? { reason: heldText(this.#held) }
          : {}),
      ...(this.#held > 0 ? { held: this.#held } : {}),
      ...(this.#doneAt === undefined ? {} : { last: this.#doneAt }),
      ...(isPolled && isMine && dueMs !== Infinity ? { next: toWall(Math.max(dueMs, monotonic)) } : {}),
      ...(this.#lateMs === undefined ? {} : { late: this.#lateMs }),
      ...(this.#phase === 'running' && this.#startedAt !== undefined ? { since: this.#startedAt } : {}),
      ...(left === undefined || left.messages === 0 ? {} : { left: left.messages }),
      ...(left?.ms === undefined || left.messages === 0 ? {} : { eta: Math.round(now + left.ms) }),
      failures: this.#failures,
      sessions,
      listed,
      fetched: this.#totals.fetched + messages,
      octets: this.#totals.octets + octets,
    }
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
