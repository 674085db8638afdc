/** UNAUTHENTICATE. RFC 5804 §2.14.1 */
import type { Command } from '../command.ts'

export const unauthenticate: Command = {
  word: 'UNAUTHENTICATE',
  states: ['user'],
  async run(session, args) {
    args.end()
    session.unauthenticate()
    return {}
  },
}
