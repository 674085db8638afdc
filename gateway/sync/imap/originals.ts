/** Messages that are others here than at the backend (`inject/journal.ts`), also those that clients made copies of. */
import type { MailboxId } from '#src/base/ids.ts'
import { copySource } from '#src/store/copy-origin.ts'
import type { Account, MessageRecord } from '#src/store/types.ts'
import { type Injected, readInjected } from '../inject/journal.ts'

/** By the origin that the message has here. */
export async function readOriginals(
  account: Account,
  url: string,
  mailboxId: MailboxId,
  records: readonly MessageRecord[],
): Promise<ReadonlyMap<string, Injected>> {
  if (records.length === 0) return new Map()
  const originals = new Map(await readInjected(account, mailboxId, url))
  const elsewhere = new Map<MailboxId, ReadonlyMap<string, Injected>>()
  for (const { origin = '' } of records) {
    const source = copySource(origin)
    if (source === undefined) continue
    const known = elsewhere.get(source.mailboxId) ?? (await readInjected(account, source.mailboxId, url))
    elsewhere.set(source.mailboxId, known)
    const digest = known.get(source.origin)?.digest
    if (digest !== undefined) originals.set(origin, { digest })
  }
  return originals
}
