/** RENAME, RFC 3501 §6.3.5 */
import { readRenameArgs } from '../../proto/imap/rename.ts'
import { canonicalName } from '../../store/names.ts'
import { command, loggedIn } from '../command.ts'
import { tellNormalised } from '../names.ts'

export const rename = command({
  name: 'RENAME',
  states: loggedIn,
  parse: readRenameArgs,
  async run(session, { from, to }) {
    await session.hierarchy.rename(from, to)
    const [mailbox, name] = [canonicalName(from), canonicalName(to)]
    // RFC 9051 §6.3.6: INBOX stays, and its messages are in a new one.
    if (mailbox === 'INBOX') session.didItself({ change: 'created', mailbox: name })
    else session.didItself({ change: 'renamed', mailbox, to: name })
    tellNormalised(session, [], from, to)
    return undefined
  },
})
