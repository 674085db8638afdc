/** Events between services, as the other rooms see them. Carried by mseventd in MPP; mail flows without them. */

/** Values of an event line: `name: key=value key=value`. Never a credential. */
export type EventFields = Readonly<Record<string, string | number>>

export interface MailEvent {
  /** What a subscriber asks for: `<user>`, `mbox:<user>`, `ms_sync:<user>`; 'ALL' subscribers get every event. */
  readonly topic: string
  /** Tag of the line, as msstat -f prints it: 'service start', 'conn open', 'login', 'mail new' … */
  readonly name: string
  readonly fields: EventFields
}

/** A client connection or a service, shown by msstat for as long as it is announced. */
export interface Presence {
  readonly service: 'imap' | 'pop3' | 'lmtp' | 'gw'
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
  update(changes: Partial<Presence>): void
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
  /** At most once; dropped while mseventd is away. */
  publish(event: MailEvent): void
  /** `onEvent` for each event; `onGap` after a reconnect, when events may have been missed and the store should be looked at. */
  subscribe(topics: readonly string[], onEvent: (event: MailEvent) => void, onGap?: () => void): () => void
  announce(presence: Presence): Announcement
  /** Everybody's announcements now. Throws RemoteError when mseventd is away. */
  presences(): Promise<readonly (Presence & { readonly host: string; readonly since: number })[]>
  /** One answer from the one process that serves `service`. Waits for a reconnect within the timeout. Throws RemoteError (retryable). */
  ask(service: string, request: Json, options: AskOptions): Promise<Json>
  /** Answers requests for `service` for as long as the returned function isn't called. */
  serve(service: string, handler: (request: Json, signal: AbortSignal) => Promise<Json>): () => void
  close(): Promise<void>
}
