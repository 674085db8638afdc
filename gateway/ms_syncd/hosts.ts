/** The backend hosts that this process deals with. */
import type { Clock } from '#src/base/clock.ts'
import { type BackendProfiles, hostKey } from '../backend/profile.ts'
import { BackendHost } from './host.ts'
import type { QuietHours } from './quiet-hours.ts'

export class Hosts implements Iterable<BackendHost> {
  readonly #profiles: BackendProfiles
  readonly #clock: Clock
  readonly #quietHours: () => QuietHours
  readonly #keep: (host: BackendHost) => void
  readonly #hosts = new Map<string, BackendHost>()

  /** `keep` is called when something may have been learned. */
  constructor(
    profiles: BackendProfiles,
    clock: Clock,
    quietHours: () => QuietHours,
    keep: (host: BackendHost) => void,
  ) {
    this.#keep = keep
    this.#profiles = profiles
    this.#clock = clock
    this.#quietHours = quietHours
  }

  of(host: string, port: number): BackendHost {
    const key = hostKey(host, port)
    let known = this.#hosts.get(key)
    if (known === undefined) {
      known = new BackendHost(key, this.#profiles.of(host, port), this.#clock, this.#quietHours, this.#keep)
      this.#hosts.set(key, known)
    }
    return known
  }

  [Symbol.iterator](): Iterator<BackendHost> {
    return this.#hosts.values()
  }
}
