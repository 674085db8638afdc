/** RESETKEY, RFC 4467: URLs that were authorised with the user's key of a mailbox, or with any of his, are void from now on. */
import { readResetkeyArgs } from '../../proto/imap/urlauth.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'
import { mechanism, UrlKeys } from '../url-keys.ts'

export const resetkey = command({
  name: 'RESETKEY',
  states: loggedIn,
  parse: readResetkeyArgs,
  async run(session, { mailbox, mechanisms }) {
    const keys = new UrlKeys(session.account)
    if (mailbox === undefined) {
      await keys.resetAll()
      return { text: 'All keys removed' }
    }
    if (mechanisms.some((wanted) => wanted !== mechanism))
      throw new Refusal('NO', 'CANNOT', `${mechanism} is the only mechanism`)
    const { account, local } = await session.hierarchy.permitExisting(mailbox, 'r')
    await keys.reset(await keys.mailboxIn(account, local))
    return { code: `URLMECH ${mechanism}`, text: 'Key changed' }
  },
})
