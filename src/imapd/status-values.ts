/** What STATUS tells of a mailbox, for STATUS and for LIST. RFC 3501 §6.3.10; DELETED, DELETED-STORAGE: RFC 9208 §4.1.4; SIZE: RFC 8438; APPENDLIMIT: RFC 7889; MAILBOXID: RFC 8474; HIGHESTMODSEQ: RFC 7162 */

import type { StatusItem, StatusValues } from '../proto/imap/status.ts'
import type { Account, MailboxStatus } from '../store/types.ts'
import { deletedUids } from './commands/expunge.ts'
import { mailboxObjectId } from './object-id.ts'
import { Slice } from './slice.ts'

const valueFor: Readonly<
  Record<Exclude<StatusItem, 'APPENDLIMIT' | 'DELETED-STORAGE'>, (status: MailboxStatus) => number | string>
> = {
  DELETED: ({ deleted }) => deleted,
  HIGHESTMODSEQ: ({ highestModSeq }) => highestModSeq,
  MAILBOXID: ({ mailboxId }) => `(${mailboxObjectId(mailboxId)})`,
  MESSAGES: ({ messages }) => messages,
  RECENT: ({ recent }) => recent,
  SIZE: ({ sizeOctets }) => sizeOctets,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
}

/** `local`: as the account calls the mailbox; `appendOctets`: see `Settings`. In the order of `items`. Throws StoreError. */
export async function statusValues(
  account: Account,
  local: string,
  items: readonly StatusItem[],
  appendOctets: number,
): Promise<StatusValues> {
  const found = await account.status(local)
  const values: (readonly [item: StatusItem, value: number | string])[] = []
  for (const item of items) {
    if (item === 'APPENDLIMIT') values.push([item, appendOctets])
    else if (item === 'DELETED-STORAGE') values.push([item, await deletedOctets(account, local, found)])
    else values.push([item, valueFor[item](found)])
  }
  return values
}

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
