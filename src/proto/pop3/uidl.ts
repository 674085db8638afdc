/** unique-ids: 1 to 70 octets from 0x21 to 0x7E. RFC 1939 §7 */

const MAX_OCTETS = 70
const UNIQUE_ID = /^[\x21-\x7e]{1,70}$/

/** What of a message makes its unique-id. */
export interface Identity {
  readonly uid: number
  /** The unique-id of where the message came from, if it came from a maildrop. */
  readonly uidl: string | undefined
}

/**
 * Unique-ids for the messages of a maildrop, ascending by UID: the one that the message brought along, else
 * `<UIDVALIDITY>-<UID>` in hex. Of messages that brought the same, from two backends, all but the first get their UID behind it.
 */
export function uniqueIds(uidValidity: number, messages: readonly Identity[]): readonly string[] {
  const used = new Set<string>()
  return messages.map(({ uid, uidl }) => {
    const own = `${hex(uidValidity)}-${hex(uid)}`
    const given = uidl !== undefined && UNIQUE_ID.test(uidl) ? uidl : own
    let id = given
    for (let n = 0; used.has(id); n++) {
      const suffix = n === 0 ? `:${own}` : `:${own}:${n}`
      id = given.slice(0, MAX_OCTETS - suffix.length) + suffix
    }
    used.add(id)
    return id
  })
}

const hex = (n: number): string => n.toString(16).padStart(8, '0')
