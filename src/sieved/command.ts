/** A command of the protocol: one row each in `commands/<word>.ts`. RFC 5804 §2 */
import type { Arguments } from '../proto/managesieve/arguments.ts'
import type { ResponseCode } from '../proto/managesieve/response.ts'
import type { Session } from './session.ts'

/** RFC 5804 §4: commands are for one of them, or for both. */
export type StateName = 'stranger' | 'user'

/** What stands behind OK. */
export interface Completion {
  readonly text?: string
  readonly code?: ResponseCode
}

export interface Command {
  readonly word: string
  readonly states: readonly StateName[]
  /** Undefined when the command has said everything itself. Throws what replies.ts has an answer for. */
  run(session: Session, args: Arguments): Promise<Completion | undefined>
}
