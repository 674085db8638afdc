/** CREATE, RFC 3501 §6.3.3 */
import { readCreateArgs } from '../../proto/imap/create.ts'
import { command, loggedIn } from '../command.ts'

export const create = command({
  name: 'CREATE',
  states: loggedIn,
  parse: readCreateArgs,
  async run(session, { mailbox }) {
    await session.hierarchy.create(mailbox)
    return undefined
  },
})
