/** DELETE, RFC 3501 §6.3.4 */
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { command, loggedIn } from '../command.ts'
import { tellNormalised } from '../names.ts'

export const del = command({
  name: 'DELETE',
  states: loggedIn,
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    const { name, account, local } = await session.hierarchy.remove(mailbox)
    session.didItself({ change: 'removed', mailbox: name })
    if (session.state === 'selected' && session.isSelected(account, local)) await session.unselect()
    tellNormalised(session, ['\\NonExistent'], mailbox, mailbox)
    return undefined
  },
})
