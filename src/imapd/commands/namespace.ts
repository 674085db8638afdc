/** NAMESPACE, RFC 2342: the personal namespace, that of other users, and that of shared folders where there are any. MST-03 */
import { formatNamespace } from '../../proto/imap/namespace.ts'
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { otherUsersPrefix, sharedFoldersPrefix } from '../../sharing/trees.ts'
import { command, loggedIn } from '../command.ts'

export const namespace = command({
  name: 'NAMESPACE',
  states: loggedIn,
  capabilities: () => ['NAMESPACE'],
  parse: readNoArgs,
  async run(session) {
    const { trees } = session.services.settings().sharing
    const shared = trees.length > 0 ? [sharedFoldersPrefix] : []
    session.output.write(formatNamespace(session.spelling, { personal: [''], otherUsers: [otherUsersPrefix], shared }))
    return undefined
  },
})
