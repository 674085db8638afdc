/** SETACL, RFC 4314 §3.1: gives an identifier rights, more rights, or takes some. ACL-01 */
import { readSetAclArgs } from '../../proto/imap/acl.ts'
import { parseRights } from '../../sharing/rights.ts'
import { command, loggedIn } from '../command.ts'

export const setacl = command({
  name: 'SETACL',
  states: loggedIn,
  parse(args) {
    const { rights, ...given } = readSetAclArgs(args)
    return { ...given, rights: parseRights(rights) }
  },
  async run(session, { mailbox, identifier, mode, rights }) {
    const { account, local } = await session.hierarchy.changeAcl(mailbox, identifier, { mode, rights })
    session.services.mailNews.rightsChanged(account.userId, local)
    return undefined
  },
})
