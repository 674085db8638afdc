/** LOGOUT. RFC 5804 §2.3 */
import type { Command } from '../command.ts'

export const logout: Command = {
  word: 'LOGOUT',
  states: ['stranger', 'user'],
  async run(session, args) {
    args.end()
    session.end()
    return {}
  },
}
