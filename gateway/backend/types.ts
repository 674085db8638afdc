/** A POP3 backend as the sync sees it, whatever carries it out. Every failure is a `BackendError`. */

import type { Protection } from './choose-login.ts'

/** Where the octets of one message go. A promise holds the backend back until it resolves. */
export interface BodySink {
  write(chunk: Buffer): void | Promise<void>
  /** The message is complete. */
  end(): void | Promise<void>
  /** The rest will not come. */
  abort(reason: Error): void
}

/** What the server said it can do. RFC 2449 §6 */
export interface Capabilities {
  /** The server answered CAPA. */
  readonly known: boolean
  has(name: string): boolean
  /** SASL, upper case. RFC 5034 §3 */
  readonly mechanisms: ReadonlySet<string>
  /** LOGIN-DELAY; 0 where none is announced. */
  readonly loginDelaySeconds: number
  /** EXPIRE in days; undefined for NEVER or no statement. 0: retrieving may delete. RFC 2449 §6.7 */
  readonly expireDays: number | undefined
}

export interface Listed {
  /** Message number in this session. */
  readonly number: number
  /** Octets in latin1; empty when the server sent none. */
  readonly uidl: string
}

/** A maildrop that is open: in TRANSACTION state, and proven by a STAT. RFC 1939 §5 */
export interface PopClient {
  readonly capabilities: Capabilities
  readonly protection: Protection
  /** From STAT right after the login; the octets are only a hint. */
  readonly count: number
  readonly octets: number
  /** Messages of this session that had another size than the server said when it began to send them. */
  readonly differing: number
  /**
   * In the server's order. Undefined when the server does not know UIDL and does not announce it; any other refusal is
   * 'temporary'. `complete`: it agrees with STAT.
   */
  uidl(): Promise<{ readonly listed: readonly Listed[]; readonly complete: boolean } | undefined>
  /** Announced octets by message number; only a hint. */
  list(): Promise<ReadonlyMap<number, number>>
  /** The headers, and `lines` lines of the bodies, of each at most the first 64 KiB, in this order; as `retrieve` for the rest. */
  top(
    numbers: readonly number[],
    lines: number,
    each: (number: number, octets: Buffer) => void,
    refused: (number: number, error: BackendError) => void,
  ): Promise<void>
  /**
   * Retrieves in this order, many at a time where the server allows. `open` is called when a message begins to arrive,
   * `refused` for each that the server would not give. Resolves when all are through; rejects when the session is lost. `by` TOP: with more
   * lines than a message has; some servers give less.
   */
  retrieve(
    numbers: readonly number[],
    open: (number: number) => BodySink,
    refused: (number: number, error: BackendError) => void,
    by?: 'RETR' | 'TOP',
  ): Promise<void>
  /** Marks for deletion; the numbers that the server refused, with its reason. Nothing is deleted before `quit`. */
  remove(numbers: readonly number[]): Promise<ReadonlyMap<number, BackendError>>
  /** Resolves when the server confirmed: only then are deletions done. RFC 1939 §6 */
  quit(): Promise<void>
  /** Ends the connection at once; marked deletions are forgotten by the server. */
  close(): void
}

import type { BackendError } from './errors.ts'

/** How long to wait, and how much to accept. */
export interface Limits {
  readonly connectMs: number
  /** First octets of a reply; also the greeting. */
  readonly replyMs: number
  /** CAPA alone: some servers never answer it. */
  readonly capaMs: number
  /** In each such span `progressOctets` must arrive, or a reply be completed. */
  readonly progressMs: number
  readonly progressOctets: number
  readonly lineOctets: number
  readonly listingOctets: number
  readonly messageOctets: number
}

export const defaultLimits: Limits = {
  connectMs: 30_000,
  replyMs: 60_000,
  capaMs: 15_000,
  progressMs: 60_000,
  progressOctets: 1_024,
  lineOctets: 65_536,
  listingOctets: 32 * 1_048_576,
  messageOctets: 1_024 * 1_048_576,
}
