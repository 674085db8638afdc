/** STATUS, RFC 3501 §6.3.10 */
import { formatStatus, readStatusArgs } from '../../proto/imap/status.ts'
import { command, loggedIn } from '../command.ts'
import { statusValues } from '../status-values.ts'

export const status = command({
  name: 'STATUS',
  states: loggedIn,
  capabilities: () => ['STATUS=SIZE'],
  parse: readStatusArgs,
  async run(session, { mailbox, items }) {
    if (items.includes('HIGHESTMODSEQ')) session.enable('CONDSTORE')
    const { account, local } = await session.hierarchy.permit(mailbox, 'r')
    const { appendOctets } = session.services.settings()
    session.output.write(
      formatStatus(session.spelling, mailbox, await statusValues(account, local, items, appendOctets)),
    )
    return undefined
  },
})
