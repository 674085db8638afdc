/** DELETE, RFC 3501 §6.3.4 */
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { command, loggedIn } from '../command.ts'

export const del = command({
  name: 'DELETE',
  states: loggedIn,
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    await session.account.remove(mailbox)
    if (session.state === 'selected' && session.view.mailbox.name === mailbox) await session.unselect()
    return undefined
  },
})
