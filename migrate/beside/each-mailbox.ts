/** One question about each mailbox, asked once in the life of an account: what its owner changes here does not come back. */
import { BackendError } from '#gateway/backend/errors.ts'
import type { ImapConnection } from '#gateway/backend/imap/connection.ts'
import { BackendMemory, type KnownPair } from '#gateway/sync/imap/memory.ts'
import type { MailboxId } from '#src/base/ids.ts'
import type { Account } from '#src/store/types.ts'

/** Commands under way at the same time. */
const atOnce = 20

export interface Questions<Answer> {
  readonly account: Account
  /** Of the backend. */
  readonly url: string
  /** Where the account notes whom it asked about. */
  readonly key: string
  /** `path`: as the backend calls the mailbox. */
  readonly ask: (path: string) => Promise<Answer>
  readonly answered: (mailbox: KnownPair, answer: Answer) => Promise<void>
  /** A refusal is an answer about this mailbox; it is asked about again some other time. */
  readonly refused: (mailbox: KnownPair, error: BackendError) => void
}

/** Answers how to note that they were asked about, once what came of it is kept. Throws BackendError of a lost connection, StoreError. */
export const askEach = async <Answer>(
  connection: ImapConnection,
  { account, url, key, ask, answered, refused }: Questions<Answer>,
): Promise<() => Promise<void>> => {
  const done = new Set((await account.get(key)) as readonly MailboxId[] | undefined)
  const pairs = (await new BackendMemory(account, url).tree()).pairs.filter(({ idHere }) => !done.has(idHere))
  const asked: MailboxId[] = []
  const askOne = async (path: string): Promise<Answer | BackendError> => {
    try {
      return await ask(path)
    } catch (error) {
      if (!(error instanceof BackendError) || connection.failure !== undefined) throw error
      return error
    }
  }
  for (let first = 0; first < pairs.length; first += atOnce) {
    const some = pairs.slice(first, first + atOnce)
    const answers = await Promise.all(some.map(({ path }) => askOne(path)))
    for (const [at, answer] of answers.entries()) {
      const pair = some[at]!
      if (answer instanceof BackendError) {
        refused(pair, answer)
        continue
      }
      asked.push(pair.idHere)
      await answered(pair, answer)
    }
  }
  return async () => {
    if (asked.length > 0) await account.put({ [key]: [...done, ...asked] })
  }
}
