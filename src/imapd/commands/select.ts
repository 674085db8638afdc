/** SELECT and EXAMINE, RFC 3501 §6.3.1 and §6.3.2 */
import { readMailboxArgs } from '../../proto/imap/mailbox-args.ts'
import { formatNumbered } from '../../proto/imap/response.ts'
import type { Right } from '../../sharing/rights.ts'
import { writeFlagLists } from '../announce.ts'
import { type Completion, command, loggedIn } from '../command.ts'
import { mailboxObjectId } from '../object-id.ts'
import type { Session } from '../session.ts'
import { View } from '../view.ts'

export const select = command({
  name: 'SELECT',
  states: loggedIn,
  parse: readMailboxArgs,
  run: (session, { mailbox }) => open(session, mailbox, false),
})

export const examine = command({
  name: 'EXAMINE',
  states: loggedIn,
  parse: readMailboxArgs,
  run: (session, { mailbox }) => open(session, mailbox, true),
})

/** Whoever has none of these opens it read-only. RFC 4314 §5.2 */
const changing: readonly Right[] = ['i', 'e', 's', 'w', 't']

async function open(session: Session, name: string, isExamined: boolean): Promise<Completion> {
  // Also when the new one can't be opened. RFC 3501 §6.3.1
  await session.unselect()
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
  output.write(formatNumbered(view.recentCount, 'RECENT'))
  const unseen = await view.firstUnseen()
  if (unseen !== undefined) session.untagged('OK', 'First unseen message', `UNSEEN ${unseen + 1}`)
  session.untagged('OK', 'Of this mailbox', `MAILBOXID (${mailboxObjectId(mailbox.id)})`)
  session.untagged('OK', 'UIDs are valid', `UIDVALIDITY ${mailbox.uidValidity}`)
  session.untagged('OK', 'Predicted next UID', `UIDNEXT ${mailbox.uidNext}`)
  return { code: readOnly ? 'READ-ONLY' : 'READ-WRITE' }
}
