/**
 * What the account's log remembers of messages that did not go into the store as they are: those that a submission server took, until they come
 * back, those that a server of the site refused, and the digests of originals, where a synchronisation compares them. By mailbox: two
 * mailboxes of an IMAP backend may have the same UIDVALIDITY, and their messages the same origins.
 */
import type { MailboxId } from '#src/base/ids.ts'
import type { Account } from '#src/store/types.ts'

export interface Injected {
  /** When a submission server took it, seconds since 1970. */
  readonly submittedAt?: number | undefined
  /** When a server of the site refused it for good, seconds since 1970. A stub is in its place. */
  readonly refusedAt?: number | undefined
  /** SHA-256 of what the backend has, base64url. */
  readonly digest?: string | undefined
}

const keyOf = (mailbox: MailboxId, origin: string): string => `injected ${mailbox} ${origin}`

/** By origin, of the origins that begin so. */
export const readInjected = async (
  account: Account,
  mailbox: MailboxId,
  prefix: string,
): Promise<ReadonlyMap<string, Injected>> => {
  const entries = await account.entries(keyOf(mailbox, prefix))
  return new Map(
    [...entries].flatMap(([key, value]) =>
      typeof value === 'object' && value !== null ? [[key.slice(keyOf(mailbox, '').length), value as Injected]] : [],
    ),
  )
}

export const forgetInjected = async (
  account: Account,
  mailbox: MailboxId,
  origins: readonly string[],
): Promise<void> => {
  if (origins.length > 0)
    await account.put(Object.fromEntries(origins.map((origin) => [keyOf(mailbox, origin), undefined])))
}

/** Writes what comes while one change set is being made durable in the next one. */
export class Journal {
  readonly #account: Account
  readonly #mailbox: MailboxId
  #waiting: { readonly values: Record<string, Injected>; readonly written: Promise<void> } | undefined
  #writing: Promise<unknown> = Promise.resolve()

  constructor(account: Account, mailbox: MailboxId) {
    this.#account = account
    this.#mailbox = mailbox
  }

  /** Resolves when it is durable. Throws StoreError. */
  record(origin: string, injected: Injected): Promise<void> {
    if (this.#waiting === undefined) {
      const values: Record<string, Injected> = {}
      const written = this.#writing.then(() => {
        this.#waiting = undefined
        return this.#account.put(values)
      })
      this.#waiting = { values, written }
      this.#writing = written.catch(() => {})
    }
    this.#waiting.values[keyOf(this.#mailbox, origin)] = injected
    return this.#waiting.written
  }
}
