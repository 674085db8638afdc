/** Annotations of a mailbox there. RFC 5464 §4.2 */
import { encodeMailboxName } from '#src/proto/imap/mailbox-name.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { ImapConnection } from './connection.ts'
import { parseValues, type Value } from './values.ts'

export interface MetadataThere {
  /** By entry, in lower case; octets in latin1. */
  readonly entries: ReadonlyMap<string, string>
  /** Octets of the largest value that is larger than what was asked for; undefined where there is none. */
  readonly largest: number | undefined
}

/**
 * All that the user may see, of values up to `maxOctets`. `path`: '' for the server. Throws BackendError, of kind `temporary` with the server's words when it
 * refuses.
 */
export const getMetadata = async (
  connection: ImapConnection,
  path: string,
  maxOctets: number,
): Promise<MetadataThere> => {
  const entries = new Map<string, string>()
  const name = `"${encodeMailboxName(path).replace(/["\\]/g, '\\$&')}"`
  const status = await connection.run({
    words: [`GETMETADATA (MAXSIZE ${maxOctets} DEPTH infinity) ${name} (/private /shared)`],
    untagged: (parts) => {
      if (!/^METADATA /i.test(String(parts[0]))) return
      const pairs = parseValues(parts)[2]
      if (!Array.isArray(pairs)) return
      for (let at = 0; at + 1 < pairs.length; at += 2) {
        const value = octetsOf(pairs[at + 1]!)
        if (value !== undefined) entries.set((octetsOf(pairs[at]!) ?? '').toLowerCase(), value)
      }
    },
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not tell the annotations of a mailbox', {
      serverText: printable(status.text),
    })
  const longest = status.code === 'METADATA' ? /^LONGENTRIES (\d{1,15})$/i.exec(status.codeText)?.[1] : undefined
  return { entries, largest: longest === undefined ? undefined : Number(longest) }
}

/** Undefined for NIL: nothing is set. */
const octetsOf = (value: Value): string | undefined => {
  if (value === null) return undefined
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  throw new BackendError('protocol', 'the backend sent something that is no annotation')
}
