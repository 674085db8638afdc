/** STARTTLS. RFC 5804 §2.2: nothing that came before TLS has an effect behind it. */
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const starttls: Command = {
  word: 'STARTTLS',
  states: ['stranger'],
  async run(session, args) {
    args.end()
    const { connection } = session
    if (connection.channel !== undefined) throw new Refusal('TLS is active already')
    if (!connection.canUpgrade) throw new Refusal('TLS is not set up at this server')
    // Somebody in between may have put commands behind it: they are never executed, and the client is not kept.
    if (session.input.pending > 0) {
      session.bye('commands behind STARTTLS came before TLS was there')
      return undefined
    }
    await session.upgrade()
    return undefined
  },
}
