/** What a task of a wave is for one member. */
import { hostKey } from '#gateway/backend/profile.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { AccountSource } from '#src/auth/account-source.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Config } from '#src/config/config.ts'
import type { Migrations } from '../records/migrations.ts'
import type { MigrationRecord } from '../records/record.ts'
import { workOf } from './forecast.ts'
import { accountToBe, takeInventory } from './inventory.ts'
import type { LiveWave } from './live-wave.ts'
import { maxStragglers, type NotesChange, type Pass } from './notes.ts'
import { arrivedSince, type Places, placesOf } from './stragglers.ts'
import type { WaveTask } from './wave.ts'

/** `again`: it failed for a reason that may pass, and nothing was noted. */
export type Outcome = 'done' | 'failed' | 'again'

export interface WorkParts {
  readonly gateway: Gateway
  readonly accounts: AccountSource
  readonly migrations: Migrations
  readonly config: () => Config
}

export interface Run {
  /** Members that are seen to at the same time. */
  readonly atOnce: number
  /** A failure is not tried again. */
  readonly isLast: boolean
  readonly signal: AbortSignal
}

export class MemberWork {
  readonly #parts: WorkParts
  /** By `workOf`, since ms_syncd was started. */
  #worked = 0

  constructor(parts: WorkParts) {
    this.#parts = parts
  }

  /** Throws StoreError, and the signal's reason. */
  async run(live: LiveWave, userId: UserId, task: WaveTask, run: Run): Promise<Outcome> {
    const record = await live.refreshRecord(userId)
    if (record === undefined) return 'failed'
    return task === 'inventory' ? await this.#inventory(live, record, run) : await this.#pass(live, record, task, run)
  }

  async #inventory(live: LiveWave, record: MigrationRecord, { signal }: Run): Promise<Outcome> {
    const { gateway, accounts, migrations, config } = this.#parts
    const { userId } = record
    const backends = await migrations.backendsOf(record)
    const password = migrations.password(record, 'its wave takes an inventory')
    try {
      const { before, limits } = await accountToBe(accounts, config(), userId, record.account.properties)
      const inventory = await takeInventory({
        gateway,
        userId,
        backends,
        password,
        account: before !== undefined && before.state !== 'migrating' && !live.isHere(userId) ? before : undefined,
        limits,
        log: gateway.log.child({ user: userId, wave: live.wave.name }),
        signal,
      })
      await live.note(userId, { inventory })
      return 'done'
    } finally {
      password?.fill(0)
    }
  }

  async #pass(
    live: LiveWave,
    record: MigrationRecord,
    task: WaveTask,
    { atOnce, isLast, signal }: Run,
  ): Promise<Outcome> {
    const { gateway, migrations } = this.#parts
    const { clock } = gateway
    const { userId, counts } = record
    const account = gateway.store.account(userId)
    const wasHere = live.isHere(userId)
    const beganMs = clock.monotonic()
    const before = this.#worked
    let error: string | undefined
    try {
      await (wasHere ? migrations.pullAgain(record, task === 'cutover') : migrations.pull(record))
    } catch (caught) {
      signal.throwIfAborted()
      if (!(caught instanceof AuthError)) throw caught
      // Nobody noted that it was stopped: it is taken up again behind the pause.
      if (live.wave.isPaused) return 'again'
      const passes = caught.kind !== 'bad-credentials' && caught.kind !== 'denied'
      if (passes && !isLast) return 'again'
      error = caught.cause instanceof Error ? caught.cause.message : caught.message
    }
    const after = (await live.refreshRecord(userId))?.counts ?? counts
    const pass: Pass = {
      at: clock.now(),
      ms: Math.round(clock.monotonic() - beganMs),
      messages: Math.max(0, after.here - counts.here),
      octets: Math.max(0, after.octets - counts.octets),
      atOnce,
      before,
      ...(error === undefined ? {} : { error }),
    }
    this.#worked += workOf(pass)
    const isWatched = task === 'cutover' || task === 'watch'
    const places = task === 'watch' ? live.notesOf(userId).places : undefined
    await live.note(userId, {
      pass,
      ...(error === undefined && !wasHere ? { pulled: pass } : {}),
      ...(places === undefined ? {} : await this.#arrived(live, record, places)),
      ...(isWatched ? { places: await placesOf(account) } : {}),
    })
    return error === undefined ? 'done' : 'failed'
  }

  async #arrived(live: LiveWave, record: MigrationRecord, before: Places): Promise<NotesChange> {
    const { gateway, migrations } = this.#parts
    const { userId } = record
    const backends = await migrations.backendsOf(record)
    if (backends === undefined) return {}
    const { count, stragglers } = await arrivedSince(
      gateway.store.account(userId),
      userId,
      backends,
      before,
      gateway.clock.now(),
    )
    if (count === 0) return {}
    const notes = live.notesOf(userId)
    return {
      stragglers: [...stragglers, ...(notes.stragglers ?? [])].slice(0, maxStragglers),
      stragglerCount: (notes.stragglerCount ?? 0) + count,
    }
  }

  /** Names the old server that decides about the login; '' where none is known. */
  async hostOf(live: LiveWave, userId: UserId): Promise<string> {
    const known = live.notesOf(userId).inventory?.backends[0]?.host
    if (known !== undefined) return known
    const record = live.recordOf(userId)
    const backends = record === undefined ? undefined : await this.#parts.migrations.backendsOf(record)
    return backends === undefined ? '' : hostKey(backends.master.host, backends.master.port)
  }

  /** It waits for the next session with the old server, and keeps nothing busy. */
  isIdle(userId: UserId): boolean {
    const statuses = this.#parts.gateway.statusOf(userId)
    return statuses.length > 0 && statuses.every(({ state }) => state === 'waiting')
  }

  /** Ends a pull that is under way. */
  stop(userId: UserId, reason: string): void {
    this.#parts.migrations.stopPull(userId, reason)
  }

  /** Throws StoreError. */
  async close(live: LiveWave, userId: UserId): Promise<void> {
    const { migrations } = this.#parts
    if (!live.hasRecord(userId)) return
    if (live.isHere(userId)) await migrations.close(userId)
    else await migrations.leaveWave(userId, live.wave.name, `the wave ${live.wave.name} is closed`)
    await live.refreshRecord(userId)
  }
}
