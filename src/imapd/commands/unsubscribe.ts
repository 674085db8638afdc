/** UNSUBSCRIBE, RFC 3501 §6.3.7 */
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { canonicalName } from '../../store/names.ts'
import { command, loggedIn } from '../command.ts'

export const unsubscribe = command({
  name: 'UNSUBSCRIBE',
  states: loggedIn,
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    await session.account.unsubscribe(mailbox)
    session.didItself({ change: 'unsubscribed', mailbox: canonicalName(mailbox) })
    return undefined
  },
})
