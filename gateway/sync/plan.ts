/**
 * Two states in, operations out: what the backend lists and what the mailbox knows. No input or output, no clock.
 * The rules about what disappears, and why: docs/decisions/0083-when-a-listing-is-believed.md.
 */
import type { Uid } from '#src/base/ids.ts'
import type { OriginState } from '#src/store/types.ts'
import type { Identified } from './origin.ts'

/** What is remembered of a backend from session to session, in the account's own log. */
export interface BackendMemory {
  /** A message that was retrieved has been listed again later: retrieving does not remove. */
  readonly keeps: boolean
  /** Since when (seconds since 1970), and in how many sessions, most of the mail has been missing. */
  readonly missing?: { readonly since: number; readonly sessions: number }
}

export interface Policy {
  /** Newest backend messages to show; 0: all. */
  readonly fetchLastN: number
  readonly ignoreFrontendDeletes: boolean
}

export interface PlanInput {
  /** In the backend's order, oldest first. */
  readonly listed: readonly Identified[]
  /** Every message of the backend is in `listed`. */
  readonly complete: boolean
  /** The server announces that it removes mail by itself. RFC 2449 §6.7 */
  readonly expires: boolean
  /** Of this backend only. */
  readonly present: ReadonlyMap<string, Uid>
  readonly departed: ReadonlyMap<string, OriginState & { present: false }>
  readonly memory: BackendMemory
  readonly policy: Policy
  /** Seconds since 1970. */
  readonly now: number
}

export interface Plan {
  /** In the backend's order. */
  readonly fetch: readonly Identified[]
  /** Departed origins that are to come back: forgotten first, then fetched. */
  readonly readmit: readonly string[]
  /** Vanished at the backend. */
  readonly expungeHere: readonly Uid[]
  /** Older than the newest `fetchLastN`. */
  readonly pushOut: readonly Uid[]
  readonly deleteThere: readonly Identified[]
  /** Departed, and not listed any more. */
  readonly forget: readonly string[]
  readonly memory: BackendMemory
  /** So many messages are missing at the backend, and that is not believed (yet). */
  readonly held: number
}

/** Missing messages up to this number are believed even when they are most of the mailbox, as long as something is left. */
const believedCount = 10
const confirmSessions = 3
const confirmSeconds = 86_400

export const plan = (input: PlanInput): Plan => {
  const { listed, complete, expires, present, departed, policy, now } = input
  const origins = new Set(listed.map(({ origin }) => origin))
  const window = policy.fetchLastN > 0 ? listed.slice(-policy.fetchLastN) : listed

  const fetch: Identified[] = []
  const readmit: string[] = []
  for (const entry of window) {
    if (present.has(entry.origin)) continue
    const left = departed.get(entry.origin)
    if (left?.cause === 'client') continue
    if (left !== undefined) readmit.push(entry.origin)
    fetch.push(entry)
  }

  const missing: Uid[] = []
  for (const [origin, uid] of present) if (!origins.has(origin)) missing.push(uid)
  const keeps = input.memory.keeps || missing.length < present.size
  const suspicious =
    missing.length > 0 && (listed.length === 0 || (missing.length > believedCount && missing.length > present.size / 2))
  const before = input.memory.missing ?? { since: now, sessions: 0 }
  const seen = complete && suspicious ? { since: before.since, sessions: before.sessions + 1 } : undefined
  const confirmed = seen !== undefined && seen.sessions >= confirmSessions && now - seen.since >= confirmSeconds
  const believed = complete && keeps && !expires && (!suspicious || confirmed)
  const unlisted = [...departed.keys()].filter((origin) => !origins.has(origin))
  // An incomplete listing is no evidence either way: it neither adds to nor ends a suspicion.
  const missingNow = !complete ? input.memory.missing : confirmed ? undefined : seen

  const pushedOut = complete ? listed.slice(0, listed.length - window.length) : []
  return {
    fetch,
    readmit,
    expungeHere: believed ? missing : [],
    pushOut: pushedOut.flatMap(({ origin }) => present.get(origin) ?? []),
    deleteThere: policy.ignoreFrontendDeletes
      ? []
      : listed.filter(({ origin }) => departed.get(origin)?.cause === 'client'),
    forget: complete && (!suspicious || confirmed) ? unlisted : [],
    memory: missingNow === undefined ? { keeps } : { keeps, missing: missingNow },
    held: believed ? 0 : missing.length,
  }
}
