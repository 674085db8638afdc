/** What is remembered of a backend from session to session, in the account's own log, and how it is read back. */
import type { MailboxId, Uid } from '#src/base/ids.ts'
import { isJsonObject } from '#src/base/json-record.ts'

/** Announced octets by the UID that the message had here; 0 where the backend told none. */
export type SizesByUid = Readonly<Record<string, number>>

export interface BackendMemory {
  /** A message of `given` has been listed again later: retrieving does not remove. */
  readonly keeps: boolean
  /** UIDs of the last session that retrieved something and whose QUIT was confirmed; until at least half of them were listed again. */
  readonly given?: { readonly from: Uid; readonly below: Uid }
  /** Once `keeps`: what has this UID or a greater one was not listed since it was given, as far as is known; if it goes, the backend may have removed it for that. */
  readonly provenBelow?: Uid
  /** So many were missing in the last session and stayed here. */
  readonly held?: number
  /** What a submission server took, or a server of the site refused, up to then (seconds since 1970) was retrieved in sessions whose QUIT was confirmed; until `keeps`. */
  readonly givenAway?: number
  /** Since when (seconds since 1970), and in how many sessions, most of the mail has been missing. */
  readonly missing?: { readonly since: number; readonly sessions: number }
  /** Unique-ids of this maildrop don't last: its messages are told by their headers. */
  readonly byHeaders?: true
  /** Marked with DELE in sessions that no QUIT has confirmed. */
  readonly asked?: SizesByUid
  /** Marked with DELE and confirmed by QUIT: if the origin is listed again, the deletion is not for what it names now. */
  readonly deleted?: SizesByUid
  /** The last session had `ignore_frontend_deletes`. */
  readonly ignoring?: true
  /** Departures up to this MODSEQ belong to a time of `ignore_frontend_deletes`: they never reach the backend. */
  readonly ignoredUpTo?: number
}

const sizesOf = (value: unknown): SizesByUid | undefined => {
  if (!isJsonObject(value)) return undefined
  const sizes = Object.entries(value).flatMap(([uid, size]) => (typeof size === 'number' ? [[uid, size] as const] : []))
  return sizes.length === 0 ? undefined : Object.fromEntries(sizes)
}

/** UIDs and MODSEQs are those of one mailbox: in another one they say nothing. */
export const readMemory = (value: unknown, mailbox: MailboxId): BackendMemory => {
  if (!isJsonObject(value)) return { keeps: false }
  const keeps = value.keeps === true
  const always = {
    ...(value.ignoring === true ? ({ ignoring: true } as const) : {}),
    ...(value.byHeaders === true ? ({ byHeaders: true } as const) : {}),
    ...(typeof value.givenAway === 'number' ? { givenAway: value.givenAway } : {}),
    ...(typeof value.held === 'number' ? { held: value.held } : {}),
  }
  const { missing, ignoredUpTo } = value
  const since = isJsonObject(missing) && typeof missing.since === 'number' ? missing.since : undefined
  const sessions = isJsonObject(missing) && typeof missing.sessions === 'number' ? missing.sessions : undefined
  const suspicion = since === undefined || sessions === undefined ? {} : { missing: { since, sessions } }
  if (value.mailbox !== mailbox) return { keeps, ...suspicion, ...always }
  const { given } = value
  const { from, below } = isJsonObject(given) ? given : {}
  const [asked, deleted] = [sizesOf(value.asked), sizesOf(value.deleted)]
  return {
    keeps,
    ...(typeof from === 'number' && typeof below === 'number'
      ? { given: { from: from as Uid, below: below as Uid } }
      : {}),
    ...(typeof value.provenBelow === 'number' ? { provenBelow: value.provenBelow as Uid } : {}),
    ...suspicion,
    ...(asked === undefined ? {} : { asked }),
    ...(deleted === undefined ? {} : { deleted }),
    ...always,
    ...(typeof ignoredUpTo === 'number' ? { ignoredUpTo } : {}),
  }
}

/** `now`, and what `before` remembers of deletions. */
export const withDeletionsOf = (before: BackendMemory, now: BackendMemory): BackendMemory => ({
  ...now,
  ...(before.asked === undefined ? {} : { asked: { ...before.asked, ...now.asked } }),
  ...(before.deleted === undefined ? {} : { deleted: { ...before.deleted, ...now.deleted } }),
})

export const writtenMemory = (memory: BackendMemory, mailbox: MailboxId): unknown => ({ ...memory, mailbox })

/** SHA-256 of messages by UID, as `MessageRecord.digest` has it. */
export const readContents = (value: unknown, mailbox: MailboxId): ReadonlyMap<string, string> => {
  const digests = isJsonObject(value) && value.mailbox === mailbox && isJsonObject(value.digests) ? value.digests : {}
  return new Map(
    Object.entries(digests).flatMap(([uid, digest]) => (typeof digest === 'string' ? [[uid, digest] as const] : [])),
  )
}

export const writtenContents = (digests: ReadonlyMap<string, string>, mailbox: MailboxId): unknown =>
  digests.size === 0 ? undefined : { digests: Object.fromEntries(digests), mailbox }
