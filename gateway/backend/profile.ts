/**
 * What has been learned of a backend host by using it. One per host and port, shared by all its accounts. It outlives the process
 * (`profile-files.ts`): plain values only, none of a user and none of a secret.
 */

export interface Learned {
  /** CAPA gets no answer and costs the connection. */
  capaHangs?: boolean
  /** CAPA behind the login costs the connection: what was said before it has to do. */
  capaAfterLoginFails?: boolean
  /** Announces PIPELINING, but lost sessions with commands in flight. Tried again now and then. */
  pipeliningFails?: boolean
  /** Ends a message whose last line has no end with a dot on that line: with commands in flight, two messages would be one. */
  gluesTerminator?: boolean
  /** DELE is refused unless the message was retrieved in the same session. */
  deleteNeedsRetrieve?: boolean
  /** The best protection a login had: later logins ask for no less. */
  protection?: 'tls' | 'unverified'
  /** LOGIN-DELAY as last announced. */
  loginDelaySeconds?: number
  /** Whether a POP3 server lists what it has given; undefined: not known yet. */
  afterRetrieve?: 'keeps' | 'removes'
  /** A POP3 server gives other unique-ids in every session: messages are told by their headers. */
  unstableUidls?: boolean
  /** When it refused a password that nobody has, seconds since 1970. */
  nonsenseRefusedAt?: number
  /** When nobody was found at this port, seconds since 1970. */
  absentAt?: number
  /** A POP3 server lists in another order in every session. */
  reorders?: boolean
  /** EXPIRE as last announced, in days. RFC 2449 §6.7 */
  expireDays?: number
  /** With more sessions than this at the same time the host asked for fewer, at `connectionsAt` (seconds since 1970). */
  connections?: number
  connectionsAt?: number
  /** Polls are held until then, seconds since 1970; for this kind of refusal. */
  heldUntil?: number
  heldFor?: 'throttled' | 'away'
}

const isTrue = (value: unknown): boolean => value === true
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
const oneOf =
  (...values: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'string' && values.includes(value)

const valid: { readonly [K in keyof Required<Learned>]: (value: unknown) => boolean } = {
  capaHangs: isTrue,
  capaAfterLoginFails: isTrue,
  pipeliningFails: isTrue,
  gluesTerminator: isTrue,
  deleteNeedsRetrieve: isTrue,
  protection: oneOf('tls', 'unverified'),
  loginDelaySeconds: isCount,
  afterRetrieve: oneOf('keeps', 'removes'),
  unstableUidls: isTrue,
  reorders: isTrue,
  nonsenseRefusedAt: isCount,
  absentAt: isCount,
  expireDays: isCount,
  connections: isCount,
  connectionsAt: isCount,
  heldUntil: isCount,
  heldFor: oneOf('throttled', 'away'),
}

/** Whether a file that says so can be believed. */
export const isLearned = (name: string, value: unknown): boolean =>
  Object.hasOwn(valid, name) && valid[name as keyof Learned](value)

export class BackendProfile {
  readonly learned: Learned
  #lostInFlight = 0
  #oneByOne = 0
  #lostAtCapa = 0
  #retrieveToDeleteNotBeforeMs = -Infinity

  constructor(learned: Learned = {}) {
    this.learned = learned
  }

  /** A session that pipelined was lost while messages were in flight. Twice in a row: the host gets one command at a time. */
  lostInFlight(): void {
    this.#lostInFlight++
    if (this.#lostInFlight < 2) return
    this.learned.pipeliningFails = true
    this.#oneByOne = 0
  }

  deliveredInFlight(): void {
    this.#lostInFlight = 0
  }

  /** So many sessions later the host gets several commands at once again; losing one of those sessions ends it. */
  deliveredOneByOne(): void {
    if (this.learned.pipeliningFails !== true || ++this.#oneByOne < 100) return
    delete this.learned.pipeliningFails
    this.#lostInFlight = 1
  }

  /** A connection was closed at CAPA behind the login. One may break anywhere: it takes two in a row. */
  lostAtCapaAfterLogin(): void {
    if (++this.#lostAtCapa >= 2) this.learned.capaAfterLoginFails = true
  }

  answeredCapaAfterLogin(): void {
    this.#lostAtCapa = 0
  }

  /** Whether a refused DELE may be repeated behind a RETR, which costs the message's octets. */
  mayTryRetrieveToDelete(nowMs: number): boolean {
    return nowMs >= this.#retrieveToDeleteNotBeforeMs
  }

  /** Where it did not help, it is not tried for a day. */
  triedRetrieveToDelete(helped: boolean, nowMs: number): void {
    if (helped) this.learned.deleteNeedsRetrieve = true
    else {
      delete this.learned.deleteNeedsRetrieve
      this.#retrieveToDeleteNotBeforeMs = nowMs + 86_400_000
    }
  }
}

/** The profiles of a process. */
export class BackendProfiles {
  readonly #profiles = new Map<string, BackendProfile>()

  of(host: string, port: number): BackendProfile {
    const key = hostKey(host, port)
    let profile = this.#profiles.get(key)
    if (profile === undefined) {
      profile = new BackendProfile()
      this.#profiles.set(key, profile)
    }
    return profile
  }

  /** What was known before. */
  put(key: string, profile: BackendProfile): void {
    this.#profiles.set(key, profile)
  }
}

/** Names a host and port. */
export const hostKey = (host: string, port: number): string => `${host.toLowerCase()}:${port}`
