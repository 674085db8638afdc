/** LOGOUT, RFC 3501 §6.1.3 */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { anyState, command } from '../command.ts'

export const logout = command({
  name: 'LOGOUT',
  states: anyState,
  parse: readNoArgs,
  async run(session) {
    await session.unselect()
    session.untagged('BYE', 'Logging out')
    session.logout()
    return undefined
  },
})
