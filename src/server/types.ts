/** What a protocol daemon is given by the server room: connections, and a life to live as a process. */

import type { Channel } from '../auth/sasl/mechanism.ts'
import type { Clock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import type { EventBus } from '../events/types.ts'

/** One client's connection. Limits, timeouts, TLS and back-pressure are handled behind it. */
export interface ClientConnection {
  /** Unique in this process and, with the host and process id in it, beyond: also the session_id of events. */
  readonly id: string
  readonly remoteAddress: string
  readonly localAddress: string
  /** It came by a Unix socket: whoever may open that is on this machine. */
  readonly isLocal: boolean
  /** The TLS that is active; undefined: none is. */
  readonly channel: Channel | undefined
  /** STARTTLS/STLS can be offered: a certificate is configured and TLS is not active yet. */
  readonly canUpgrade: boolean
  /** Octets pass compressed both ways. */
  readonly isCompressed: boolean
  /** Aborted when the connection is gone or the daemon stops at once. */
  readonly signal: AbortSignal
  /**
   * Next octets; undefined when the client closed or is gone. Rejects with `ConnectionTimeout` after the idle limit, the
   * connection staying open for a last word. One at a time.
   */
  read(): Promise<Buffer | undefined>
  /** Queues octets; a string stands for latin1 octets. A buffer must not be changed afterwards. Nothing when the client is gone. */
  write(octets: Uint8Array | string): void
  /**
   * Resolves when less than the high-water mark is queued: to be awaited between the pieces of a long reply. Rejects with
   * `ConnectionLost` when the client is gone, or was cut because it did not read (max_net_buffer, IMAP-13).
   */
  drain(): Promise<void>
  /** Limit on the wait for the client's next octets. */
  setIdleTimeout(ms: number): void
  /** The client logged in: ends the limits on connections that have not (login time, connections per address). `here`: whose mail it works on, unless that is at another server. */
  authenticated(here?: UserId): void
  /** The client is nobody again: the login time begins anew. It keeps its place among those who have logged in. */
  unauthenticated(): void
  /**
   * Runs the TLS handshake. Octets that were received but not read yet make it fail and close (command injection, RFC 9051 §11.1):
   * the caller must have consumed its input exactly up to the command. Call it right behind the `write` of the positive
   * reply, without an `await` between them: it sends that reply, and what arrives from then on belongs to the handshake.
   */
  upgrade(): Promise<void>
  /**
   * From here on octets pass compressed, both ways: what was written before leaves in the clear, what was not read yet counts as
   * compressed. Call it right behind the `write` of the positive reply. A client whose octets are no DEFLATE is cut. RFC 4978
   */
  compress(): Promise<void>
  /** The other way round; nothing when octets are not compressed. Cuts a client that sent more before the reply. RFC 8437 §4.1 */
  uncompress(): Promise<void>
  /** Flushes what is queued, then closes. */
  close(): Promise<void>
  /** The session is to end: say goodbye (BYE) at the next opportunity. The reason is an Error that says why. */
  readonly stopping: AbortSignal
}

/** The client did not send anything for the idle limit. */
export class ConnectionTimeout extends Error {
  override readonly name = 'ConnectionTimeout'
}

/** The client is gone or was cut. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** A place where clients are taken, with the port that the system chose for port 0. */
export interface ListenAddress {
  /** Scheme of the listener's options: 'imap', 'imaps', 'pop3', 'pop3s', 'msevent' … */
  readonly service: string
  /** Host as configured ('' is every interface) and port, or the path of a Unix socket. */
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string }
}

/** What every daemon process has. */
export interface Runtime {
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  readonly events: EventBus
  /** This is the process that announces the service, and the only one that opens Unix sockets: workers share ports, not paths. */
  readonly firstWorker: boolean
  /** Other workers listen at the same ports. */
  readonly sharedPorts: boolean
  /** It takes the place of a worker that died: the others, if any, have the ports open. */
  readonly replacement?: boolean
}

export interface RunningDaemon {
  /** Told to whoever supervises the daemon once it is ready. */
  readonly addresses?: readonly ListenAddress[]
  /** Stops accepting, lets sessions say goodbye, resolves when all are gone or `graceMs` passed. */
  stop(graceMs: number): Promise<void>
  /**
   * New configuration, read at SIGHUP. Answers the names of changed options that need a restart beyond those that the
   * table of options marks so. Throws without any effect when the new values can't be used.
   */
  reload(config: Config): Promise<readonly string[]>
}

/** A service: one file `main.ts` in the daemon's room exports it and hands it to `runDaemon`. */
export interface Daemon {
  readonly name: 'imapd' | 'pop3d' | 'lmtpd' | 'sieved' | 'mseventd' | 'msadmind' | 'ms_syncd'
  /** Whether a worker process per core shares the port (thread_pool_min/max, IMAP-17). */
  readonly workers: 'one' | 'per-core'
  start(runtime: Runtime): Promise<RunningDaemon>
}
