/** LOGIN, RFC 3501 §6.2.3 */
import { AuthError } from '../../base/errors.ts'
import { readLoginArgs } from '../../proto/imap/login.ts'
import { command } from '../command.ts'
import { logIn } from '../login.ts'

export const login = command({
  name: 'LOGIN',
  states: ['not-authenticated'],
  capabilities: ({ loggedIn, offer }) => (offer.passwords || loggedIn ? [] : ['LOGINDISABLED']),
  parse: readLoginArgs,
  async run(session, credentials) {
    if (!session.circumstances.offer.passwords) throw new AuthError('privacy-required', 'no TLS')
    return logIn(session, (place) => session.services.authenticator.login({ ...place, ...credentials }))
  },
})
