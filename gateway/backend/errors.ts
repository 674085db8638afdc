import { RemoteError } from '#src/base/errors.ts'

/** Why a backend could not be used. The first group is what a reply said, the second what the connection did. */
export type BackendErrorKind =
  /** User or password refused. Never repeated by itself with the same password. */
  | 'auth'
  /**
   * The owner of the account has to do something at its provider first: allow the protocol, make a password for applications, consent.
   * Never repeated by itself with the same password.
   */
  | 'needs-consent'
  /** The maildrop is locked by another session. RFC 2449 §8.1.2 */
  | 'in-use'
  /** Logins come too quickly. RFC 2449 §8.1.1 */
  | 'login-delay'
  /** Too many connections, too much traffic: the backend asks for less. */
  | 'throttled'
  /** A failure that the backend itself calls passing. RFC 3206 §4, RFC 5530 §3 */
  | 'temporary'
  /** A failure that needs a person. RFC 3206 §4 */
  | 'permanent'
  /** The message, or the mailbox, is not there (any more). */
  | 'gone'
  /** The account has no room left at the backend. */
  | 'over-quota'
  /** The command is not known to the server. */
  | 'unsupported'
  /** No connection: name not found, refused, unreachable. */
  | 'connect'
  /** A deadline passed, or octets trickle. */
  | 'timeout'
  /** The backend closed, or the network broke. */
  | 'closed'
  /** Octets that are no POP3 reply. */
  | 'protocol'
  /** A line, a listing or a message is larger than allowed. */
  | 'limit'
  /** Protection that is required could not be had. */
  | 'tls'
  /** We stopped it ourselves. */
  | 'stopped'

const passing: ReadonlySet<BackendErrorKind> = new Set<BackendErrorKind>([
  'in-use',
  'login-delay',
  'throttled',
  'temporary',
  'connect',
  'timeout',
  'closed',
  'protocol',
  'stopped',
])

/** A backend's refusal or failure. `retryable` and `refusesLogin` follow from the kind. */
export class BackendError extends RemoteError {
  readonly kind: BackendErrorKind
  /** How long the backend asks to be left alone, where it said so. */
  readonly retryAfterMs: number | undefined

  constructor(
    kind: BackendErrorKind,
    message: string,
    options: ErrorOptions & { serverText?: string; retryAfterMs?: number } = {},
  ) {
    super(message, { ...options, retryable: passing.has(kind) })
    this.kind = kind
    this.retryAfterMs = options.retryAfterMs
  }

  /** The same credentials are refused again and again, and count against the account: nobody tries them by himself. */
  get refusesLogin(): boolean {
    return this.kind === 'auth' || this.kind === 'needs-consent'
  }
}
