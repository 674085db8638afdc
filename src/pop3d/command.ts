/** A command of the protocol: one row each in `commands/<word>.ts`. */
import type { Offer } from '../auth/sasl/offer.ts'
import type { Session } from './session.ts'

/** RFC 1939 §4, §5. The UPDATE state is inside QUIT. */
export type StateName = 'authorization' | 'transaction'

/** What a capability may depend on. */
export interface Circumstances {
  readonly state: StateName
  /** STLS can be given. */
  readonly canUpgrade: boolean
  /** What a client may log in with now. POP-04 */
  readonly offer: Offer
  readonly gatewayMode: boolean
}

export interface Command {
  readonly keyword: string
  readonly states: readonly StateName[]
  /** Lines that the command brings to CAPA. RFC 2449 §5 */
  capabilities?(circumstances: Circumstances): readonly string[]
  /** The text behind +OK; undefined when the command wrote its response itself. Throws what replies.ts has a reply for. */
  run(session: Session, argument: Buffer | undefined): Promise<string | undefined>
}
