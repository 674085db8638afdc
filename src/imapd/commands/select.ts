/** SELECT and EXAMINE, RFC 3501 §6.3.1 and §6.3.2, with what a client knows from earlier on, RFC 7162 §3.1.8, §3.2.5 */
import { formatNumbered } from '../../proto/imap/response.ts'
import { readSelectArgs, type SelectArgs } from '../../proto/imap/select.ts'
import type { Right } from '../../sharing/rights.ts'
import { writeFlagLists, writeHighestModSeq } from '../announce.ts'
import { type Completion, command, loggedIn } from '../command.ts'
import { tellNamed } from '../names.ts'
import { mailboxObjectId } from '../object-id.ts'
import { Refusal } from '../replies.ts'
import { tellChanges } from '../resync.ts'
import type { Session } from '../session.ts'
import { mechanism } from '../url-keys.ts'
import { View } from '../view.ts'

export const select = command({
  name: 'SELECT',
  states: loggedIn,
  capabilities: () => ['CONDSTORE', 'QRESYNC'],
  parse: readSelectArgs,
  run: (session, args) => open(session, args, false),
})

export const examine = command({
  name: 'EXAMINE',
  states: loggedIn,
  parse: readSelectArgs,
  run: (session, args) => open(session, args, true),
})

/** Whoever has none of these opens it read-only. RFC 4314 §5.2 */
const changing: readonly Right[] = ['i', 'e', 's', 'w', 't']

async function open(session: Session, args: SelectArgs, isExamined: boolean): Promise<Completion> {
  const { mailbox: name, condstore, qresync } = args
  if (qresync !== undefined && !session.enabled.has('QRESYNC'))
    throw new Refusal('BAD', undefined, 'ENABLE QRESYNC first')
  if (session.state === 'selected') {
    // Also when the new one can't be opened. RFC 3501 §6.3.1
    await session.unselect()
    // RFC 7162 §3.2.11
    session.untagged('OK', 'The mailbox before is closed', 'CLOSED')
  }
  if (condstore) session.enable('CONDSTORE')
  const { name: asSeen, account, local, rights, rightsOn } = await session.hierarchy.permit(name, 'r')
  const mailbox = await account.open(local)
  const readOnly = isExamined || mailbox.readOnly || !changing.some((right) => rights.has(right))
  let view: View
  try {
    await mailbox.refresh()
    view = await View.open(mailbox, { readOnly, rightsOn })
  } catch (error) {
    await mailbox.close()
    throw error
  }
  session.select(view, account, asSeen)
  const { output } = session
  writeFlagLists(view, output)
  output.write(formatNumbered(view.exists, 'EXISTS'))
  if (view.tellsRecent) output.write(formatNumbered(view.recentCount, 'RECENT'))
  const unseen = session.isRev2 ? undefined : await view.firstUnseen()
  if (unseen !== undefined) session.untagged('OK', 'First unseen message', `UNSEEN ${unseen + 1}`)
  if (session.isRev2) await tellNamed(session, name, asSeen)
  session.untagged('OK', 'Of this mailbox', `MAILBOXID (${mailboxObjectId(mailbox.id)})`)
  session.untagged('OK', 'UIDs are valid', `UIDVALIDITY ${mailbox.uidValidity}`)
  session.untagged('OK', 'Predicted next UID', `UIDNEXT ${mailbox.uidNext}`)
  session.untagged('OK', 'URLs are authorised so', `URLMECH ${mechanism}`)
  writeHighestModSeq(view, output)
  if (qresync !== undefined) await tellChanges(view, qresync, output)
  return { code: readOnly ? 'READ-ONLY' : 'READ-WRITE' }
}
