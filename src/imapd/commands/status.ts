/** STATUS, RFC 3501 §6.3.10; DELETED and DELETED-STORAGE, RFC 9208 §4.1.4 */
import { formatStatus, readStatusArgs, type StatusItem } from '../../proto/imap/status.ts'
import type { Account, MailboxStatus } from '../../store/types.ts'
import { command, loggedIn } from '../command.ts'
import { Slice } from '../slice.ts'
import { deletedUids } from './expunge.ts'

const valueFor: Readonly<Record<Exclude<StatusItem, 'DELETED-STORAGE'>, (status: MailboxStatus) => number>> = {
  DELETED: ({ deleted }) => deleted,
  MESSAGES: ({ messages }) => messages,
  RECENT: ({ recent }) => recent,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
}

export const status = command({
  name: 'STATUS',
  states: loggedIn,
  parse: readStatusArgs,
  async run(session, { mailbox, items }) {
    const { account, local } = await session.hierarchy.permit(mailbox, 'r')
    const found = await account.status(local)
    const values: [item: StatusItem, value: number][] = []
    for (const item of items)
      values.push([
        item,
        item === 'DELETED-STORAGE' ? await deletedOctets(account, local, found) : valueFor[item](found),
      ])
    session.output.write(formatStatus(mailbox, values))
    return undefined
  },
})

/** What an EXPUNGE would give back. */
async function deletedOctets(account: Account, name: string, { deleted }: MailboxStatus): Promise<number> {
  if (deleted === 0) return 0
  await using mailbox = await account.open(name)
  const { messages } = mailbox
  let octets = 0
  const slice = new Slice()
  for (const uid of await deletedUids(mailbox)) {
    octets += messages.byUid(uid)?.sizeOctets ?? 0
    if (slice.isOver()) await slice.next()
  }
  return octets
}
