/** ENABLE, RFC 5161: extensions that the client asks for by name; unknown ones are passed over. */
import { formatEnabled, readEnableArgs } from '../../proto/imap/enable.ts'
import { command, loggedIn } from '../command.ts'

export const enable = command({
  name: 'ENABLE',
  states: loggedIn,
  capabilities: () => ['ENABLE'],
  parse: readEnableArgs,
  async run(session) {
    // No extension that is offered needs enabling.
    session.output.write(formatEnabled([]))
    return undefined
  },
})
