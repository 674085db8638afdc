/**
 * Connections to the servers of a directory. Questions of Wherry's own go over one that all share; passwords of users are tried on others, one at a
 * time each, so that nothing is ever asked with a user's rights.
 *
 * A server that can't be reached, or does not answer, is left alone for ldap_connect_retry_pause, and the next one of the list is asked; when none is left,
 * what is asked fails at once until then.
 */
import { type Client, ResultCodeError } from 'ldapts'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { connectTo, type LdapConnection } from '../../config/ldap/connection.ts'
import type { DirectoryConnection, DirectoryServer } from '../../config/ldap/connection-settings.ts'

export interface PoolParts {
  readonly clock: Clock
  readonly log: Log
  /** Tries the list ldap_connect_retries times, with pauses between, instead of once: for programs that somebody waits for. LDAP-06 */
  readonly patient?: boolean
}

/** Logins whose passwords are tried at the same time. */
const maxBinding = 8
/** And those that wait for that; what comes on top fails at once. */
const maxWaiting = 200
/** Results of a bind that say that this is not the user's password. RFC 4511 §4.1.9, §4.2.2 */
const refusals: readonly number[] = [
  19, // constraintViolation: locked by the server's password policy
  32, // noSuchObject
  34, // invalidDNSyntax: a name that can't be one
  48, // inappropriateAuthentication: no password
  49, // invalidCredentials
  53, // unwillingToPerform: the account is locked
]

export class LdapPool {
  readonly #settings: DirectoryConnection
  readonly #parts: PoolParts
  readonly #downUntil = new Map<DirectoryServer, number>()
  #shared: Promise<LdapConnection> | undefined
  readonly #idle: LdapConnection[] = []
  #binding = 0
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(settings: DirectoryConnection, parts: PoolParts) {
    this.#settings = settings
    this.#parts = parts
  }

  /**
   * Asks one thing. When the connection breaks it is asked once more over another, unless it is a change, of which nobody knows whether it was made.
   * Throws the server's ResultCodeError, or StoreError unavailable.
   */
  async ask<T>(use: (client: Client) => Promise<T>, kind: 'question' | 'change' = 'question'): Promise<T> {
    const connection = await this.#sharedConnection()
    try {
      return await this.#watched(connection, use)
    } catch (error) {
      if (error instanceof ResultCodeError) throw error
      if (kind === 'change') throw unavailable('the directory did not say whether the change was made', error)
      const second = await this.#sharedConnection()
      return await this.#watched(second, use).catch((again: Error) => {
        throw again instanceof ResultCodeError ? again : unavailable('the directory did not answer', again)
      })
    }
  }

  /** Whether the password opens the entry, by a bind. Throws StoreError unavailable. RFC 4513 §5.1.2: never with an empty password. */
  async opens(dn: string, password: string): Promise<boolean> {
    if (password === '' || dn === '') return false
    if (this.#waiting.length >= maxWaiting) throw unavailable('too many logins at once', new Error('try again soon'))
    if (this.#binding >= maxBinding) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#binding++
    try {
      return await this.#tryBind(dn, password, true)
    } finally {
      this.#binding--
      this.#waiting.shift()?.()
    }
  }

  /** What is under way fails. */
  async close(): Promise<void> {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close()
    await this.#shared?.then(
      (connection) => connection.close(),
      () => undefined,
    )
  }

  async #tryBind(dn: string, password: string, again: boolean): Promise<boolean> {
    const connection = (again ? this.#takeIdle() : undefined) ?? (await this.#connect('as-nobody'))
    try {
      await this.#watched(connection, (client) => client.bind(dn, password))
    } catch (error) {
      if (error instanceof ResultCodeError && refusals.includes(error.code)) {
        this.#keep(connection)
        return false
      }
      connection.close()
      if (error instanceof ResultCodeError || !again)
        throw unavailable('the directory could not check a password', error)
      return this.#tryBind(dn, password, false)
    }
    this.#keep(connection)
    return true
  }

  /** Servers close what is idle, and all of it when they end. */
  #takeIdle(): LdapConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined || connection.isAlive) return connection
    }
  }

  #keep(connection: LdapConnection): void {
    if (this.#closed || !connection.isAlive) connection.close()
    else this.#idle.push(connection)
  }

  /** Closes the connection, and leaves its server alone, when it does not answer in time. */
  async #watched<T>(connection: LdapConnection, use: (client: Client) => Promise<T>): Promise<T> {
    const { clock } = this.#parts
    const begin = clock.monotonic()
    try {
      if (!connection.isAlive) throw new Error('the connection to the directory is gone')
      return await use(connection.client)
    } catch (error) {
      if (error instanceof ResultCodeError) throw error
      connection.close()
      if (clock.monotonic() - begin >= this.#settings.timeoutMs) this.#failed(connection.server, 'does not answer')
      throw error
    }
  }

  async #sharedConnection(): Promise<LdapConnection> {
    const current = this.#shared
    if (current !== undefined) {
      const connection = await current
      if (connection.isAlive) return connection
      if (this.#shared === current) this.#shared = undefined
    }
    const next = this.#shared ?? this.#connect('as-wherry')
    this.#shared = next
    next.catch(() => {
      if (this.#shared === next) this.#shared = undefined
    })
    return next
  }

  async #connect(bound: Parameters<typeof connectTo>[2]): Promise<LdapConnection> {
    const { clock, patient = false } = this.#parts
    const { servers, retries, retryPauseMs } = this.#settings
    for (let round = 1; ; round++) {
      let last: Error | undefined
      for (const server of servers) {
        if ((this.#downUntil.get(server) ?? 0) > clock.monotonic()) continue
        try {
          if (this.#closed) throw new Error('the service is ending')
          const connection = await connectTo(server, this.#settings, bound)
          this.#downUntil.delete(server)
          if (!this.#closed) return connection
          connection.close()
        } catch (error) {
          last = new Error(`${server.url}: ${reasonOf(error)}`, { cause: error })
          this.#failed(server, reasonOf(error))
        }
      }
      if (!patient || round >= retries || this.#closed)
        throw unavailable('no server of the directory can be asked', last ?? new Error('none could a moment ago'))
      await clock.sleep(retryPauseMs)
    }
  }

  #failed(server: DirectoryServer, reason: string): void {
    const { clock, log } = this.#parts
    this.#downUntil.set(server, clock.monotonic() + this.#settings.retryPauseMs)
    log.log('warning', 'a server of the directory is away', { server: server.url, reason })
  }
}

/** The server's words, without what could not stand in a log. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\p{C}+/gu, ' ').slice(0, 300)

const unavailable = (what: string, cause: unknown): StoreError =>
  cause instanceof StoreError ? cause : new StoreError('unavailable', `${what}: ${reasonOf(cause)}`, { cause })
