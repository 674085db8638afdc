/** SUBSCRIBE, RFC 3501 §6.3.6: any valid name; the mailbox need not be there (it may come back). */
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { canonicalName } from '../../store/names.ts'
import { command, loggedIn } from '../command.ts'

export const subscribe = command({
  name: 'SUBSCRIBE',
  states: loggedIn,
  parse: readMailboxArgs,
  async run(session, { mailbox }) {
    await session.account.subscribe(mailbox)
    session.didItself({ change: 'subscribed', mailbox: canonicalName(mailbox) })
    return undefined
  },
})
