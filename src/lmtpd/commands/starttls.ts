/** STARTTLS. RFC 3207 §4.2: nothing that came before TLS has an effect behind it. */
import { noArgument } from '../../proto/lmtp/command.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const starttls: Command = {
  keyword: 'STARTTLS',
  extensions: ({ connection }) => (connection.canUpgrade ? ['STARTTLS'] : []),
  async run(session, argument) {
    noArgument(argument)
    const { connection } = session
    if (connection.channel !== undefined) throw new Refusal(503, '5.5.1', 'TLS is active already')
    if (!connection.canUpgrade) throw new Refusal(454, '4.7.0', 'TLS is not set up here')
    // Somebody in between may have put commands behind it: they are never executed, and the client is not kept.
    if (session.input.pending > 0) {
      session.end()
      throw new Refusal(503, '5.5.1', 'commands behind STARTTLS came before TLS was there')
    }
    await session.begin(undefined)
    await session.upgrade({ code: 220, status: '2.0.0', text: 'begin TLS now' })
    return undefined
  },
}
