/**
 * What has been learned of a backend host by using it. One per host and port, shared by all its accounts, in memory:
 * whoever wants it to outlive the process stores what `learned` holds and hands it to the constructor.
 */

export interface Learned {
  /** CAPA gets no answer and costs the connection. */
  capaHangs?: boolean
  /** Announces PIPELINING, but lost sessions with commands in flight. */
  pipeliningFails?: boolean
  /** DELE is refused unless the message was retrieved in the same session. */
  deleteNeedsRetrieve?: boolean
  /** The best protection a login had: later logins ask for no less. */
  protection?: 'tls' | 'unverified'
  /** LOGIN-DELAY as last announced, or as asked for in a refusal. */
  loginDelaySeconds?: number
}

export class BackendProfile {
  readonly learned: Learned
  #lostInFlight = 0

  constructor(learned: Learned = {}) {
    this.learned = learned
  }

  /** A session that pipelined was lost while messages were in flight. Twice in a row: the host gets one command at a time. */
  lostInFlight(): void {
    this.#lostInFlight++
    if (this.#lostInFlight >= 2) this.learned.pipeliningFails = true
  }

  deliveredInFlight(): void {
    this.#lostInFlight = 0
  }
}

/** The profiles of a process. */
export class BackendProfiles {
  readonly #profiles = new Map<string, BackendProfile>()

  of(host: string, port: number): BackendProfile {
    const key = `${host.toLowerCase()}:${port}`
    let profile = this.#profiles.get(key)
    if (profile === undefined) {
      profile = new BackendProfile()
      this.#profiles.set(key, profile)
    }
    return profile
  }
}
