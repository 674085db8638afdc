/** MYRIGHTS, RFC 4314 §3.5 */
import { formatMyRights } from '../../proto/imap/acl.ts'
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { formatWithVirtual } from '../../sharing/rights.ts'
import { command, loggedIn } from '../command.ts'

export const myrights = command({
  name: 'MYRIGHTS',
  states: loggedIn,
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    const { rights } = await session.hierarchy.permitExisting(mailbox)
    session.output.write(formatMyRights(session.spelling, mailbox, formatWithVirtual(rights)))
    return undefined
  },
})
