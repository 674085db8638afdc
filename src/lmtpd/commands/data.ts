/** DATA. RFC 5321 §4.1.1.4, RFC 2033 §4.2 */
import { noArgument } from '../../proto/lmtp/command.ts'
import type { Command } from '../command.ts'
import { finish, take } from '../message.ts'
import { Refusal } from '../replies.ts'
import { mailOf, mustBeGreeted, type Session } from '../session.ts'

export const data: Command = {
  keyword: 'DATA',
  async run(session, argument) {
    try {
      mustBeReady(session, argument)
    } catch (error) {
      // A client that did not wait for the answer (RFC 2920 §3.1 wants that) has sent a message: none of it is a command.
      if (session.input.pending > 0) session.end()
      throw error
    }
    session.reply({ code: 354, text: 'end the message with CR LF dot CR LF' })
    await take(session, session.input.message())
    await finish(session)
    return undefined
  },
}

function mustBeReady(session: Session, argument: string): void {
  noArgument(argument)
  mustBeGreeted(session)
  const mail = mailOf(session)
  if (mail.hasBegun) throw new Refusal(503, '5.5.1', 'the message has begun with BDAT, and goes on with it')
  // RFC 3030 §3
  if (mail.isBinary) throw new Refusal(503, '5.5.1', 'BODY=BINARYMIME needs BDAT')
  if (mail.accepted.length === 0) throw new Refusal(503, '5.5.1', 'no recipient was accepted')
}
