/** Backends that tell by themselves when something changed there, as long as a client of the user is here: what is new is here within a second. */
import { BackendError } from '../backend/errors.ts'
import { watchBackend } from '../backend/imap/watch.ts'
import { openImapLogin } from '../backend/open-backend.ts'
import type { Gateway } from './gateway.ts'
import type { BackendLink } from './link.ts'

const firstPauseMs = 15_000
const longestPauseMs = 1_800_000
/** Connections of all users that only wait. */
const mostWatches = 2_000

let watching = 0

/** Of one user. `onChange`: something changed at the backend. `passwordOf`: a copy, for one login. */
export class Watches {
  readonly #gateway: Gateway
  readonly #onChange: (link: BackendLink) => void
  readonly #passwordOf: (link: BackendLink) => Buffer | undefined
  readonly #running = new Map<BackendLink, AbortController>()

  constructor(
    gateway: Gateway,
    onChange: (link: BackendLink) => void,
    passwordOf: (link: BackendLink) => Buffer | undefined,
  ) {
    this.#gateway = gateway
    this.#onChange = onChange
    this.#passwordOf = passwordOf
  }

  /** Watches these and no others. */
  keep(links: readonly BackendLink[]): void {
    for (const [link, stop] of this.#running)
      if (!links.includes(link)) {
        this.#running.delete(link)
        stop.abort()
      }
    for (const link of links) {
      // Somebody has to have been let in there before.
      if (this.#running.has(link) || !isImap(link) || link.stopped || link.loginMs === -Infinity) continue
      const stop = new AbortController()
      this.#running.set(link, stop)
      void this.#watch(link, AbortSignal.any([stop.signal, this.#gateway.signal]))
    }
  }

  async #watch(link: BackendLink, signal: AbortSignal): Promise<void> {
    const { clock } = this.#gateway
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const began = clock.monotonic()
      const error = await this.#once(link, signal)
      if (signal.aborted) return
      link.log.log('debug', 'the backend is polled: it does not tell of changes', { reason: error.message })
      // It can't, or the password is not good any more, which polling finds out.
      if (error.kind === 'unsupported' || error.kind === 'auth' || error.kind === 'needs-consent') return
      if (clock.monotonic() - began > longestPauseMs) pauseMs = firstPauseMs
      // What changed meanwhile was not told.
      this.#onChange(link)
      await clock.sleep(pauseMs * (0.75 + Math.random() / 2), signal).catch(() => {})
    }
  }

  /** One connection, until it ends: answers why. */
  async #once(link: BackendLink, signal: AbortSignal): Promise<BackendError> {
    const { backend, host, log } = link
    if (watching >= mostWatches || host.running + 1 >= host.limit(true) || host.hold !== undefined)
      return new BackendError('throttled', 'there are as many connections as there may be')
    const password = this.#passwordOf(link)
    watching += 1
    host.begun()
    try {
      const login = await openImapLogin(this.#gateway.access, backend, password, log, signal)
      try {
        return await watchBackend(login, () => this.#onChange(link))
      } finally {
        login.connection.close()
      }
    } catch (error) {
      return error instanceof BackendError ? error : new BackendError('stopped', 'watching ended', { cause: error })
    } finally {
      password?.fill(0)
      host.ended()
      watching -= 1
    }
  }
}

const isImap = ({ backend: { protocol } }: BackendLink): boolean => protocol === 'imap' || protocol === 'imaps'
