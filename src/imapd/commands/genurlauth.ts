/** GENURLAUTH, RFC 4467: tokens for URLs of messages, made with the user's key of the mailbox. */
import { StoreError } from '../../base/errors.ts'
import type { MailboxId } from '../../base/ids.ts'
import { formatGenUrlauth, readGenUrlauthArgs } from '../../proto/imap/urlauth.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
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
      // BAD where the URL is to blame: RFC 4467 §7
      if (userIdOf(url.user!) !== session.userId) throw new Refusal('BAD', undefined, 'The user in the URL is not you')
      const mailbox = await mailboxOf(session, keys, url.mailbox!)
      if (mailbox === undefined) throw new Refusal('BAD', undefined, 'The mailbox in the URL does not exist')
      const token = await keys.token(mailbox, text)
      authorised.push(`${text}:${mechanism.toLowerCase()}:${token}`)
    }
    session.output.write(formatGenUrlauth(authorised))
    return undefined
  },
})

async function mailboxOf(session: Session, keys: UrlKeys, name: string): Promise<MailboxId | undefined> {
  try {
    const { account, local } = await session.hierarchy.permitExisting(name, 'r')
    return await keys.mailboxIn(account, local)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined
    throw error
  }
}
