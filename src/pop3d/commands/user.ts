/** USER name. RFC 1939 §7. Says nothing about whether the user exists. */
import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { mustBeSecure } from '../login.ts'

/** A login name longer than an address may be (RFC 5321 §4.5.3.1: 64 + 1 + 255) is none. */
const MAX_NAME_OCTETS = 320

export const user: Command = {
  keyword: 'USER',
  states: ['authorization'],
  capabilities: ({ state, offer }) => (state === 'authorization' && offer.passwords ? ['USER'] : []),
  async run(session, argument) {
    mustBeSecure(session)
    const name = argument?.toString('utf8').trim() ?? ''
    if (name === '') throw new SyntaxFault('USER takes a name', 'argument')
    if (argument!.length > MAX_NAME_OCTETS) throw new SyntaxFault('the name is too long', 'argument')
    session.user = name
    return 'send PASS'
  },
}
