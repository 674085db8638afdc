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
    const positions = (await findMatches(view, key, charset)).values()
    for (const piece of formatSearch(positions.map((position) => (uid ? view.uidAt(position) : position + 1)))) {
      session.output.write(piece)
      await session.output.flow()
    }
    return undefined
  },
})
