/** A command of the protocol: one row each in `commands/<word>.ts`. */

import type { Offer } from '../auth/sasl/offer.ts'
import type { TokenReader } from '../proto/imap/token-reader.ts'
import type { Session } from './session.ts'
import type { Upload } from './upload.ts'

/** RFC 3501 §3 */
export type StateName = 'not-authenticated' | 'authenticated' | 'selected'

/** What a capability may depend on. */
export interface Circumstances {
  readonly loggedIn: boolean
  /** By credentials of somebody who may act for others. */
  readonly byAdministrator: boolean
  readonly canUpgrade: boolean
  readonly isCompressed: boolean
  /** What a client may log in with now. IMAP-08 */
  readonly offer: Offer
  readonly gatewayMode: boolean
  /** Largest message that APPEND takes. RFC 7889 */
  readonly appendOctets: number
}

/** How a command reached us. */
export interface Form {
  readonly tag: string
  /** With the UID prefix: numbers are UIDs. RFC 3501 §6.4.8 */
  readonly uid: boolean
  /** APPEND's messages, to be read by `run`: where a literal of one follows the arguments. */
  readonly upload: Upload | undefined
}

/** The tagged OK. */
export interface Completion {
  /** Response code without brackets. */
  readonly code?: string
  readonly text?: string
  /** Runs when the reply is on its way, before the next command is looked at. */
  readonly afterReply?: () => Promise<void>
}

/** A row as it is written. */
export interface CommandDefinition<Args> {
  /** Upper case, without UID. */
  readonly name: string
  readonly states: readonly StateName[]
  /** There is a form with UID. */
  readonly uid?: true
  /** Numbers must stay valid while the answer is given: no EXPUNGE, except in the UID form. RFC 3501 §7.4.1 */
  readonly holdsNumbers?: true
  /** The same for the form with UID, where it names sequence numbers. RFC 7162 §3.2.10.2 */
  holdsNumbersByUid?(args: Args): boolean
  /** It takes messages out itself, of which its client is told whatever else it wants to hear of. RFC 5465 §3.1 */
  readonly expunges?: true
  /**
   * Looks at the selected mailbox for what others did, before it runs. 'if-possible': a store that doesn't answer is no reason to
   * fail. Without it the command does not need the mailbox, and a mailbox that is gone does not disturb it.
   */
  readonly looks?: 'always' | 'if-possible'
  readonly capabilities?: (circumstances: Circumstances) => readonly string[]
  /** Reads the arguments to the end. Throws SyntaxFault. */
  parse(args: TokenReader, form: Form): Args
  /** Throws Refusal, StoreError, AuthError. */
  run(session: Session, args: Args, form: Form): Promise<Completion | undefined>
}

/** A row as the session uses it: the arguments' type is closed over. */
export interface Command extends Omit<CommandDefinition<unknown>, 'parse' | 'run' | 'holdsNumbersByUid'> {
  /** Reads the arguments now. Throws SyntaxFault. */
  prepare(args: TokenReader, form: Form): Prepared
}

export interface Prepared {
  readonly run: (session: Session) => Promise<Completion | undefined>
  /** This one must not renumber. */
  readonly holdsNumbers: boolean
}

export function command<Args>(definition: CommandDefinition<Args>): Command {
  const { parse, run, holdsNumbersByUid, ...row } = definition
  return {
    ...row,
    prepare: (reader, form) => {
      const args = parse(reader, form)
      return {
        run: (session) => run(session, args, form),
        holdsNumbers: form.uid ? holdsNumbersByUid?.(args) === true : row.holdsNumbers === true,
      }
    },
  }
}

export const anyState: readonly StateName[] = ['not-authenticated', 'authenticated', 'selected']
export const loggedIn: readonly StateName[] = ['authenticated', 'selected']
export const selected: readonly StateName[] = ['selected']
