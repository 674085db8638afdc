/** The mailbox here that a POP3 backend fills. */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId } from '#src/base/ids.ts'
import type { Account, Mailbox } from '#src/store/types.ts'

const keyOf = (url: string, name: string): string => `mailbox ${url} ${name}`

/** Undefined when it has filled none yet. `name`: of the record. */
export const filledId = async (account: Account, name: string, url: string): Promise<MailboxId | undefined> =>
  (await account.get(keyOf(url, name))) as MailboxId | undefined

/** The one that the maildrop has filled so far, also when a client renamed it. docs/decisions/0085-a-renamed-mailbox.md */
export const openFilled = async (account: Account, name: string, url: string): Promise<Mailbox> => {
  const filled = await filledId(account, name, url)
  const mailbox = await findMailbox(account, name)
  if (mailbox !== undefined && mailbox.id === filled) return mailbox
  if (filled !== undefined)
    for (const { name: other, selectable } of await account.list()) {
      if (!selectable || other === name || (await account.status(other)).mailboxId !== filled) continue
      await mailbox?.close()
      return account.open(other)
    }
  const fresh = mailbox ?? (await makeMailbox(account, name))
  await account.put({ [keyOf(url, name)]: fresh.id })
  return fresh
}

const findMailbox = async (account: Account, name: string): Promise<Mailbox | undefined> => {
  try {
    return await account.open(name)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined
    throw error
  }
}

const makeMailbox = async (account: Account, name: string): Promise<Mailbox> => {
  await account.create(name).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
  })
  return account.open(name)
}
