/** Who else may see a mailbox there. RFC 4314 §3.3, and the older RFC 2086 */
import { encodeMailboxName } from '#src/proto/imap/mailbox-name.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { ImapConnection } from './connection.ts'
import { parseValues, type Value } from './values.ts'

export interface AclEntryThere {
  /** As the backend writes it, which is its own affair. */
  readonly identifier: string
  /** Letters, as the backend has them. */
  readonly rights: string
}

/** Of one mailbox, in the backend's order. Throws BackendError, of kind `temporary` with the server's words when it refuses. */
export const getAcl = async (connection: ImapConnection, path: string): Promise<readonly AclEntryThere[]> => {
  const entries: AclEntryThere[] = []
  const status = await connection.run({
    words: [`GETACL "${encodeMailboxName(path).replace(/["\\]/g, '\\$&')}"`],
    untagged: (parts) => {
      if (!/^ACL /i.test(String(parts[0]))) return
      const [, , ...pairs] = parseValues(parts)
      for (let at = 0; at + 1 < pairs.length; at += 2)
        entries.push({ identifier: textOf(pairs[at]!), rights: textOf(pairs[at + 1]!) })
    },
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not tell who may see a mailbox', {
      serverText: printable(status.text),
    })
  return entries
}

const textOf = (value: Value): string => {
  if (value === null) return 'NIL'
  if (typeof value === 'string') return Buffer.from(value, 'latin1').toString('utf8')
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  throw new BackendError('protocol', 'the backend sent something that is no access control list')
}
