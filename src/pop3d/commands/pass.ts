/** PASS string. RFC 1939 §7: everything to the end of the line is the password, spaces too. */
import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { logIn, mustBeSecure } from '../login.ts'
import { Refusal } from '../replies.ts'

export const pass: Command = {
  keyword: 'PASS',
  states: ['authorization'],
  async run(session, argument) {
    mustBeSecure(session)
    const { user } = session
    session.user = undefined
    if (user === undefined) throw new Refusal('USER comes first')
    if (argument === undefined || argument.length === 0) throw new SyntaxFault('PASS takes a password', 'argument')
    return logIn(session, (place) => session.services.authenticator.login({ ...place, user, password: argument }))
  },
}
