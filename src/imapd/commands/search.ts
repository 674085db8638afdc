/** SEARCH, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 7162 §3.1.5 */
import { charsetNames, isKnownCharset } from '../../mime/charset.ts'
import { formatSearch, namesModSeq, namesNumbers, readSearchArgs, type SearchArgs } from '../../proto/imap/search.ts'
import { command, type Form, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { findMatches } from '../search.ts'
import { giveResults, highestModSeq, writePieces } from '../search-results.ts'
import type { Session } from '../session.ts'

export const search = command({
  name: 'SEARCH',
  states: selected,
  uid: true,
  holdsNumbers: true,
  holdsNumbersByUid: ({ key }) => namesNumbers(key),
  capabilities: () => ['ESEARCH', 'SEARCHRES', 'WITHIN'],
  parse: readSearchArgs,
  async run(session, args, form) {
    try {
      await answer(session, args, form)
    } catch (error) {
      // RFC 5182 §2.1
      if (args.returned?.words.has('SAVE') === true) session.view.saved = []
      throw error
    }
    return undefined
  },
})

async function answer(session: Session, { returned, charset, key }: SearchArgs, form: Form): Promise<void> {
  const { view } = session
  await view.look()
  if (charset !== undefined && !isKnownCharset(charset))
    throw new Refusal('NO', `BADCHARSET (${charsetNames.join(' ')})`, 'The charset is not known here')
  const withModSeq = namesModSeq(key)
  if (withModSeq) session.enable('CONDSTORE')
  const { positions, unseen } = await findMatches(session, key, charset)
  if (returned !== undefined) await giveResults(session, form, returned, positions, withModSeq)
  else {
    const numbers = positions.values().map((position) => (form.uid ? view.uidAt(position) : position + 1))
    await writePieces(session, formatSearch(numbers, withModSeq ? highestModSeq(view, positions) : undefined))
  }
  if (unseen > 0) session.untagged('OK', notLookedInto(unseen))
}

/** The result may be incomplete as long as a migration goes on; asking again later is all that a client can do. */
const notLookedInto = (messages: number): string =>
  messages === 1
    ? '1 message has not come from the old server yet and was not looked into'
    : `${messages} messages have not come from the old server yet and were not looked into`
