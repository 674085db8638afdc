/** What the master backend said about a user's passwords. docs/decisions/0084-logins-by-asking-the-backend.md */
import type { Clock } from '#src/base/clock.ts'
import { AuthError, type AuthErrorKind } from '#src/base/errors.ts'
import { BackendError, type BackendErrorKind } from '../backend/errors.ts'
import type { PasswordDigest } from './password.ts'

/** A password that the backend accepted so recently is not asked about again: clients open several connections at once. */
export const recentMs = 60_000

/** A session with a backend that waits for its turn, or runs. */
export interface BackendSession {
  /** The backend accepted the login. Rejects when it did not come to that. */
  readonly proven: Promise<void>
  /** It is over; rejects when it failed. */
  readonly done: Promise<void>
  /** Somebody waits for it: it goes before those that nobody waits for. */
  hurry(): void
}

/** A session of the master under way, which decides about one password. */
export interface Attempt {
  readonly digest: PasswordDigest
  isProven: boolean
  /** The password is good; rejects with AuthError. */
  readonly good: Promise<void>
  /** The session is over, well or not. */
  readonly over: Promise<void>
  hurry(): void
}

export class Verdicts {
  readonly #clock: Clock
  #accepted: { readonly digest: PasswordDigest; readonly atMs: number } | undefined
  #attempt: Attempt | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get attempt(): Attempt | undefined {
    return this.#attempt
  }

  /** Until when a password is accepted without asking, where the backend can't be asked before `allowedMs`; -Infinity: none is. */
  keptUntilMs(allowedMs: number): number {
    return this.#accepted === undefined ? -Infinity : Math.max(allowedMs, this.#accepted.atMs + recentMs)
  }

  /** No password was accepted, or this one was. */
  isOwn(digest: PasswordDigest): boolean {
    return this.#accepted === undefined || this.#accepted.digest.equals(digest)
  }

  /**
   * 'recent': accepted a moment ago; 'before': accepted, and the backend can't be asked now; undefined: ask. Throws AuthError login-delay
   * when another one was accepted and the backend can't be asked before `allowedMs`.
   */
  known(digest: PasswordDigest, allowedMs: number): 'recent' | 'before' | undefined {
    const accepted = this.#accepted
    if (accepted === undefined) return undefined
    const now = this.#clock.monotonic()
    if (!accepted.digest.equals(digest)) {
      if (now >= allowedMs) return undefined
      throw new AuthError('login-delay', 'the backend can not be asked about this password yet; try again later')
    }
    if (now - accepted.atMs < recentMs) return 'recent'
    return now < allowedMs ? 'before' : undefined
  }

  /** What has to be decided about another password first; undefined: nothing. Throws AuthError in-use while the maildrop is synchronised with another one. */
  ahead(digest: PasswordDigest): Promise<void> | undefined {
    const attempt = this.#attempt
    if (attempt === undefined || attempt.digest.equals(digest)) return undefined
    if (attempt.isProven) throw new AuthError('in-use', 'the mailbox is being synchronised; try again shortly')
    return attempt.good.catch(() => {})
  }

  /** `session` decides about a password. `onTakenBack`: the backend refuses now what it accepted before. */
  await(session: BackendSession, digest: PasswordDigest, onTakenBack: () => void): Attempt {
    const over = () => {
      if (this.#attempt === attempt) this.#attempt = undefined
    }
    const good = session.proven.then(
      () => {
        attempt.isProven = true
        this.#accepted = { digest, atMs: this.#clock.monotonic() }
      },
      (error: unknown) => {
        over()
        const known = this.#accepted?.digest.equals(digest) === true
        if (!known || !(error instanceof BackendError)) throw authError(error)
        if (error.kind === 'in-use' || error.kind === 'login-delay') return
        // A backend that takes the password back ends what was built on it.
        if (error.refusesLogin) {
          this.#accepted = undefined
          onTakenBack()
        }
        throw authError(error)
      },
    )
    good.catch(() => {})
    const attempt: Attempt = {
      digest,
      isProven: false,
      good,
      over: session.done.then(over, over),
      hurry: () => session.hurry(),
    }
    this.#attempt = attempt
    return attempt
  }
}

const authKinds: Readonly<Partial<Record<BackendErrorKind, AuthErrorKind>>> = {
  auth: 'bad-credentials',
  'needs-consent': 'bad-credentials',
  'in-use': 'in-use',
  'login-delay': 'login-delay',
}

/** What a login is told about a failure: the kind, and words that name no secret. */
export const authError = (error: unknown): AuthError => {
  const kind = (error instanceof BackendError ? authKinds[error.kind] : undefined) ?? 'unavailable'
  const texts: Readonly<Partial<Record<AuthErrorKind, string>>> = {
    'bad-credentials': 'the mail server refused user or password',
    'in-use': 'the mailbox is in use by another session',
    'login-delay': 'the mail server wants a longer pause between logins',
  }
  return new AuthError(kind, texts[kind] ?? 'the mail server can not be asked now', { cause: error })
}
