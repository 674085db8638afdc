/**
 * UNAUTHENTICATE, RFC 8437: back to the state before the login. Only for who may act for others, and never announced where nobody may.
 * docs/decisions/0326-unauthenticate.md
 */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'

export const unauthenticate = command({
  name: 'UNAUTHENTICATE',
  states: loggedIn,
  capabilities: ({ byAdministrator }) => (byAdministrator ? ['UNAUTHENTICATE'] : []),
  parse: readNoArgs,
  async run(session) {
    if (!session.circumstances.byAdministrator)
      throw new Refusal('BAD', undefined, 'Only for administrators who act for others')
    await session.unauthenticate()
    return { afterReply: () => session.connection.uncompress() }
  },
})
