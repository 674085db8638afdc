/** How much mail a user may have there. RFC 9208 §4.1.3, and the older RFC 2087 */
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { ImapConnection } from './connection.ts'
import { parseValues } from './values.ts'

/** Undefined: no limit is told. */
export interface LimitsThere {
  /** Units of 1,024 octets. RFC 9208 §5.1 */
  readonly storageKb: number | undefined
  readonly messages: number | undefined
}

export const knowsQuota = (capabilities: ReadonlySet<string>): boolean =>
  capabilities.has('QUOTA') || [...capabilities].some((name) => name.startsWith('QUOTA=RES-'))

/** The narrowest limits of the roots that INBOX counts for. Throws BackendError, of kind `temporary` with the server's words when it refuses. */
export const getQuota = async (connection: ImapConnection): Promise<LimitsThere> => {
  const limits = new Map<string, number>()
  const status = await connection.run({
    words: ['GETQUOTAROOT "INBOX"'],
    untagged: (parts) => {
      if (!/^QUOTA /i.test(String(parts[0]))) return
      const resources = parseValues(parts)[2]
      if (!Array.isArray(resources)) return
      for (let at = 0; at + 2 < resources.length; at += 3) {
        const name = String(resources[at]).toUpperCase()
        const limit = String(resources[at + 2])
        if (/^\d{1,15}$/.test(limit)) limits.set(name, Math.min(Number(limit), limits.get(name) ?? Infinity))
      }
    },
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not tell the quota', { serverText: printable(status.text) })
  return { storageKb: limits.get('STORAGE'), messages: limits.get('MESSAGE') }
}
