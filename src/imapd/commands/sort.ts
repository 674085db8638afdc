/** SORT, RFC 5256 §3, RFC 5957; SORT RETURN: RFC 5267 §3; MODSEQ: RFC 7162 §3.1.6 */
import { namesModSeq, namesNumbers } from '../../proto/imap/search.ts'
import { readSortArgs, type SortArgs } from '../../proto/imap/sort.ts'
import { command, type Form, selected } from '../command.ts'
import { findMatches, requireCharset } from '../search.ts'
import { forgettingOnFailure, giveResults, notLookedInto, refuseUpdate } from '../search-results.ts'
import type { Session } from '../session.ts'
import { sortPositions } from '../sort.ts'

export const sort = command({
  name: 'SORT',
  states: selected,
  uid: true,
  holdsNumbers: true,
  holdsNumbersByUid: ({ key }) => namesNumbers(key),
  capabilities: () => ['SORT', 'SORT=DISPLAY', 'ESORT'],
  parse: readSortArgs,
  async run(session, args, form) {
    await forgettingOnFailure(session, args.returned, () => answer(session, args, form))
    return undefined
  },
})

async function answer(session: Session, { returned, criteria, charset, key }: SortArgs, form: Form): Promise<void> {
  const { view } = session
  await view.look()
  requireCharset(charset)
  const withModSeq = namesModSeq(key)
  if (withModSeq) session.enable('CONDSTORE')
  const matches = await findMatches(session, key, charset)
  const { positions, unseen } = await sortPositions(session, matches.positions, criteria)
  await giveResults(session, 'SORT', form, returned, positions, withModSeq)
  if (returned?.words.has('UPDATE') === true) refuseUpdate(session, form.tag)
  if (matches.unseen + unseen > 0) session.untagged('OK', notLookedInto(matches.unseen + unseen))
}
