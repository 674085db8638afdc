/**
 * Whether a backend keeps what it has given, and says the same of it in the next session. Nobody knows that of a new host: one message is taken
 * then, and the host looked at again before the others are. docs/decisions/0180-a-canary-before-the-mail.md
 */
import type { Log } from '#src/base/log.ts'
import type { BackendProfile } from '../backend/profile.ts'
import type { Capabilities, Listed } from '../backend/types.ts'
import type { BackendMemory } from './memory.ts'
import type { Plan } from './plan.ts'

/** How the messages of a session are asked for. */
export type Pace =
  /** All at once, as fast as the server sends. */
  | 'all'
  /** Each is durable before the next one is asked for: a server that removes what it gave can take no more than that from us. */
  | 'one-by-one'
  /** One message, then another session. */
  | 'one'

/** So few are asked for one by one: another session would take longer. */
const fewMessages = 20

/** `isSecond`: one message was taken in the session right before. */
export const paceOf = (
  { memory, fetch, doubted }: Plan,
  { learned }: BackendProfile,
  capabilities: Capabilities,
  isSecond: boolean,
): Pace => {
  if (doubted) return 'one-by-one'
  if (memory.keeps) return 'all'
  if (learned.afterRetrieve === 'removes' || capabilities.expireDays === 0) return 'one-by-one'
  if (learned.afterRetrieve === 'keeps') return 'all'
  // Where one has been taken already nothing was learned of it; and some hosts don't want to be asked again at once.
  const isTaken = memory.given !== undefined || memory.givenAway !== undefined || isSecond
  return isTaken || capabilities.loginDelaySeconds > 0 || fetch.length <= fewMessages ? 'one-by-one' : 'one'
}

/** Whether the host does not list what it has given, as far as this maildrop knows. */
export const removes = ({ keeps }: BackendMemory, { learned }: BackendProfile): boolean =>
  !keeps && learned.afterRetrieve === 'removes'

/** From now on the messages of the maildrop are told by their headers: its unique-ids don't last. Those of the host's other accounts may: only those that have no mail yet begin so. */
export const withByHeaders = (memory: BackendMemory, { learned }: BackendProfile, log: Log): BackendMemory => {
  if (memory.byHeaders === true) return memory
  log.log('notice', 'the backend gives other unique-ids in every session; messages are told by their headers')
  learned.unstableUidls = true
  return { ...memory, byHeaders: true }
}

/** What this session's listing says of the messages that an earlier one retrieved. */
export const learnFromPlan = (plan: Plan, { learned }: BackendProfile, log: Log): void => {
  if (plan.removed && learned.afterRetrieve !== 'removes') {
    learned.afterRetrieve = 'removes'
    log.log('notice', 'the backend does not list what it has given; its messages are fetched one by one from now on')
  } else if (plan.memory.keeps) learned.afterRetrieve ??= 'keeps'
}

/** Fewer tell nothing. */
const comparedMessages = 3

/** What two listings in a row say of unique-ids and order. Mail that comes or goes between them changes neither. Answers whether the unique-ids are others. */
export const learnFromListings = (
  before: readonly Listed[],
  after: readonly Listed[],
  { learned }: BackendProfile,
  log: Log,
): boolean => {
  const places = new Map(after.map(({ uidl }, place) => [uidl, place]))
  const known = before.filter(({ uidl }) => uidl !== '')
  const found = known.flatMap(({ uidl }) => places.get(uidl) ?? [])
  if (known.length < comparedMessages) return false
  if (found.length < known.length / 2 && after.length >= known.length / 2) return true
  if (found.some((place, index) => index > 0 && place < found[index - 1]!)) {
    if (learned.reorders !== true) log.log('notice', 'the backend lists its messages in another order in every session')
    learned.reorders = true
  }
  return false
}
