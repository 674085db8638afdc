/** What a SASL mechanism is on the server's side, whatever protocol carries it. RFC 4422 */
import type { LoginPlace } from '../types.ts'
import type { ScramHash, ScramKeys } from '../verifier.ts'

/** Sends a challenge and answers the client's response to it. Throws what ends the exchange: the client gave up, or is gone. */
export type Ask = (challenge: Buffer) => Promise<Buffer>

/** The TLS that a client speaks to us through. */
export interface Channel {
  /** Length of the cipher's key in bits: the security strength factor. */
  readonly ssf: number
  /** Something in it is its own alone, for proofs to be bound to. */
  readonly binds: boolean
  /** The octets of a channel binding, by its registered name (RFC 5056 §7); undefined: this connection does not have it. */
  binding(type: string): Buffer | undefined
  /** E-mail addresses in the client's certificate; none unless it was verified. AUTH-12 */
  readonly clientNames: readonly string[]
}

/** One run of a mechanism. */
export interface Exchange {
  readonly ask: Ask
  /** The response that came with the command. */
  readonly initial: Buffer | undefined
  /** Undefined without TLS. */
  readonly channel: Channel | undefined
  /** Names of the mechanisms that were offered to the client. */
  readonly offered: readonly string[]
  /** Keys of a user; those of a user who has none are made up, the same each time, and nothing proves them. Throws AuthError, StoreError. */
  scramKeys(user: string, hash: ScramHash): Promise<ScramKeys>
  /** The stored password of a user; one that nobody knows for a user who has none. Throws AuthError. */
  clearPassword(user: string): Promise<Buffer>
  /** Of users who name none: the domain of the interface. */
  readonly realm: string
  /** Registered name of the protocol's service (RFC 4422 §4, item 1). */
  readonly service: LoginPlace['service']
  /** Whose an OAuth access token is. Throws AuthError. */
  tokenUser(token: string): Promise<string>
}

/** What an exchange came to. */
export interface Proof {
  /** The authcid. */
  readonly user: string
  /** Still to be checked; undefined: the exchange proved the user. */
  readonly password?: Buffer
  /** Whom the client wants to act as, where it says so. */
  readonly authzid: string | undefined
  /** What the server still says when the login is decided, and the client answers with nothing. RFC 4422 §3.6, §5 item 2b */
  readonly last?: Buffer
}

export interface Mechanism {
  /** Upper case. */
  readonly name: string
  /** Another name in mech_list that stands for it too. */
  readonly family?: string
  /** What proves the user. A password and a token are shown to the server, and to whoever listens where there is no TLS; of the others nothing is. A clear password is one that the server has stored so. AUTH-04 */
  readonly uses: 'password' | 'clear password' | 'keys' | 'token' | 'certificate'
  /** It needs a channel binding. */
  readonly binds?: true
  /** Runs to the client's last response. Throws SyntaxFault; AuthError bad-credentials; what `ask` throws. */
  run(exchange: Exchange): Promise<Proof>
}

export const nothing = Buffer.alloc(0)
