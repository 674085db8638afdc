/**
 * What one pass has of an IMAP backend: imapflow for all that describes mailboxes and messages, and, only when many octets are to come, the bulk
 * reader on a connection of its own.
 */
import type { Log } from '#src/base/log.ts'
import { BackendError } from '../errors.ts'
import type { Limits } from '../types.ts'
import type { ImapConnection } from './connection.ts'
import { controlOf, type ImapFlow } from './control.ts'
import type { ImapLogin } from './open.ts'

export class ImapSession {
  readonly control: ImapFlow
  readonly #login: () => Promise<ImapLogin>
  readonly #signal: AbortSignal | undefined
  readonly #stop = () => this.close()
  #bulk: Promise<ImapConnection> | undefined
  #closed = false
  #bulkConnection: ImapConnection | undefined

  private constructor(control: ImapFlow, login: () => Promise<ImapLogin>, signal: AbortSignal | undefined) {
    this.control = control
    this.#login = login
    this.#signal = signal
    signal?.addEventListener('abort', this.#stop)
    if (signal?.aborted) this.close()
  }

  /** `login` is called once, and a second time if bodies are asked for. `signal` ends the session at any time. Throws BackendError. */
  static async open(
    login: () => Promise<ImapLogin>,
    log: Log,
    limits?: Limits,
    signal?: AbortSignal,
  ): Promise<ImapSession> {
    return new ImapSession(await controlOf(await login(), log, limits), login, signal)
  }

  /** The second connection, with no mailbox selected at first. Throws BackendError. */
  bulk(): Promise<ImapConnection> {
    if (this.#closed) return Promise.reject(new BackendError('stopped', 'the session was given up'))
    if (this.#bulk === undefined) {
      this.#bulk = this.#login().then(({ connection }) => {
        this.#bulkConnection = connection
        if (this.#closed) connection.close()
        return connection
      })
      this.#bulk.catch(() => {})
    }
    return this.#bulk
  }

  /** The server says that it answers slower, because too much is asked of it. */
  get isSlowed(): boolean {
    return (this.#bulkConnection?.slowed ?? 0) > 0
  }

  /** Ends both connections as the protocol has it. */
  async logout(): Promise<void> {
    const bulk = this.#bulk
    await Promise.allSettled([this.control.logout(), bulk?.then((connection) => connection.run({ words: ['LOGOUT'] }))])
    this.close()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#signal?.removeEventListener('abort', this.#stop)
    this.control.close()
    this.#bulk?.then(
      (connection) => connection.close(),
      () => {},
    )
  }
}
