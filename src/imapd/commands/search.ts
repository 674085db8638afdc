/** SEARCH, RFC 3501 §6.4.4 */
import { isKnownCharset } from '../../mime/charset.ts'
import { formatSearch, readSearchArgs } from '../../proto/imap/search.ts'
import { command, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { findMatches } from '../search.ts'

export const search = command({
  name: 'SEARCH',
  states: selected,
  uid: true,
  holdsNumbers: true,
  looks: 'always',
  parse: readSearchArgs,
  async run(session, { charset, key }, { uid }) {
    if (charset !== undefined && !isKnownCharset(charset))
      throw new Refusal('NO', 'BADCHARSET (US-ASCII UTF-8)', 'The charset is not known here')
    const { view } = session
    const { positions, unseen } = await findMatches(view, key, charset)
    for (const piece of formatSearch(
      positions.values().map((position) => (uid ? view.uidAt(position) : position + 1)),
    )) {
      session.output.write(piece)
      await session.output.flow()
    }
    if (unseen > 0) session.untagged('OK', notLookedInto(unseen))
    return undefined
  },
})

/** The result may be incomplete as long as a migration goes on; asking again later is all that a client can do. */
const notLookedInto = (messages: number): string =>
  messages === 1
    ? '1 message has not come from the old server yet and was not looked into'
    : `${messages} messages have not come from the old server yet and were not looked into`
