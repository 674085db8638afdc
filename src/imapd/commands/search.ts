/** SEARCH, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 5267, RFC 7162 §3.1.5, RFC 9394 */
import { namesModSeq, namesNumbers, readSearchArgs, type SearchArgs } from '../../proto/imap/search.ts'
import { command, type Form, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { findMatches, requireCharset, scopeOf } from '../search.ts'
import { follow, forgettingOnFailure, giveResults, notLookedInto, requireNewTag } from '../search-results.ts'
import type { Session } from '../session.ts'

export const search = command({
  name: 'SEARCH',
  states: selected,
  uid: true,
  holdsNumbers: true,
  holdsNumbersByUid: ({ key }) => namesNumbers(key),
  capabilities: () => ['ESEARCH', 'SEARCHRES', 'WITHIN', 'CONTEXT=SEARCH'],
  parse: readSearchArgs,
  async run(session, args, form) {
    requireNewTag(session, args.returned, form.tag)
    await forgettingOnFailure(session, args.returned, () => answer(session, args, form))
    return undefined
  },
})

/** RFC 9051 §6.4.4: without RETURN, too. */
const all: SearchArgs['returned'] = { words: new Set(['ALL']), partial: undefined }

async function answer(session: Session, { charset, key, ...args }: SearchArgs, form: Form): Promise<void> {
  const { view } = session
  const returned = args.returned ?? (session.isRev2 ? all : undefined)
  await view.look()
  // RFC 6855 §3
  if (charset !== undefined && session.enabled.has('UTF8=ACCEPT'))
    throw new Refusal('BAD', undefined, 'No CHARSET behind ENABLE UTF8=ACCEPT: it is UTF-8')
  if (charset !== undefined) requireCharset(charset)
  const withModSeq = namesModSeq(key)
  if (withModSeq) session.enable('CONDSTORE')
  const { positions, away, unseen } = await findMatches(session, key, charset, scopeOf(view, returned))
  await giveResults(session, 'SEARCH', form, returned, positions, withModSeq)
  await follow(session, form, returned, { key, charset }, { positions, away })
  if (unseen > 0) session.untagged('OK', notLookedInto(unseen))
}
