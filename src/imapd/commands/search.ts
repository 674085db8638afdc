/** SEARCH, RFC 3501 §6.4.4 */
import { formatSearch, readSearchArgs } from '../../proto/imap/search.ts'
import { command, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { findMatches } from '../search.ts'

const charsets: ReadonlySet<string> = new Set(['US-ASCII', 'UTF-8'])

export const search = command({
  name: 'SEARCH',
  states: selected,
  uid: true,
  holdsNumbers: true,
  looks: 'always',
  parse: readSearchArgs,
  async run(session, { charset, key }, { uid }) {
    if (charset !== undefined && !charsets.has(charset))
      throw new Refusal(
        'NO',
        `BADCHARSET (${[...charsets].join(' ')})`,
        'Search texts are understood in these charsets',
      )
    const { view } = session
    const positions = await findMatches(view, key)
    session.output.write(formatSearch(positions.map((position) => (uid ? view.at(position).uid : position + 1))))
    return undefined
  },
})
