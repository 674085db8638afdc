/** A command of the protocol: one row each in `commands/<word>.ts`. */
import type { Reply } from '../proto/lmtp/reply.ts'
import type { Session } from './session.ts'

export interface Command {
  readonly keyword: string
  /** Lines that the command brings to the reply to LHLO. RFC 5321 §4.1.1.1 */
  extensions?(session: Session): readonly string[]
  /** Undefined when the command wrote its replies itself. Throws what replies.ts has a reply for. */
  run(session: Session, argument: string): Promise<Reply | undefined>
}
