/** Events between services, as the other rooms see them. Carried by mseventd in MPP; mail flows without them. */

/** Values of an event line: `name: key=value key=value`. Never a credential. */
export type EventFields = Readonly<Record<string, string | number>>

export interface MailEvent {
  /** What a subscriber asks for: `<user>`, `mbox:<user>`, `ms_sync:<user>`, `service:<service>`. */
  readonly topic: string
  /** Tag of the line, as msstat -f prints it: 'service start', 'conn open', 'login', 'mail new' … */
  readonly name: string
  readonly fields: EventFields
}

/** A client connection or a service, shown by msstat for as long as it is announced. */
export interface Presence {
  readonly service: 'imap' | 'pop3' | 'lmtp' | 'sieve' | 'gw'
  /** Absent for a service itself. */
  readonly sessionId?: string
  /** Empty before authentication. */
  readonly user?: string
  readonly clientAddress?: string
  readonly activity?: string
  readonly mailbox?: string
}

/** A presence that this process keeps up; announced again after every reconnect, withdrawn by the hub when the process dies. */
export interface Announcement {
  /** A value of undefined takes one back: no mailbox is selected any more. */
  update(changes: { readonly [K in keyof Presence]?: Presence[K] | undefined }): void
  withdraw(): void
}

/** JSON that travels in a request or an answer. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface AskOptions {
  /** The request carries a credential: it goes only over a protected channel (Unix socket or TLS), else is refused here. */
  readonly secret?: boolean
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface EventBus extends AsyncDisposable {
  readonly connected: boolean
  /** At most once; dropped while mseventd is away. Reaches other connections, not this one's own subscribers. Adds `time_stamp`. */
  publish(event: MailEvent): void
  /**
   * `onEvent` for each event that another process publishes. `onGap` when the subscription comes into force, first and after
   * each reconnect: events may have been missed before, the store should be looked at. Both are called from the event loop
   * and must not block. Topic 'ALL' gets every event, 'ms_sync:' those of every user.
   */
  subscribe(topics: readonly string[], onEvent: (event: MailEvent) => void, onGap?: () => void): () => void
  /**
   * The hub publishes 'service start', 'service back' and 'service stop', 'conn open', 'login' (when `user` is set), 'logout' and 'conn close'
   * from what is announced; nobody else needs to.
   */
  announce(presence: Presence): Announcement
  /** Announcements now: everybody's, those of one user's connections, or (null) those of services. Throws RemoteError when mseventd is away. */
  presences(user?: string | null): Promise<readonly (Presence & { readonly host: string; readonly since: number })[]>
  /**
   * One answer from the one process that serves `service`. Waits for a reconnect within the timeout, and for a service that is
   * being restarted (3 s). Sent once more when the connection breaks before the answer: only what may be repeated may be asked.
   * Throws RemoteError, retryable or not as the serving process says; with the signal's reason when aborted.
   */
  ask(service: string, request: Json, options: AskOptions): Promise<Json>
  /**
   * Answers requests for `service` for as long as the returned function isn't called. A RemoteError of the handler reaches the
   * asker as it is, any other error as a fixed text. The signal is aborted when the asker is gone. Throws RemoteError when the
   * service takes credentials ('ms_sync') and the channel to mseventd is not protected.
   */
  serve(service: string, handler: (request: Json, signal: AbortSignal) => Promise<Json>): () => void
  close(): Promise<void>
}
