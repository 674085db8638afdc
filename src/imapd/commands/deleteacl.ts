/** DELETEACL, RFC 4314 §3.2; what is not in the list is no failure. ACL-04 */
import { readIdentifierArgs } from '../../proto/imap/acl.ts'
import { command, loggedIn } from '../command.ts'

export const deleteacl = command({
  name: 'DELETEACL',
  states: loggedIn,
  parse: readIdentifierArgs,
  async run(session, { mailbox, identifier }) {
    const { account, local } = await session.hierarchy.deleteAcl(mailbox, identifier)
    session.services.mailNews.rightsChanged(account.userId, local)
    return undefined
  },
})
