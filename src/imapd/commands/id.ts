/** ID, RFC 2971 */
import { formatId, readIdArgs } from '../../proto/imap/id.ts'
import { anyState, command } from '../command.ts'

export const id = command({
  name: 'ID',
  states: anyState,
  capabilities: () => ['ID'],
  parse: readIdArgs,
  async run(session, { params }) {
    const client = params.map(([field, value]) => `${field}=${value ?? ''}`).join(' ')
    session.log.log('info', 'client identifies itself', { id: client })
    session.output.write(formatId([['name', 'Wherry']]))
    return undefined
  },
})
