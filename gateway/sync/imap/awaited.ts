/**
 * What left a mailbox of this backend because a client moved it to another backend's, and is not there yet: it is not deleted here before it is
 * safe there. docs/decisions/0095-moved-there-not-sent.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId } from '#src/base/ids.ts'
import { copySource } from '#src/store/copy-origin.ts'
import type { Account } from '#src/store/types.ts'
import { Slice } from '../../backend/slice.ts'
import type { Belonging } from './belonging.ts'

/** Origins, by the mailbox here that they left. */
export type Awaited = ReadonlyMap<MailboxId, ReadonlySet<string>>

/** Throws StoreError. */
export async function awaitedElsewhere(account: Account, { isSentElsewhere }: Belonging): Promise<Awaited> {
  const awaited = new Map<MailboxId, Set<string>>()
  if (isSentElsewhere === undefined) return awaited
  const slice = new Slice()
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    try {
      await using mailbox = await account.open(name)
      if (!isSentElsewhere(name, mailbox.id)) continue
      await mailbox.refresh()
      const { messages } = mailbox
      for (let position = 0; position < messages.length; position += 1) {
        if (slice.isOver()) await slice.next()
        const source = copySource(messages.originAt(position) ?? '')
        if (source === undefined) continue
        const origins = awaited.get(source.mailboxId) ?? new Set()
        awaited.set(source.mailboxId, origins.add(source.origin))
      }
    } catch (error) {
      // Removed or renamed meanwhile: what was in it nobody waits for.
      if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    }
  }
  return awaited
}
