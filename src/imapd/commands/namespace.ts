/** NAMESPACE, RFC 2342: one personal namespace, no other users' and no shared one. */
import { formatNamespace } from '../../proto/imap/namespace.ts'
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, loggedIn } from '../command.ts'

export const namespace = command({
  name: 'NAMESPACE',
  states: loggedIn,
  capabilities: () => ['NAMESPACE'],
  parse: readNoArgs,
  async run(session) {
    session.output.write(formatNamespace({ personal: [''], otherUsers: [], shared: [] }))
    return undefined
  },
})
