/** STATUS, RFC 3501 §6.3.10 */
import { formatStatus, readStatusArgs, type StatusItem } from '../../proto/imap/status.ts'
import type { MailboxStatus } from '../../store/types.ts'
import { command, loggedIn } from '../command.ts'

const valueFor: Readonly<Record<StatusItem, (status: MailboxStatus) => number>> = {
  MESSAGES: ({ messages }) => messages,
  RECENT: ({ recent }) => recent,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
}

export const status = command({
  name: 'STATUS',
  states: loggedIn,
  parse: readStatusArgs,
  async run(session, { mailbox, items }) {
    const found = await session.account.status(mailbox)
    const values = items.map((item) => [item, valueFor[item](found)] as const)
    session.output.write(formatStatus(mailbox, values))
    return undefined
  },
})
