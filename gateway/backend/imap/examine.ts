import { encodeMailboxName } from '#src/proto/imap/mailbox-name.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { ImapConnection } from './connection.ts'

/** Selects a mailbox so that nothing is changed by looking, and answers its UIDVALIDITY. RFC 9051 §6.3.3. Throws BackendError. */
export async function examine(connection: ImapConnection, path: string): Promise<number | undefined> {
  let uidValidity: number | undefined
  const name = encodeMailboxName(path).replace(/["\\]/g, '\\$&')
  const reply = await connection.run({
    words: [`EXAMINE "${name}"`],
    untagged: ([line]) => {
      const match = typeof line === 'string' ? /^OK \[UIDVALIDITY ([0-9]{1,10})\]/i.exec(line) : null
      if (match !== null) uidValidity = Number(match[1])
    },
  })
  if (reply.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not open a mailbox', { serverText: printable(reply.text) })
  return uidValidity
}
