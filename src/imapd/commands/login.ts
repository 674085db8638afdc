/** LOGIN, RFC 3501 §6.2.3 */
import { readLoginArgs } from '../../proto/imap/login.ts'
import { command } from '../command.ts'
import { authenticate } from '../login.ts'

export const login = command({
  name: 'LOGIN',
  states: ['not-authenticated'],
  capabilities: ({ loggedIn, loginDisabled }) => (loginDisabled && !loggedIn ? ['LOGINDISABLED'] : []),
  parse: readLoginArgs,
  run: (session, credentials) => authenticate(session, credentials),
})
