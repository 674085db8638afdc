/** Where a message of an IMAP backend comes from: `imap://user@host/`, UIDVALIDITY, `/`, UID. The mailbox's name is left out, since renames keep the rest. */
import type { Uid } from '#src/base/ids.ts'

/** `url`: `imapUrl` of the backend. */
export const originOf = (url: string, uidValidity: number, uid: Uid): string => originPrefix(url, uidValidity) + uid

/** What stands before the UID in the origins of one mailbox. */
export const originPrefix = (url: string, uidValidity: number): string => `${url}${uidValidity}/`

/** Undefined for an origin of another backend. */
export function parseOrigin(
  url: string,
  origin: string,
): { readonly uidValidity: number; readonly uid: Uid } | undefined {
  if (!origin.startsWith(url)) return undefined
  const slash = origin.indexOf('/', url.length)
  const [uidValidity, uid] = [Number(origin.slice(url.length, slash)), Number(origin.slice(slash + 1))]
  return slash > 0 && Number.isInteger(uidValidity) && Number.isInteger(uid)
    ? { uidValidity, uid: uid as Uid }
    : undefined
}

/** Of a message that was sent to a backend which tells no UIDs, and was not found there again. It is not sent a second time. */
export const originOfLost = (url: string, uid: Uid): string => originOf(url, 0, uid)
