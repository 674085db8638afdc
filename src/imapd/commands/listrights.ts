/** LISTRIGHTS, RFC 4314 §3.4: what an identifier has always, and what it can be given. ACL-03 */
import { formatListRights, readIdentifierArgs } from '../../proto/imap/acl.ts'
import { allRights, formatWithVirtual, grantableLetters } from '../../sharing/rights.ts'
import { command, loggedIn } from '../command.ts'

export const listrights = command({
  name: 'LISTRIGHTS',
  states: loggedIn,
  parse: readIdentifierArgs,
  async run(session, { mailbox, identifier }) {
    const who = session.hierarchy.identifierOf(identifier)
    await session.hierarchy.permitExisting(mailbox, 'a')
    const rights: readonly [string, readonly string[]] =
      who === session.userId ? [formatWithVirtual(allRights), []] : ['', grantableLetters]
    session.output.write(formatListRights(session.spelling, mailbox, identifier, ...rights))
    return undefined
  },
})
