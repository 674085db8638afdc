/** Users polled without a client, by a gateway with a store of its own: how many, how late, and what it costs. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { defaultLimits, type Limits } from '#gateway/backend/types.ts'
import { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { noEvents } from '#src/events/none.ts'
import { openStore } from '#src/store/store.ts'
import { hangingNetwork } from './double.ts'

export interface PollSettings {
  readonly port: number
  readonly users: number
  readonly hosts: number
  /** Of them, how many hang. */
  readonly hanging: number
  readonly intervalSeconds: number
  /** Begins when every user of a live host was polled once. */
  readonly measureSeconds: number
  readonly connections: number
  readonly limits?: Limits
  /** Where the store is made; the directory of temporary files unless told. */
  readonly root?: string
  /** A store that a run left: its accounts are there already. */
  readonly store?: string
}

export interface PollFigures {
  readonly users: number
  /** Of hosts that answer. */
  readonly live: number
  /** Until each of those was polled once: the first poll makes the account and fetches. */
  readonly firstSeconds: number
  readonly polls: number
  readonly pollsPerSecond: number
  /** From when a poll was due to the begin of its session, over those of the measurement. */
  readonly lateMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number }
  readonly loopMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly rssMiB: number
  readonly cpuSeconds: number
  /** Sessions with hosts that hang, in all. */
  readonly hangingFailures: number
  readonly directory: string
}

const hostOf = (index: number, { hosts, hanging }: PollSettings): string => {
  const host = index % hosts
  return host < hanging ? `${hangingNetwork}${host + 1}` : `127.0.67.${host + 1}`
}

export const runPolls = async (settings: PollSettings): Promise<PollFigures> => {
  const directory = settings.store ?? (await mkdtemp(join(settings.root ?? tmpdir(), 'wherry-poll-')))
  const users = makeUserDatabase(
    undefined,
    Array.from({ length: settings.users }, (_, index) => ({
      frontendId: `user${index}@bench.example`,
      master: { line: index, host: hostOf(index, settings), password: 'pw' },
      extra: [],
    })),
  )
  await using store = openStore({ root: directory, clock: systemClock, log: silentLog })
  const gateway = new Gateway({
    config: configOf({
      gateway_mode: true,
      poll_without_client: true,
      suppress_client_tls: true,
      ms_syncd_port: settings.port,
      ms_sync_interval: settings.intervalSeconds,
      backend_connections: settings.connections,
    }),
    users,
    store,
    events: noEvents,
    access: { profiles: new BackendProfiles(), limits: settings.limits ?? defaultLimits },
    clock: systemClock,
    log: silentLog,
  })
  const live = users.records.filter(({ master }) => !master.host!.startsWith(hangingNetwork)).length
  const isLive = ({ backend }: { readonly backend: string }) => !backend.includes(hangingNetwork)
  let rss = 0
  const look = () => {
    rss = Math.max(rss, process.memoryUsage().rss)
    return [...gateway.statuses()]
  }
  const begin = performance.now()
  const cpu = process.cpuUsage()
  await gateway.pollStanding()
  while (look().filter((status) => isLive(status) && status.sessions > 0).length < live) await systemClock.sleep(250)
  const firstSeconds = (performance.now() - begin) / 1_000
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
  const lates: number[] = []
  const seen = new Map(look().map(({ user, sessions }) => [user, sessions]))
  const from = performance.now()
  let polls = 0
  while (performance.now() - from < settings.measureSeconds * 1_000) {
    await systemClock.sleep(Math.min(1_000, (settings.intervalSeconds * 1_000) / 4))
    for (const status of look()) {
      const before = seen.get(status.user) ?? 0
      if (status.sessions === before || !isLive(status)) continue
      polls += status.sessions - before
      seen.set(status.user, status.sessions)
      lates.push(status.late ?? 0)
    }
  }
  const seconds = (performance.now() - from) / 1_000
  loop.disable()
  const hangingFailures = gateway
    .statuses()
    .filter((status) => !isLive(status))
    .reduce((sum, { failures }) => sum + failures, 0)
  await gateway.stop()
  const { user, system } = process.cpuUsage(cpu)
  return {
    users: settings.users,
    live,
    firstSeconds,
    polls,
    pollsPerSecond: polls / seconds,
    lateMs: percentiles(lates),
    loopMs: { p50: loop.percentile(50) / 1e6, p99: loop.percentile(99) / 1e6, max: loop.max / 1e6 },
    rssMiB: rss / 1_048_576,
    cpuSeconds: (user + system) / 1e6,
    hangingFailures,
    directory,
  }
}

const percentiles = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}
