/** Who is who, as the daemons see it. */

import type { UserId } from '../base/ids.ts'
import type { Ask, Channel } from './sasl/mechanism.ts'
import type { Offer } from './sasl/offer.ts'

/** Where somebody wants to log in, and from where. */
export interface LoginPlace {
  /** Service name of `accessible_services` and `msadm service`; `lmtp` for mail servers that hand mail over. */
  readonly service: 'imap' | 'pop' | 'sieve' | 'lmtp'
  readonly localAddress: string
  readonly remoteAddress: string
  /** For the record of the login: id of the connection, and whether TLS is active on it. */
  readonly sessionId?: string
  readonly secure?: boolean
  readonly signal: AbortSignal
}

export interface LoginRequest extends LoginPlace {
  /** As the client sent it; not canonical yet. */
  readonly user: string
  /** Octets, whatever their charset. Never logged, never stored. */
  readonly password: Buffer
}

export interface SaslRequest extends LoginPlace {
  /** Upper case. */
  readonly mechanism: string
  /** The response that came with the command. */
  readonly initial: Buffer | undefined
  readonly ask: Ask
  /** Undefined without TLS. */
  readonly channel: Channel | undefined
}

/** A session at the old server, logged in, that ms_syncd holds for whoever brings the ticket. docs/decisions/0275-sessions-passed-through.md */
export interface Passage {
  /** Of the Unix socket. */
  readonly path: string
  readonly ticket: string
  /** What the old server told behind the login, upper case; none for POP3. */
  readonly capabilities: readonly string[]
}

/** A decided login. */
export interface Login {
  readonly userId: UserId
  /** Whoever proved to be somebody may act for others, whether he did so now or not. */
  readonly byAdministrator?: boolean
  /** The user's mail is at the old server still: the session goes on there. */
  readonly passage?: Passage
}

/** Decides who somebody is: by the embedded accounts, or (gateway mode) by asking ms_syncd, which asks the backend. */
export interface Authenticator {
  /** What a client may log in with now. Services other than `sieve` have commands of their own for passwords. */
  offer(channel: Channel | undefined, service?: LoginPlace['service']): Offer
  /** Throws AuthError. Logs the result, good or bad; nobody else needs to. AUTH-14 */
  login(request: LoginRequest): Promise<Login>
  /** Runs a SASL mechanism to its end. Throws AuthError; SyntaxFault; what `ask` throws. Logs as `login` does. */
  authenticate(request: SaslRequest): Promise<Login>
}
