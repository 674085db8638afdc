/** GENURLAUTH, RFC 4467: tokens for URLs of messages, made with the user's key of the mailbox. */
import { formatGenUrlauth, readGenUrlauthArgs } from '../../proto/imap/urlauth.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'
import { mechanism, UrlKeys } from '../url-keys.ts'

export const genurlauth = command({
  name: 'GENURLAUTH',
  states: loggedIn,
  capabilities: () => ['URLAUTH', 'URLAUTH=BINARY'],
  parse: readGenUrlauthArgs,
  async run(session, urls) {
    const { userIdOf } = session.services.settings()
    const keys = new UrlKeys(session.account)
    const authorised: string[] = []
    for (const { text, url, mechanism: wanted } of urls) {
      if (wanted !== mechanism) throw new Refusal('NO', 'CANNOT', `${mechanism} is the only mechanism`)
      if (userIdOf(url.user!) !== session.userId) throw new Refusal('NO', 'NOPERM', 'The user in the URL is not you')
      const { account, local } = await session.hierarchy.permitExisting(url.mailbox!, 'r')
      const token = await keys.token(await keys.mailboxIn(account, local), text)
      authorised.push(`${text}:${mechanism.toLowerCase()}:${token}`)
    }
    session.output.write(formatGenUrlauth(authorised))
    return undefined
  },
})
