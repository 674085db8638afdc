/** CAPABILITY. RFC 5804 §2.4 */
import type { Command } from '../command.ts'

export const capability: Command = {
  word: 'CAPABILITY',
  states: ['stranger', 'user'],
  async run(session, args) {
    args.end()
    session.tellCapabilities()
    return undefined
  },
}
