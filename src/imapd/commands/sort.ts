/** SORT, RFC 5256 §3, RFC 5957; SORT RETURN and UPDATE: RFC 5267 §3, §4; MODSEQ: RFC 7162 §3.1.6 */
import { namesModSeq, namesNumbers } from '../../proto/imap/search.ts'
import { readSortArgs, type SortArgs } from '../../proto/imap/sort.ts'
import { command, type Form, selected } from '../command.ts'
import { findMatches, requireCharset } from '../search.ts'
import { follow, forgettingOnFailure, giveResults, notLookedInto, requireNewTag } from '../search-results.ts'
import type { Session } from '../session.ts'
import { sortPositions } from '../sort.ts'

export const sort = command({
  name: 'SORT',
  states: selected,
  uid: true,
  holdsNumbers: true,
  holdsNumbersByUid: ({ key }) => namesNumbers(key),
  capabilities: () => ['SORT', 'SORT=DISPLAY', 'ESORT', 'CONTEXT=SORT'],
  parse: readSortArgs,
  async run(session, args, form) {
    requireNewTag(session, args.returned, form.tag)
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
  await follow(session, form, returned, { key, charset, criteria }, { positions, away: matches.away })
  if (matches.unseen + unseen > 0) session.untagged('OK', notLookedInto(matches.unseen + unseen))
}
