/**
 * Which mailboxes here are those of an IMAP backend, when the user has several backends: each mailbox belongs to one of them, and the others leave
 * it alone. By its name it belongs to the backend with the longest prefix that it is under, and the mailbox that a POP3 backend fills to that one;
 * a mailbox that is one's already stays it under whatever name. SYN-03, UDB-09, docs/decisions/0094-whose-a-mailbox-is.md
 */
import type { MailboxId, UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import { canonicalName } from '#src/store/names.ts'
import type { Account } from '#src/store/types.ts'
import { backendUrl } from '../../backend/backend-url.ts'
import { filledId } from '../filled-mailbox.ts'
import { BackendMemory } from './memory.ts'

export interface Belonging {
  /** Whether a mailbox of this name, which is nobody's yet, is this backend's. */
  isOurs(name: string): boolean
  /** Mailboxes here that are another backend's. */
  readonly elsewhere: ReadonlySet<MailboxId>
  /** Whether what is put into this mailbox is sent to another backend; undefined: there is none that anything is sent to. */
  readonly isSentElsewhere: ((name: string, id: MailboxId) => boolean) | undefined
}

/** `prefix`: undefined for a POP3 backend. `others`: the user's other backends. Throws StoreError. */
export async function readBelonging(
  account: Account,
  userId: UserId,
  prefix: string | undefined,
  others: readonly Backend[],
  /** GW-22 */
  inboxOnly: boolean,
): Promise<Belonging> {
  const length = prefix?.length ?? -1
  const senders: ((name: string) => boolean)[] = []
  const sentElsewhere = new Set<MailboxId>()
  const filledNames = new Set<string>()
  const filledIds = new Set<MailboxId>()
  const claims: ((name: string) => boolean)[] = []
  const elsewhere = new Set<MailboxId>()
  for (const backend of others) {
    const { mailbox } = backend
    const url = backendUrl(backend, userId)
    if (backend.protocol === 'imap' || backend.protocol === 'imaps') {
      const isBelow = (name: string) => name.startsWith(mailbox)
      if (mailbox.length > length) claims.push(isBelow)
      senders.push(
        inboxOnly
          ? (name) => name === canonicalName(`${mailbox}INBOX`)
          : prefix === undefined || mailbox.length > length
            ? isBelow
            : (name) => isBelow(name) && !name.startsWith(prefix),
      )
      for (const { idHere } of (await new BackendMemory(account, url).tree()).pairs) {
        elsewhere.add(idHere)
        sentElsewhere.add(idHere)
      }
      continue
    }
    const filled = canonicalName(mailbox)
    // Every account has it, and every IMAP backend too: what a POP3 backend puts into it is only put beside.
    if (filled === 'INBOX') continue
    claims.push((name) => name === filled)
    filledNames.add(filled)
    const id = await filledId(account, mailbox, url)
    if (id === undefined) continue
    elsewhere.add(id)
    filledIds.add(id)
  }
  return {
    isOurs: (name) => !claims.some((claims) => claims(name)),
    elsewhere,
    isSentElsewhere:
      senders.length === 0
        ? undefined
        : (name, id) =>
            sentElsewhere.has(id) ||
            (!filledIds.has(id) && !filledNames.has(name) && senders.some((isSent) => isSent(name))),
  }
}
