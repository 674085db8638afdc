/**
 * The families of failure. Libraries throw these; each daemon's `replies.ts` turns a kind into its own wire reply,
 * and anything that is none of them is a defect of ours (fixed text and an incident id to the client, the cause to the log).
 */

/** A client's octets do not follow the grammar: IMAP BAD, POP3 -ERR, LMTP 500. `rule` names the grammar rule. */
export class SyntaxFault extends Error {
  override readonly name = 'SyntaxFault'
  readonly rule: string | undefined
  constructor(message: string, rule?: string) {
    super(message)
    this.rule = rule
  }
}

export type StoreErrorKind =
  | 'not-found'
  | 'already-exists'
  | 'over-quota'
  | 'in-use'
  | 'expunged'
  | 'too-big'
  | 'no-permission'
  | 'limit'
  | 'invalid'
  /** A message or file is damaged; only that message fails. */
  | 'damaged'
  /** The octets of a message are at another server, which doesn't give them now: try again later. */
  | 'away'
  /** Disk full, I/O error, read-only file system: try again later. */
  | 'unavailable'

/** The store could not do what was asked. Nothing was changed. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly kind: StoreErrorKind
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export type AuthErrorKind =
  /** Unknown user or wrong password; callers never tell which. RFC 5530 AUTHENTICATIONFAILED, RFC 3206 [AUTH] */
  | 'bad-credentials'
  /** The service is denied to this user. RFC 5530 AUTHORIZATIONFAILED */
  | 'denied'
  /** Backend, directory or ms_syncd can't be asked now. RFC 5530 UNAVAILABLE, RFC 3206 [SYS/TEMP] */
  | 'unavailable'
  /** The backend asks for a longer pause between logins. RFC 2449 [LOGIN-DELAY] */
  | 'login-delay'
  /** The backend maildrop is locked by another session. RFC 2449 [IN-USE] */
  | 'in-use'
  /** Clear-text login refused without TLS. RFC 5530 PRIVACYREQUIRED */
  | 'privacy-required'
  /** The SASL mechanism is unknown or not offered. RFC 5530 CANNOT */
  | 'no-mechanism'

/** A login was refused or could not be decided. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly kind: AuthErrorKind
  constructor(kind: AuthErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** A server that we are a client of answered, or failed to answer, in a way that ends the operation. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  /** Whether trying again later, unchanged, may succeed. */
  readonly retryable: boolean
  /** The server's own words, for the log; control characters are already escaped. */
  readonly serverText: string | undefined
  constructor(message: string, options: ErrorOptions & { retryable: boolean; serverText?: string }) {
    super(message, options)
    this.retryable = options.retryable
    this.serverText = options.serverText
  }
}
