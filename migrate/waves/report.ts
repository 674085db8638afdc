/** How a wave is, and what can be expected of it. */
import { Slice } from '#gateway/backend/slice.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { WaveMember, WavePlan, WaveRisk, WaveSummary } from '#src/auth/ms-syncd-waves.ts'
import type { UserId } from '#src/base/ids.ts'
import {
  type Cost,
  costOf,
  duration,
  type Ended,
  type Job,
  type Load,
  type Measured,
  msOf,
  paceOf,
} from './forecast.ts'
import { type LiveWave, thereOf } from './live-wave.ts'
import { isBlocking, told } from './risks.ts'
import type { WaveRunner } from './runner.ts'
import { type Member, stateOf } from './wave.ts'

/** Messages and octets of a pull that is under way. */
const underWay = (gateway: Gateway, userId: UserId): Load => {
  const statuses = gateway.statusOf(userId)
  const sum = (count: 'fetched' | 'octets') => statuses.reduce((total, status) => total + status[count], 0)
  return { messages: sum('fetched'), octets: sum('octets') }
}

export const summaryOf = async (
  { live, running }: WaveRunner,
  gateway: Gateway,
  costs: Costs,
): Promise<WaveSummary> => {
  const slice = new Slice()
  const { wave, members } = live
  const { task, since } = wave
  const states: Record<string, number> = {}
  const total = { messages: 0, octets: 0, messagesThere: 0, octetsThere: 0, done: 0, failed: 0, stragglers: 0 }
  for (const { userId } of members) {
    if (slice.isOver()) await slice.next()
    const state = memberState(live, userId)
    states[state] = (states[state] ?? 0) + 1
    const { counts } = live.recordOf(userId) ?? {}
    const notes = live.notesOf(userId)
    const there = thereOf(notes)
    const now = running.has(userId) ? underWay(gateway, userId) : { messages: 0, octets: 0 }
    total.messages += Math.max(counts?.here ?? 0, now.messages)
    total.octets += Math.max(counts?.octets ?? 0, now.octets)
    // Who is left out stays there: it would never all be here.
    if (!live.isLeftOut(userId)) {
      total.messagesThere += there.messages
      total.octetsThere += there.octets
    }
    total.stragglers += notes.stragglerCount ?? 0
    if (task !== undefined && live.isThrough(userId, task)) total.done += 1
    const isOfThisTask = !live.hasRecord(userId) || (task !== 'inventory' && (notes.pass?.at ?? -1) >= since)
    if (isOfThisTask && live.failureOf(userId) !== undefined) total.failed += 1
  }
  const eta = task === undefined || wave.isPaused ? undefined : await etaOf(live, running, gateway, costs)
  return {
    name: wave.name,
    state: stateOf(wave),
    ...(task === undefined ? {} : { task }),
    created: wave.created,
    members: members.length,
    states,
    running: running.size,
    ...total,
    ...(eta === undefined ? {} : { eta }),
    limits: wave.limits,
    ...(wave.cutOver === undefined ? {} : { cutOver: wave.cutOver }),
    ...(wave.closing === undefined ? {} : { closing: wave.closing }),
    ...(wave.closed === undefined ? {} : { closed: wave.closed }),
  }
}

const memberState = (live: LiveWave, userId: UserId): string =>
  live.isLeftOut(userId) ? 'left-out' : (live.recordOf(userId)?.state ?? 'unknown')

export const memberOf = ({ live, running }: WaveRunner, gateway: Gateway, { userId, priority }: Member): WaveMember => {
  const record = live.recordOf(userId)
  const notes = live.notesOf(userId)
  const there = notes.inventory === undefined ? undefined : thereOf(notes)
  const isRunning = running.has(userId)
  const now = isRunning ? underWay(gateway, userId) : { messages: 0, octets: 0 }
  const blocked = live.isLeftOut(userId) ? live.risksOf(userId).find(isBlocking) : undefined
  const reason =
    blocked === undefined ? (live.failureOf(userId) ?? record?.reason) : `${blocked.kind}: ${blocked.found}`
  return {
    userId,
    state: memberState(live, userId),
    priority,
    isRunning,
    ...(reason === undefined ? {} : { reason }),
    messages: Math.max(record?.counts.here ?? 0, now.messages),
    octets: Math.max(record?.counts.octets ?? 0, now.octets),
    ...(there === undefined ? {} : { messagesThere: there.messages, octetsThere: there.octets }),
  }
}

export const risksOf = (live: LiveWave, { userId }: Member): readonly WaveRisk[] =>
  live.risksOf(userId).map((risk) => ({ userId, ...told(risk) }))

/** What pulls from each host cost so far, of all waves; from one that nothing was pulled from yet, as from the others. */
export type Costs = (host: string) => Cost

export const costsOf = async (waves: Iterable<LiveWave>): Promise<Costs> => {
  const slice = new Slice()
  const pulls = new Map<string, Map<UserId, Measured>>()
  for (const live of waves)
    for (const { userId } of live.members) {
      if (slice.isOver()) await slice.next()
      const { inventory, pulled } = live.notesOf(userId)
      const host = inventory?.backends[0]?.host
      if (host === undefined || pulled === undefined) continue
      const known = pulls.get(host) ?? new Map<UserId, Measured>()
      pulls.set(host, known.set(userId, pulled))
    }
  const costs = new Map([...pulls].map(([host, measured]) => [host, costOf([...measured.values()])]))
  const others = costOf([...pulls.values()].flatMap((measured) => [...measured.values()]))
  return (host) => costs.get(host) ?? { ...others, measured: 0 }
}

const hostOf = (live: LiveWave, userId: UserId): string => live.notesOf(userId).inventory?.backends[0]?.host ?? ''

const isLeft = (live: LiveWave, { userId }: Member): boolean => !live.isHere(userId) && !live.isLeftOut(userId)

/** What is left of the pulls of these; `taken`: what is here of those who are under way. */
const jobsOf = async (
  live: LiveWave,
  members: readonly Member[],
  costs: Costs,
  taken: (userId: UserId) => Load,
): Promise<readonly Job[]> => {
  const slice = new Slice()
  const jobs: Job[] = []
  for (const { userId } of members) {
    if (slice.isOver()) await slice.next()
    const host = hostOf(live, userId)
    const there = thereOf(live.notesOf(userId))
    const { messages, octets } = taken(userId)
    const rest = { messages: Math.max(0, there.messages - messages), octets: Math.max(0, there.octets - octets) }
    jobs.push({ host, ms: msOf(costs(host), rest) })
  }
  return jobs
}

/** Milliseconds until all are done, at the pace of the members that are. */
const togetherMs = async (live: LiveWave, jobs: readonly Job[], costs: Costs): Promise<number> => {
  const { atOnce, perHost } = live.wave.limits
  const slice = new Slice()
  const ended: Ended[] = []
  for (const { userId } of live.members) {
    if (slice.isOver()) await slice.next()
    const { pulled } = live.notesOf(userId)
    const host = hostOf(live, userId)
    // Others were together with more, or fewer.
    if (pulled?.atOnce === Math.min(atOnce, live.members.length)) ended.push({ ...pulled, host, cost: costs(host) })
  }
  return (await duration(jobs, atOnce, perHost)) * (await paceOf(ended, atOnce, perHost))
}

const etaOf = async (
  live: LiveWave,
  running: WaveRunner['running'],
  gateway: Gateway,
  costs: Costs,
): Promise<number | undefined> => {
  const { task } = live.wave
  // Of inventories and deltas, which cost what the old server takes to answer, nobody knows beforehand.
  if (task !== 'pull') return undefined
  const left = live.members.filter(
    (member) => running.has(member.userId) || (!live.isThrough(member.userId, task) && isLeft(live, member)),
  )
  const jobs = await jobsOf(live, left, costs, (userId) =>
    running.has(userId) ? underWay(gateway, userId) : { messages: 0, octets: 0 },
  )
  return Math.round(gateway.clock.now() + (await togetherMs(live, jobs, costs)))
}

export const planOf = async (live: LiveWave, gateway: Gateway, costs: Costs): Promise<WavePlan> => {
  const slice = new Slice()
  const { members } = live
  const known = members.filter(({ userId }) => live.notesOf(userId).inventory !== undefined)
  const left = known.filter((member) => isLeft(live, member))
  const jobs = await jobsOf(live, left, costs, () => ({ messages: 0, octets: 0 }))
  const total = { messages: 0, octets: 0, largest: 0, mailboxes: 0 }
  for (const { userId } of known) {
    if (slice.isOver()) await slice.next()
    const there = thereOf(live.notesOf(userId))
    total.messages += there.messages
    total.octets += there.octets
    total.mailboxes += there.mailboxes
    total.largest = Math.max(total.largest, there.largest)
  }
  const byHost = Map.groupBy(left, ({ userId }) => hostOf(live, userId))
  const hosts = [...byHost].map(([host, there]) => {
    const { measured, ...cost } = costs(host)
    const sum = (count: 'messages' | 'octets') =>
      there.reduce((sum, { userId }) => sum + thereOf(live.notesOf(userId))[count], 0)
    const connections = [...gateway.hosts].find(({ key }) => key === host)?.profile.learned.connections
    return {
      host,
      members: there.length,
      messages: sum('messages'),
      octets: sum('octets'),
      cost,
      measured,
      ...(connections === undefined ? {} : { connections }),
    }
  })
  return {
    members: members.length,
    unknown: members.length - known.length,
    blocked: known.filter(({ userId }) => live.isLeftOut(userId)).length,
    ...total,
    ms: Math.round(await togetherMs(live, jobs, costs)),
    measured: Math.max(0, ...hosts.map(({ measured }) => measured)),
    hosts,
  }
}
