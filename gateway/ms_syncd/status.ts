/** What is told of the backends of users: in events, to msstat. Never a reply, which is the backend's text, and never a credential. */
import type { EventFields } from '#src/events/types.ts'
import type { BackendErrorKind } from '../backend/errors.ts'
import { Slice } from '../backend/slice.ts'

/** How the last session ended, when it did not go well. */
export type Outcome = BackendErrorKind | 'store'

export type LinkState =
  /** No session before somebody logs in or asks. */
  | 'idle'
  /** Another node of the store polls the user. */
  | 'elsewhere'
  /** For the next session. */
  | 'waiting'
  /** For other sessions to end. */
  | 'queued'
  | 'syncing'
  /** By LOGIN-DELAY, for longer than it would. */
  | 'login-delay'
  /** The backend asked for less: this account, or the host. */
  | 'throttled'
  /** The host can't be reached. */
  | 'away'
  /** Quiet hours of the host. */
  | 'quiet'
  /** The last session failed; it is tried again. */
  | 'failing'
  /** The password was refused, and is not tried again. */
  | 'refused'
  /** Its owner has to allow access at the provider. */
  | 'needs-consent'

export interface LinkStatus {
  /** `pop://pop.example.net:110` */
  readonly backend: string
  readonly mailbox: string
  readonly state: LinkState
  /** How the last session ended, when it did not go well, or what it left undone. */
  readonly reason?: string
  /** Messages that are missing at the backend and stay here, as of the last session. */
  readonly held?: number
  /** End of the last session that went well, and begin of the next one: milliseconds since 1970. */
  readonly last?: number
  readonly next?: number
  /** While it is syncing: since when, milliseconds since 1970. */
  readonly since?: number
  /** While it is syncing: messages that are to come, and when they will be here if it goes on like this, milliseconds since 1970. */
  readonly left?: number
  readonly eta?: number
  /** Milliseconds from when the last session was due to its begin. */
  readonly late?: number
  /** In a row. */
  readonly failures: number
  /** Since ms_syncd was started: sessions that went well, messages and octets that were fetched. */
  readonly sessions: number
  readonly fetched: number
  readonly octets: number
  /** Messages at the backend, as of the last session. */
  readonly listed: number
}

export interface UserStatus extends LinkStatus {
  readonly user: string
}

/** Fields of a `backend` event. */
export const eventFields = (user: string, status: LinkStatus): EventFields => ({ user, ...status })

/** Users and what was fetched, in all; how many backends are in each state. */
export interface Totals {
  readonly users: number
  readonly backends: number
  readonly fetched: number
  readonly octets: number
  readonly states: Readonly<Partial<Record<LinkState, number>>>
  /** Sessions that run, and that wait for a slot. */
  readonly running: number
  readonly waiting: number
}

export const totalsOf = async (
  statuses: Iterable<UserStatus>,
  counts: { readonly users: number; readonly running: number; readonly waiting: number },
): Promise<Totals> => {
  const slice = new Slice()
  const states: Partial<Record<LinkState, number>> = {}
  let [backends, fetched, octets] = [0, 0, 0]
  for (const status of statuses) {
    if (slice.isOver()) await slice.next()
    states[status.state] = (states[status.state] ?? 0) + 1
    backends++
    fetched += status.fetched
    octets += status.octets
  }
  return { ...counts, backends, fetched, octets, states }
}

interface Facts {
  readonly phase: 'resting' | 'queued' | 'running'
  readonly stopped: boolean
  readonly outcome: Outcome | undefined
  readonly isPolled: boolean
  readonly isMine: boolean
  readonly isPaused: boolean
  readonly isDelayed: boolean
  readonly held: 'throttled' | 'away' | 'quiet' | undefined
}

export const linkState = (facts: Facts): LinkState => {
  const { phase, stopped, outcome, isPolled, isMine, isPaused, isDelayed, held } = facts
  if (phase === 'running') return 'syncing'
  if (phase === 'queued') return 'queued'
  if (stopped) return outcome === 'needs-consent' ? 'needs-consent' : 'refused'
  if (!isPolled) return outcome === undefined ? 'idle' : 'failing'
  if (!isMine) return 'elsewhere'
  if (held !== undefined) return held
  if (isPaused || outcome === 'throttled') return 'throttled'
  if (outcome !== undefined) return 'failing'
  return isDelayed ? 'login-delay' : 'waiting'
}

/** A line of its own for each way to fail. */
const outcomes: Readonly<Record<string, string>> = {
  auth: 'the backend refuses the password',
  'needs-consent': 'its owner has to consent to the access: msadm oauth consent',
  'in-use': 'the maildrop is in use by another session',
  'login-delay': 'the backend wants a longer pause between logins',
  throttled: 'the backend asks for fewer sessions or less traffic',
  temporary: 'the backend has a passing failure',
  permanent: 'the backend refuses, and says that it needs its administrator',
  'over-quota': 'the account has no room left at the backend',
  gone: 'the backend does not have the mailbox any more',
  unsupported: 'the backend does not know what is asked of it',
  connect: 'the backend can not be reached',
  timeout: 'the backend does not answer in time',
  closed: 'the backend closed the connection',
  protocol: 'the backend does not speak POP3',
  limit: 'the backend sends more than is accepted',
  tls: 'the connection to the backend can not be protected',
  stopped: 'a message from the backend could not be taken',
  store: 'the store can not take the mail now',
}

export const heldText = (messages: number): string =>
  `${messages} missing at the backend, kept here until that is certain`

export const outcomeText = (outcome: Outcome): string => outcomes[outcome] ?? 'the backend session failed'
