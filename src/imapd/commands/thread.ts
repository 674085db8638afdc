/** THREAD, RFC 5256 §3; REFS: draft-ietf-morg-inthread-01 */
import { namesModSeq, namesNumbers } from '../../proto/imap/search.ts'
import { formatThreads, readThreadArgs } from '../../proto/imap/thread.ts'
import { threadAlgorithms } from '../../proto/imap/thread-algorithm.ts'
import { command, selected } from '../command.ts'
import { findMatches, requireCharset } from '../search.ts'
import { notLookedInto, writePieces } from '../search-results.ts'
import { threadPositions } from '../thread.ts'

export const thread = command({
  name: 'THREAD',
  states: selected,
  uid: true,
  holdsNumbers: true,
  holdsNumbersByUid: ({ key }) => namesNumbers(key),
  looks: 'always',
  capabilities: () => ['SEARCH=INTHREAD', ...threadAlgorithms.map((algorithm) => `THREAD=${algorithm}`)],
  parse: readThreadArgs,
  async run(session, { algorithm, charset, key }, { uid }) {
    const { view } = session
    requireCharset(charset)
    if (namesModSeq(key)) session.enable('CONDSTORE')
    const { positions, unseen } = await findMatches(session, key, charset)
    const threads = await threadPositions(session, positions, algorithm)
    const numberOf = (node: number) => {
      const position = positions[node]
      return position === undefined ? undefined : uid ? view.uidAt(position) : position + 1
    }
    await writePieces(session, formatThreads(threads.forest, numberOf))
    if (unseen + threads.unseen > 0) session.untagged('OK', notLookedInto(unseen + threads.unseen))
    return undefined
  },
})
