/** The sessions of a user with his backends that are under way. */
import type { UserId } from '#src/base/ids.ts'
import type { Gateway } from './gateway.ts'
import type { BackendLink } from './link.ts'
import type { UserLinks } from './links.ts'
import type { Readers } from './readers.ts'
import { beginSession } from './session.ts'
import type { UserMigration } from './user-migration.ts'
import type { BackendSession } from './verdicts.ts'

export interface UserSessionsParts {
  readonly userId: UserId
  readonly gateway: Gateway
  readonly links: UserLinks
  readonly readers: Readers
  readonly migration: UserMigration
  /** Whether a client waits for the next poll. */
  readonly hasClients: () => boolean
  readonly onNews: (link: BackendLink) => void
  /** Behind each that came to its end; waited for. */
  readonly onDone: () => Promise<void>
  /** One is over, however it ended. */
  readonly onOver: () => void
}

export interface Wanted {
  /** Undefined: the gateway's own right. */
  readonly password: Buffer | undefined
  readonly priority: number
  /** With the password that polls. */
  readonly isOwn: boolean
  readonly stop?: AbortSignal
}

export class UserSessions {
  readonly #parts: UserSessionsParts
  readonly #running = new Set<Promise<void>>()
  /** That of the main backend which proves nobody, where there is one: a login goes before it. */
  #ownPoll: { readonly stop: AbortController; readonly over: Promise<void> } | undefined

  constructor(parts: UserSessionsParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#running.size
  }

  /** Resolves when those that are under way now are over. */
  async over(): Promise<void> {
    await Promise.all(this.#running)
  }

  begin(link: BackendLink, { password, priority, isOwn, stop }: Wanted): BackendSession {
    const { userId, gateway, links, readers, migration, hasClients, onNews, onDone, onOver } = this.#parts
    const pulling = migration.current
    const stops = [stop, pulling?.signal].filter((signal) => signal !== undefined)
    const session = beginSession({
      gateway,
      userId,
      link,
      others: links.all.flatMap((other) => (other === link ? [] : [other.backend])),
      password,
      priority,
      isOwn,
      migration: pulling,
      stop: AbortSignal.any(stops),
      readers,
      hasClients,
      onNews: () => onNews(link),
      onOver,
    })
    const done = session.done.then(onDone, (error: Error) => {
      if (!gateway.signal.aborted) migration.broke(pulling, error, !link.stopped)
      throw error
    })
    const settled = done.catch(() => {})
    this.#running.add(settled)
    settled.then(() => {
      this.#running.delete(settled)
      onOver()
    })
    return { ...session, done }
  }

  /** With a right of the gateway's own, which a login ends. */
  pollAlone(link: BackendLink, priority: number): void {
    const stop = new AbortController()
    const { done } = this.begin(link, { password: undefined, priority, isOwn: true, stop: stop.signal })
    const over = done
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        this.#ownPoll = undefined
        // The login that it gave way to may be refused: then nothing else says when the next one is due.
        if (stop.signal.aborted) link.prompt()
      })
    this.#ownPoll = { stop, over }
  }

  /** A login comes. */
  async giveWay(): Promise<void> {
    while (this.#ownPoll !== undefined) {
      this.#ownPoll.stop.abort()
      await this.#ownPoll.over
    }
  }
}
