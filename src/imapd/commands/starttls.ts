/** STARTTLS, RFC 3501 §6.2.1 and RFC 9051 §11.1: nothing that came before TLS has an effect behind it. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const starttls = command({
  name: 'STARTTLS',
  states: ['not-authenticated'],
  capabilities: ({ loggedIn, canUpgrade }) => (canUpgrade && !loggedIn ? ['STARTTLS'] : []),
  parse: readNoArgs,
  async run(session) {
    const { connection } = session
    if (connection.channel !== undefined) throw new Refusal('BAD', undefined, 'TLS is active already')
    if (!connection.canUpgrade) throw new Refusal('NO', 'UNAVAILABLE', 'TLS is not set up at this server')
    // Somebody in between may have put commands behind it: they are never executed, and the client is not kept.
    if (session.input.pending > 0) {
      session.logout()
      throw new Refusal('BAD', undefined, 'Commands behind STARTTLS came before TLS was there')
    }
    return { text: 'Begin TLS now', afterReply: () => session.upgrade() }
  },
})
