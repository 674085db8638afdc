/** GETACL, RFC 4314 §3.3: who has which rights on a mailbox; the owner first, who has all. ACL-03 */
import { formatAcl } from '../../proto/imap/acl.ts'
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { allRights, formatWithVirtual } from '../../sharing/rights.ts'
import { command, loggedIn } from '../command.ts'

export const getacl = command({
  name: 'GETACL',
  states: loggedIn,
  capabilities: ({ loggedIn }) => (loggedIn ? ['ACL', 'RIGHTS=kxte'] : []),
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    const acl = await session.hierarchy.acl(mailbox)
    const entries = [[session.userId, allRights] as const, ...acl]
    session.output.write(
      formatAcl(
        session.spelling,
        mailbox,
        entries.map(([who, rights]) => [who, formatWithVirtual(rights)] as const),
      ),
    )
    return undefined
  },
})
