/** A large message on its way to a backend, from a stream: imapflow holds all of it in memory. RFC 9051 §6.3.12, RFC 4315 §3, RFC 3516 */
import { formatDateTime } from '#src/proto/imap/date-time.ts'
import { encodeMailboxName } from '#src/proto/imap/mailbox-name.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { ImapConnection, StreamedLiteral } from './connection.ts'

export interface AppendRequest {
  readonly path: string
  /** Flags and keywords as the backend takes them. */
  readonly flags: readonly string[]
  /** Seconds since 1970. */
  readonly internalDate: number
  readonly content: StreamedLiteral
}

/** Answers what the message became where the server tells it. Throws BackendError, of kind `temporary` with the server's words when it refuses. */
export async function append(
  connection: ImapConnection,
  { path, flags, internalDate, content }: AppendRequest,
): Promise<{ readonly uidValidity: number; readonly uid: number } | undefined> {
  const name = encodeMailboxName(path).replace(/["\\]/g, '\\$&')
  const status = await connection.run({
    words: [`APPEND "${name}" (${flags.join(' ')}) ${formatDateTime(internalDate)} `, content],
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend refused to take a message', {
      serverText: printable(`${status.code === undefined ? '' : `[${status.code}] `}${status.text}`),
    })
  const [, uidValidity, uid] = /^([0-9]{1,10}) ([0-9]{1,10})$/.exec(status.codeText) ?? []
  return status.code === 'APPENDUID' && uid !== undefined
    ? { uidValidity: Number(uidValidity), uid: Number(uid) }
    : undefined
}
