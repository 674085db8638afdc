/** Who is who, as the daemons see it. */

import type { UserId } from '../base/ids.ts'

export interface LoginRequest {
  /** Service name of `accessible_services` and `msadm service`. */
  readonly service: 'imap' | 'pop' | 'sieve'
  /** As the client sent it; not canonical yet. */
  readonly user: string
  /** Octets, whatever their charset. Never logged, never stored. */
  readonly password: Buffer
  readonly localAddress: string
  readonly remoteAddress: string
  /** For the record of the login: id of the connection, and whether TLS is active on it. */
  readonly sessionId?: string
  readonly secure?: boolean
  readonly signal: AbortSignal
}

/** A decided login. */
export interface Login {
  readonly userId: UserId
}

/** Checks a user's password: against the embedded accounts, or (gateway mode) by asking ms_syncd, which asks the backend. */
export interface Authenticator {
  /** Throws AuthError. Logs the result, good or bad; nobody else needs to. AUTH-14 */
  login(request: LoginRequest): Promise<Login>
}
