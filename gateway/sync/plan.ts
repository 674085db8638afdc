/**
 * Two states in, operations out: what the backend lists and what the mailbox knows. No input or output, no clock.
 * The rules about what disappears, and why: docs/decisions/0083-when-a-listing-is-believed.md.
 */
import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { OriginState } from '#src/store/types.ts'
import { Slice } from '../backend/slice.ts'
import type { BackendMemory, SizesByUid } from './memory.ts'
import type { Identified } from './origin.ts'

export interface Policy {
  /** Newest backend messages to show; 0: all. */
  readonly fetchLastN: number
  readonly ignoreFrontendDeletes: boolean
  /** Migration: nothing is changed at the backend. What goes there stays here: it may be the server that tidies up. MIG-07 */
  readonly pullOnly?: boolean | undefined
  /** A way back: what was deleted here reaches the backend also when it was deleted under another policy. */
  readonly carriesBack?: boolean | undefined
}

export type Departed = OriginState & { readonly present: false }

export interface PlanInput {
  /** In the backend's order, oldest first. */
  readonly listed: readonly Identified[]
  /** Every message of the backend is in `listed`. */
  readonly complete: boolean
  /** The server announces that it removes mail by itself. RFC 2449 §6.7 */
  readonly expires: boolean
  /** Of this backend only. */
  readonly present: ReadonlyMap<string, Uid>
  readonly departed: ReadonlyMap<string, Departed>
  /** Of messages that a submission server took and that have not come back, or that were refused: when, in seconds since 1970. */
  readonly away: ReadonlyMap<string, number>
  /** Origins of messages that were moved to another backend's mailbox and are not there yet: not deleted. docs/decisions/0095-moved-there-not-sent.md */
  readonly awaited: ReadonlySet<string>
  /** Announced octets by message number; empty where they were not asked for. */
  readonly sizes: ReadonlyMap<number, number>
  /** INTERNALDATE of a present message, in seconds since 1970. */
  readonly receivedAt: (uid: Uid) => number
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
  /** At most `deletionsPerSession`. */
  readonly deleteThere: readonly Identified[]
  /** So many were deleted here, and what is listed in their place may be other messages: neither fetched nor deleted. */
  readonly withheld: number
  /** Departed, and not listed any more. */
  readonly forget: readonly string[]
  /** Of `away`, what is not listed any more. */
  readonly forgetAway: readonly string[]
  readonly memory: BackendMemory
  /** Everything that the last confirmed session retrieved is missing, and little else. */
  readonly removed: boolean
  /** What the listing says of messages in general counts. */
  readonly believed: boolean
  /** So many messages are missing at the backend and stay here: the listing is not believed (yet), or they went as no person deletes. */
  readonly held: number
  /** The backend kept what it had given before, and what it gave last is missing. */
  readonly doubted: boolean
}

/** Missing messages up to this number are believed even when they are most of the mailbox, as long as something is left. */
const believedCount = 10
const confirmSessions = 3
const confirmSeconds = 86_400
/** Servers show the mail of a month, or of some weeks: what is older than this, and than all that is listed, may still be there. */
const agedSeconds = 7 * 86_400
/** Bounds the memory of what was asked for; the rest follows in the next session. */
const deletionsPerSession = 10_000

const isIgnoring = ({ ignoreFrontendDeletes, pullOnly }: Policy): boolean => ignoreFrontendDeletes || pullOnly === true

/** A client deleted it here, and that is to reach the backend. */
export const isPending = ({ cause, modSeq }: Departed, memory: BackendMemory, policy: Policy): boolean =>
  cause === 'client' && !isIgnoring(policy) && modSeq > (memory.ignoredUpTo ?? -1)

/** `memory` of the last session, as the next one has to see it: whatever left here up to then left under the last one's policy. */
export const underPolicy = (memory: BackendMemory, policy: Policy, highestModSeq: ModSeq): BackendMemory => {
  if (isIgnoring(policy)) return memory
  const { ignoring, ...rest } = memory
  if (policy.carriesBack === true) {
    const { ignoredUpTo: _, ...all } = rest
    return all
  }
  if (ignoring !== true) return memory
  return { ...rest, ignoredUpTo: highestModSeq }
}

/** What to do about a listed message whose origin departed from here. docs/decisions/0086-a-deletion-hits-once.md */
const fateOf = (
  { number, unsure }: Identified,
  left: Departed,
  { memory, policy, sizes }: PlanInput,
): 'delete' | 'new' | 'withhold' | 'leave' => {
  if (left.cause !== 'client') return 'new'
  if (!isPending(left, memory, policy)) return 'leave'
  if (unsure) return 'withhold'
  const before = memory.asked?.[left.uid] ?? memory.deleted?.[left.uid]
  const size = sizes.get(number)
  if (before !== undefined && before > 0 && size !== undefined && size !== before) return 'new'
  return memory.deleted?.[left.uid] === undefined ? 'delete' : 'withhold'
}

export const plan = async (input: PlanInput): Promise<Plan> => {
  const { listed, complete, expires, present, departed, away, awaited, sizes, policy, now } = input
  const slice = new Slice()
  const windowStart = policy.fetchLastN > 0 ? Math.max(0, listed.length - policy.fetchLastN) : 0

  const origins = new Set<string>()
  const fetch: Identified[] = []
  const readmit: string[] = []
  const pushOut: Uid[] = []
  const deleteThere: Identified[] = []
  let withheld = 0
  for (const [index, entry] of listed.entries()) {
    if (slice.isOver()) await slice.next()
    origins.add(entry.origin)
    const uid = present.get(entry.origin)
    if (uid !== undefined) {
      if (index < windowStart && complete) pushOut.push(uid)
      continue
    }
    if (away.has(entry.origin)) continue
    const left = departed.get(entry.origin)
    const fate = left === undefined ? 'new' : fateOf(entry, left, input)
    if (fate === 'new' && index >= windowStart) {
      if (left !== undefined) readmit.push(entry.origin)
      fetch.push(entry)
    } else if (fate === 'delete' && !awaited.has(entry.origin) && deleteThere.length < deletionsPerSession)
      deleteThere.push(entry)
    else if (fate === 'withhold') withheld++
  }

  const missing: Uid[] = []
  for (const [origin, uid] of present) {
    if (slice.isOver()) await slice.next()
    if (!origins.has(origin)) missing.push(uid)
  }
  const { given, givenAway = -1, deleted = {} } = input.memory
  const wasGiven = (uid: Uid): boolean => given !== undefined && uid >= given.from && uid < given.below
  const givenHere = [...present].filter(([, uid]) => wasGiven(uid))
  const listedAgain = givenHere.filter(([origin]) => origins.has(origin)).length
  const isProven = listedAgain > 0 && 2 * listedAgain >= givenHere.length
  const provenBelow = isProven ? given?.below : input.memory.provenBelow
  const isUnproven = (uid: Uid): boolean => uid >= (provenBelow ?? Infinity)
  const keeps =
    input.memory.keeps ||
    isProven ||
    [...away].some(([origin, submittedAt]) => submittedAt <= givenAway && origins.has(origin))
  // What was deleted there by us is expected to be missing: it adds to no suspicion.
  const others = [...departed].filter(([, { uid }]) => deleted[uid] === undefined)
  const unlistedOthers = others.filter(([origin]) => !origins.has(origin)).length
  const aged = await agedOf(missing, input, origins, slice)
  // No person deleted these, as far as can be told: they stay, and are no sign of what became of others.
  const odd = new Set(missing.filter((uid) => isUnproven(uid) || aged.has(uid)))
  const vanished = missing.filter((uid) => !odd.has(uid))
  const counted = present.size - odd.size
  const gone = vanished.length + unlistedOthers
  const most = (count: number, all: number): boolean => count > believedCount && count > all / 2
  const suspicious =
    most(vanished.length, counted) ||
    most(gone, counted + others.length) ||
    // One message alone that was deleted here may well be gone; several at once are as good as a mailbox.
    (listed.length === 0 && (missing.length > 0 || gone > 1))
  const before = input.memory.missing ?? { since: now, sessions: 0 }
  const seen = complete && suspicious ? { since: before.since, sessions: before.sessions + 1 } : undefined
  const confirmed = seen !== undefined && seen.sessions >= confirmSessions && now - seen.since >= confirmSeconds
  const plausible = complete && (!suspicious || confirmed)
  const believed = plausible && keeps && !expires
  // Only what a client deleted must not come back; of that, only what we did not delete there ourselves is in doubt.
  const inDoubt = ({ cause, uid }: Departed): boolean => cause === 'client' && deleted[uid] === undefined
  const unlisted = [...departed].flatMap(([origin, left]) =>
    origins.has(origin) || !(inDoubt(left) ? believed && !isUnproven(left.uid) : plausible) ? [] : [origin],
  )
  const expungeHere = believed && !policy.pullOnly ? vanished : []
  const held = missing.length - expungeHere.length
  // An incomplete listing is no evidence either way: it neither adds to nor ends a suspicion.
  const missingNow = !complete ? input.memory.missing : confirmed ? undefined : seen
  return {
    fetch,
    readmit,
    expungeHere,
    pushOut,
    deleteThere,
    withheld,
    forget: unlisted,
    forgetAway: plausible ? [...away.keys()].filter((origin) => !origins.has(origin)) : [],
    memory: {
      keeps,
      ...(input.memory.byHeaders === true ? { byHeaders: true } : {}),
      ...(given === undefined || isProven || (keeps && givenHere.length === 0) ? {} : { given }),
      ...(provenBelow === undefined ? {} : { provenBelow }),
      ...(held === 0 ? {} : { held }),
      ...(keeps || input.memory.givenAway === undefined ? {} : { givenAway }),
      ...(missingNow === undefined ? {} : { missing: missingNow }),
      ...deletionsRemembered(input, new Set([...unlisted, ...readmit]), deleteThere, sizes),
    },
    removed: !keeps && givenHere.length > 0 && complete && !suspicious,
    believed,
    held,
    doubted: input.memory.keeps && missing.some(isUnproven),
  }
}

/** Of the missing messages, those that are older than all that is listed, and than a server's window may be. */
const agedOf = async (
  missing: readonly Uid[],
  { present, receivedAt, now }: PlanInput,
  listed: ReadonlySet<string>,
  slice: Slice,
): Promise<ReadonlySet<Uid>> => {
  const old = missing.filter((uid) => now - receivedAt(uid) >= agedSeconds)
  if (old.length === 0) return new Set()
  let oldestListed = Infinity
  for (const [origin, uid] of present) {
    if (slice.isOver()) await slice.next()
    if (listed.has(origin)) oldestListed = Math.min(oldestListed, receivedAt(uid))
  }
  return new Set(old.filter((uid) => receivedAt(uid) < oldestListed))
}

/** Of messages that are still listed, or may be; together with those that are asked for now. */
const deletionsRemembered = (
  { memory, departed, policy }: PlanInput,
  forgotten: ReadonlySet<string>,
  deleteThere: readonly Identified[],
  sizes: ReadonlyMap<number, number>,
): Pick<BackendMemory, 'asked' | 'deleted' | 'ignoring' | 'ignoredUpTo'> => {
  const { ignoredUpTo } = memory
  const uids = new Set<string>()
  for (const [origin, left] of departed) {
    if (!forgotten.has(origin)) uids.add(String(left.uid))
  }
  const still = (entries: SizesByUid = {}) => Object.entries(entries).filter(([uid]) => uids.has(uid))
  const now = deleteThere.map(({ origin, number }) => {
    const { uid } = departed.get(origin)!
    return [uid, sizes.get(number) ?? memory.asked?.[uid] ?? 0] as const
  })
  const asked = [...still(memory.asked), ...now]
  const deleted = still(memory.deleted)
  return {
    ...(asked.length === 0 ? {} : { asked: Object.fromEntries(asked) }),
    ...(deleted.length === 0 ? {} : { deleted: Object.fromEntries(deleted) }),
    ...(isIgnoring(policy) ? { ignoring: true } : {}),
    ...(ignoredUpTo === undefined ? {} : { ignoredUpTo }),
  }
}

/** After QUIT was confirmed: what was retrieved can be listed again from now on. `from`: UIDNEXT before, `below`: after. */
export const retrievalConfirmed = (memory: BackendMemory, from: Uid, below: Uid): BackendMemory =>
  memory.keeps
    ? { ...memory, given: { from, below }, provenBelow: memory.provenBelow ?? from }
    : { ...memory, given: { from, below } }

/** The same for what a submission server took up to `now`, in seconds since 1970. */
export const submissionConfirmed = (memory: BackendMemory, now: number): BackendMemory =>
  memory.keeps ? memory : { ...memory, givenAway: now }

/** After QUIT was confirmed: what was asked for and not refused is deleted. */
export const deletionsConfirmed = (memory: BackendMemory, uids: readonly Uid[]): BackendMemory => {
  const { asked = {}, deleted = {}, ...rest } = memory
  const done = new Set(uids.map(String))
  const [left, gone] = [new Map(Object.entries(asked)), new Map(Object.entries(deleted))]
  for (const uid of done) {
    gone.set(uid, left.get(uid) ?? 0)
    left.delete(uid)
  }
  return {
    ...rest,
    ...(left.size === 0 ? {} : { asked: Object.fromEntries(left) }),
    ...(gone.size === 0 ? {} : { deleted: Object.fromEntries(gone) }),
  }
}
