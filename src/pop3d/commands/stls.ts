/** STLS. RFC 2595 §4: nothing that came before TLS has an effect behind it. */
import { noArgument } from '../../proto/pop3/command.ts'
import { ok } from '../../proto/pop3/response.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const stls: Command = {
  keyword: 'STLS',
  states: ['authorization'],
  capabilities: ({ state, canUpgrade }) => (state === 'authorization' && canUpgrade ? ['STLS'] : []),
  async run(session, argument) {
    noArgument(argument)
    const { connection } = session
    if (connection.channel !== undefined) throw new Refusal('TLS is active already')
    if (!connection.canUpgrade) throw new Refusal('TLS is not set up at this server')
    // Somebody in between may have put commands behind it: they are never executed, and the client is not kept.
    if (session.input.pending > 0) {
      session.end()
      throw new Refusal('commands behind STLS came before TLS was there')
    }
    await session.upgrade(ok('begin TLS now'))
    return undefined
  },
}
