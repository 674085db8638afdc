/** ENABLE, RFC 5161: extensions that the client asks for by name; unknown ones are passed over. */
import { formatEnabled, readEnableArgs } from '../../proto/imap/enable.ts'
import { command, loggedIn } from '../command.ts'
import { findExtension } from '../enabled.ts'

export const enable = command({
  name: 'ENABLE',
  states: loggedIn,
  capabilities: () => ['ENABLE', 'UTF8=ACCEPT'],
  parse: readEnableArgs,
  async run(session, { capabilities }) {
    const known = capabilities.map(findExtension).filter((extension) => extension !== undefined)
    session.output.write(formatEnabled(session.enable(...known)))
    return undefined
  },
})
