/**
 * Two states of one mailbox in, operations out: what an IMAP backend has and what the mailbox here knows. No input or output, no clock.
 *
 * The written rule for conflicts:
 * - a message is deleted on one side only because somebody deleted it on the other, and a deletion wins over a change of flags;
 * - flags that were changed here since the last pass win over those there; otherwise the backend's win;
 * - what disappears there is believed only from a complete answer, and a large part of a mailbox only when it stays away.
 */
import type { Uid } from '#src/base/ids.ts'
import type { ExpungeCause, Flag } from '#src/store/types.ts'

/** A message here that came from this backend mailbox, or was put there by us. */
export interface HereMessage {
  readonly uid: Uid
  readonly flags: ReadonlySet<Flag>
  /** Its flags were changed here since the last pass. */
  readonly changed: boolean
}

/** What the backend said, all of it or what is new. */
export interface ThereState {
  /** Flags by UID there, without \Recent: of every message, or of those that are new or changed since the last pass. */
  readonly flags: ReadonlyMap<Uid, ReadonlySet<Flag>>
  /** UIDs there that we knew and that are gone. */
  readonly vanished: readonly Uid[]
  /** Nothing is missing in the two above: the listing agrees with EXISTS. */
  readonly complete: boolean
  /** Messages there now. */
  readonly exists: number
  /** The flags that the backend can keep; undefined: any keyword too (`\*`). RFC 9051 §7.1 PERMANENTFLAGS */
  readonly permanent: ReadonlySet<Flag> | undefined
  /** The mailbox is open for reading only. */
  readonly readOnly: boolean
}

export interface MailboxPolicy {
  /** Newest backend messages to show; 0: all. GW-20 */
  readonly fetchLastN: number
  /** Deletions of one pass; the rest follows in the next. */
  readonly deletionsPerPass: number
  /** Migration: nothing is changed at the backend, whose mailboxes are open for reading only; changes here stay. MIG-07 */
  readonly pullOnly?: boolean | undefined
}

export interface Suspicion {
  /** Since when (seconds since 1970), and in how many passes, most of the mail has been missing. */
  readonly since: number
  readonly passes: number
}

export interface MailboxInput {
  /** By UID there. */
  readonly here: ReadonlyMap<Uid, HereMessage>
  /** Of messages that left here, by UID there. */
  readonly departed: ReadonlyMap<Uid, ExpungeCause>
  /** Here and not there yet: put here by a client, a copy or a move. */
  readonly own: readonly Uid[]
  readonly there: ThereState
  readonly suspicion: Suspicion | undefined
  readonly policy: MailboxPolicy
  /** Seconds since 1970. */
  readonly now: number
}

/** Single flags where it is known what the message has there, so that others' changes of other flags are kept; else all of them. */
export type FlagChanges =
  | { readonly uid: Uid; readonly add: readonly Flag[]; readonly remove: readonly Flag[] }
  | { readonly uid: Uid; readonly set: readonly Flag[] }

export interface MailboxPlan {
  /** UIDs there, ascending. */
  readonly fetch: readonly Uid[]
  /** UIDs here. */
  readonly expungeHere: readonly Uid[]
  /** UIDs here: older than the newest `fetchLastN`. */
  readonly pushOut: readonly Uid[]
  /** UIDs here and the flags that they are to have. */
  readonly flagsHere: readonly { readonly uid: Uid; readonly flags: readonly Flag[] }[]
  /** UIDs there. */
  readonly flagsThere: readonly FlagChanges[]
  /** UIDs there. */
  readonly deleteThere: readonly Uid[]
  /** UIDs here. */
  readonly upload: readonly Uid[]
  /** UIDs there that left here and are gone there too: nothing has to be remembered of them. */
  readonly forget: readonly Uid[]
  readonly suspicion: Suspicion | undefined
  /** So many messages are missing there, and that is not believed (yet). */
  readonly held: number
}

/** Missing messages up to this number are believed even when they are most of the mailbox, as long as something is left. */
const believedCount = 10
export const confirmPasses = 3
export const confirmSeconds = 86_400

export function planMailbox(input: MailboxInput): MailboxPlan {
  const { here, departed, there, policy } = input
  const fetch: Uid[] = []
  const deleteThere: Uid[] = []
  const flagsHere: { uid: Uid; flags: readonly Flag[] }[] = []
  const flagsThere: FlagChanges[] = []
  for (const [uid, flags] of there.flags) {
    const message = here.get(uid)
    if (message !== undefined) {
      if (message.changed && !there.readOnly) addChange(flagsThere, uid, message.flags, flags, there.permanent)
      else if (message.changed && policy.pullOnly) continue
      else if (!sameFlags(message.flags, flags, there.permanent))
        flagsHere.push({ uid: message.uid, flags: [...flags, ...notKeptThere(message.flags, there.permanent)] })
      continue
    }
    const cause = departed.get(uid)
    if (cause === undefined || cause === 'backend') fetch.push(uid)
  }
  // What was changed or deleted here is told there, whether or not the backend mentions the message.
  if (!there.readOnly) {
    const gone = new Set(there.vanished)
    for (const [uid, message] of here)
      if (message.changed && !there.flags.has(uid) && !gone.has(uid))
        flagsThere.push({ uid, set: [...message.flags].filter((flag) => keeps(there.permanent, flag)) })
    for (const [uid, cause] of departed)
      if (cause === 'client' && !gone.has(uid) && deleteThere.length < policy.deletionsPerPass) deleteThere.push(uid)
  }
  const { believed, suspicion } = judge(input)
  const missing = there.vanished.flatMap((uid) => here.get(uid)?.uid ?? [])
  const expungeHere = believed ? missing : []
  const window = windowOf(input, fetch, believed ? new Set(there.vanished) : new Set())
  return {
    fetch: window.fetch,
    expungeHere: expungeHere.toSorted((a, b) => a - b),
    pushOut: window.pushOut,
    flagsHere,
    flagsThere,
    deleteThere: deleteThere.toSorted((a, b) => a - b),
    upload: there.readOnly ? [] : input.own,
    forget: believed ? there.vanished.filter((uid) => departed.has(uid)) : [],
    suspicion,
    held: believed ? 0 : missing.length,
  }
}

/** Whether what is missing there was really deleted there. */
function judge({ here, there, suspicion, now }: MailboxInput): { believed: boolean; suspicion: Suspicion | undefined } {
  // An incomplete answer is no evidence either way.
  if (!there.complete) return { believed: false, suspicion }
  const missing = there.vanished.filter((uid) => here.has(uid)).length
  const suspicious =
    (missing > believedCount && missing > here.size / 2) || (missing > 0 && there.exists === 0 && here.size > 1)
  if (!suspicious) return { believed: true, suspicion: undefined }
  const seen = { since: suspicion?.since ?? now, passes: (suspicion?.passes ?? 0) + 1 }
  const confirmed = seen.passes >= confirmPasses && now - seen.since >= confirmSeconds
  return confirmed ? { believed: true, suspicion: undefined } : { believed: false, suspicion: seen }
}

/** The newest `fetchLastN` of what is there; UIDs ascend with arrival. */
function windowOf(
  { here, policy }: MailboxInput,
  wanted: readonly Uid[],
  gone: ReadonlySet<Uid>,
): { fetch: readonly Uid[]; pushOut: readonly Uid[] } {
  const fetch = wanted.toSorted((a, b) => a - b)
  if (policy.fetchLastN <= 0) return { fetch, pushOut: [] }
  const all = [...fetch, ...[...here.keys()].filter((uid) => !gone.has(uid))].sort((a, b) => a - b)
  const first = all.at(-policy.fetchLastN) ?? (0 as Uid)
  const pushOut = [...here].flatMap(([uid, message]) => (uid < first && !gone.has(uid) ? [message.uid] : []))
  return { fetch: fetch.filter((uid) => uid >= first), pushOut: pushOut.sort((a, b) => a - b) }
}

function addChange(
  changes: FlagChanges[],
  uid: Uid,
  wanted: ReadonlySet<Flag>,
  has: ReadonlySet<Flag>,
  permanent: ReadonlySet<Flag> | undefined,
): void {
  const add = [...wanted].filter((flag) => !contains(has, flag) && keeps(permanent, flag))
  const remove = [...has].filter((flag) => !contains(wanted, flag) && keeps(permanent, flag))
  if (add.length + remove.length > 0) changes.push({ uid, add, remove })
}

/** Flags that only we can keep don't count as a difference. */
function sameFlags(a: ReadonlySet<Flag>, b: ReadonlySet<Flag>, permanent: ReadonlySet<Flag> | undefined): boolean {
  return (
    [...a].every((flag) => contains(b, flag) || !keeps(permanent, flag)) && [...b].every((flag) => contains(a, flag))
  )
}

function notKeptThere(flags: ReadonlySet<Flag>, permanent: ReadonlySet<Flag> | undefined): Flag[] {
  return [...flags].filter((flag) => !keeps(permanent, flag))
}

/** Flags are compared without case. RFC 9051 §2.3.2 */
function contains(flags: ReadonlySet<Flag>, wanted: Flag): boolean {
  if (flags.has(wanted)) return true
  const lower = wanted.toLowerCase()
  for (const flag of flags) if (flag.toLowerCase() === lower) return true
  return false
}

function keeps(permanent: ReadonlySet<Flag> | undefined, flag: Flag): boolean {
  return permanent === undefined || contains(permanent, flag)
}
