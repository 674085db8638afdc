/** ID, RFC 2971. Nothing depends on what a client says of itself, and a log does not grow by what it says: §3, §7. */
import { formatId, readIdArgs } from '../../proto/imap/id.ts'
import { anyState, command } from '../command.ts'

/** Of what a client says of itself. */
const loggedOctets = 500

export const id = command({
  name: 'ID',
  states: anyState,
  capabilities: () => ['ID'],
  parse: readIdArgs,
  async run(session, { params }) {
    const client = params.map(([field, value]) => `${field}=${value ?? ''}`).join(' ')
    session.identified(client.slice(0, loggedOctets))
    session.output.write(formatId([['name', 'Wherry']]))
    return undefined
  },
})
