/**
 * Does the task of a wave for its members, so many at a time. What it needs to go on with is in files before anything hangs on it: a process that
 * begins where another one ended looks at who is through, and goes on with the others. A member that fails keeps nobody waiting.
 */
import type { Clock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { LiveWave } from './live-wave.ts'
import type { MemberWork, Outcome } from './member-work.ts'
import type { Member, WaveTask } from './wave.ts'

/** Before a member is tried again, which is doubled each time; and how often that is. */
const firstRetryMs = 30_000
const attempts = 4
/** A file could not be written. */
const faultRetryMs = 30_000
const usualEveryMs = 15 * 60_000
/** Members that wait for the old server between two sessions hold no place; how often that is looked at, and how many of them there may be for each place. */
const idleLookMs = 1_000
const idlePerPlace = 4

interface Running {
  readonly host: string
  readonly done: Promise<void>
}

export interface RunnerParts {
  readonly live: LiveWave
  readonly work: MemberWork
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

export class WaveRunner {
  readonly live: LiveWave
  readonly #work: MemberWork
  readonly #clock: Clock
  readonly #log: Log
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Map<UserId, Running>()
  /** Members that failed and are tried again. */
  readonly #retries = new Map<UserId, { readonly count: number; readonly notBeforeMs: number }>()
  readonly #hosts = new Map<UserId, string>()
  #loop: Promise<void> | undefined
  #woken = Promise.withResolvers<void>()

  constructor({ live, work, clock, log, signal }: RunnerParts) {
    this.live = live
    this.#work = work
    this.#clock = clock
    this.#log = log.child({ wave: live.wave.name })
    this.#signal = AbortSignal.any([signal, this.#ending.signal])
  }

  get running(): ReadonlyMap<UserId, Running> {
    return this.#running
  }

  /** Another task: failures before it don't count. */
  begin(): void {
    this.#retries.clear()
    this.wake()
  }

  /** What a member failed for does not count any more. */
  retry(userId: UserId): void {
    this.#retries.delete(userId)
  }

  /** The wave has changed: does what there is to do now. */
  wake(): void {
    this.#woken.resolve()
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
    })
  }

  /** Ends what runs; `reason` is told to whoever waits for a pull. Resolves when nothing runs any more. */
  async stop(reason: string): Promise<void> {
    this.#ending.abort(new Error(reason))
    this.#woken.resolve()
    for (const userId of this.#running.keys()) this.#work.stop(userId, reason)
    await this.#loop
    await Promise.all([...this.#running.values()].map(({ done }) => done))
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      this.#woken = Promise.withResolvers()
      try {
        const { task, isPaused } = this.live.wave
        if (task === undefined || isPaused) return
        const untilMs = await this.#turn(task)
        if (untilMs !== undefined) await this.#wait(untilMs)
      } catch (error) {
        if (this.#signal.aborted) return
        this.#log.log('err', 'the wave could not go on; it is tried again', { reason: (error as Error).message })
        await this.#wait(this.#clock.monotonic() + faultRetryMs)
      }
    }
  }

  /** Begins what may begin. Answers when to look again, unless woken before; undefined: at once. */
  async #turn(task: WaveTask): Promise<number | undefined> {
    const { live } = this
    const { limits, first } = live.wave
    const waiting = live.members.filter(({ userId }) => !this.#running.has(userId) && !live.isThrough(userId, task))
    const active = [...this.#running].filter(([userId]) => !this.#work.isIdle(userId))
    let room = Math.min(limits.atOnce - active.length, limits.atOnce * (1 + idlePerPlace) - this.#running.size)
    if (first !== undefined) room = Math.min(room, first - this.#running.size - this.#through())
    const atHost = new Map<string, number>()
    for (const [, { host }] of active) atHost.set(host, (atHost.get(host) ?? 0) + 1)
    let soonestMs = Infinity
    const now = this.#clock.monotonic()
    for (const member of waiting) {
      if (room <= 0) break
      const { notBeforeMs = -Infinity } = this.#retries.get(member.userId) ?? {}
      if (notBeforeMs > now) {
        soonestMs = Math.min(soonestMs, notBeforeMs)
        continue
      }
      const host = await this.#hostOf(member)
      if (limits.perHost > 0 && (atHost.get(host) ?? 0) >= limits.perHost) continue
      atHost.set(host, (atHost.get(host) ?? 0) + 1)
      room -= 1
      this.#begin(member.userId, task, host)
    }
    if (this.#running.size > 0) return waiting.length === 0 ? Infinity : Math.min(soonestMs, now + idleLookMs)
    if (first !== undefined && this.#through() >= first && waiting.length > 0) {
      await live.change({ isPaused: true, first: undefined })
      this.#log.log('notice', 'the wave pauses behind its first members', { members: first })
      return undefined
    }
    return waiting.length > 0 ? soonestMs : await this.#finish(task)
  }

  #begin(userId: UserId, task: WaveTask, host: string): void {
    const atOnce = Math.min(this.live.wave.limits.atOnce, this.live.wave.members.length)
    const mayFail = (this.#retries.get(userId)?.count ?? 0) + 1 >= attempts
    const done = this.#work
      .run(this.live, userId, task, { atOnce, isLast: mayFail, signal: this.#signal })
      .then(
        (outcome) => this.#settle(userId, outcome),
        (error: Error) => {
          if (this.#signal.aborted) return
          // Of a file of ours: the old server has no part in it.
          this.#log.log('err', 'a member of the wave could not be seen to', { user: userId, reason: error.message })
          this.#retries.set(userId, { count: 0, notBeforeMs: this.#clock.monotonic() + faultRetryMs })
        },
      )
      .finally(() => {
        this.#running.delete(userId)
        this.wake()
      })
    this.#running.set(userId, { host, done })
  }

  #settle(userId: UserId, outcome: Outcome): void {
    if (outcome !== 'again') {
      this.#retries.delete(userId)
      return
    }
    const count = (this.#retries.get(userId)?.count ?? 0) + 1
    this.#retries.set(userId, { count, notBeforeMs: this.#clock.monotonic() + firstRetryMs * 2 ** (count - 1) })
  }

  /** All members are through. Answers when to look again; undefined: at once. */
  async #finish(task: WaveTask): Promise<number | undefined> {
    const { live } = this
    const now = this.#clock.now()
    const { closing, everyMs = usualEveryMs, since } = live.wave
    if (task === 'watch' && closing !== undefined && since < closing) {
      const nextMs = Math.min(since + everyMs, closing)
      if (now < nextMs) return this.#clock.monotonic() + nextMs - now
      this.#retries.clear()
      await live.change({ since: now })
      return undefined
    }
    if (task === 'cutover' && closing !== undefined && closing > now) {
      await live.change({ task: 'watch', since: now, cutOver: now, last: { task, at: now } })
      this.#log.log('notice', 'the wave is cut over; the old servers are asked until its closing date', {})
      return undefined
    }
    let left = 0
    if (task === 'watch' || task === 'cutover')
      for (const { userId } of live.members) {
        // What was not all brought in the last pass keeps its way to the old server.
        if (task === 'cutover' && (!live.isHere(userId) || live.failureOf(userId) !== undefined)) left += 1
        else await this.#work.close(live, userId)
      }
    const isClosed = task === 'watch' || (task === 'cutover' && left === 0)
    await live.change({
      task: undefined,
      first: undefined,
      last: { task, at: now },
      ...(task === 'cutover' ? { cutOver: now } : {}),
      ...(isClosed ? { closed: now } : {}),
    })
    const failed = live.members.filter(({ userId }) => live.failureOf(userId) !== undefined).length
    this.#log.log(failed + left > 0 ? 'warning' : 'notice', 'the wave is through with a task', {
      task,
      members: live.members.length,
      failed,
    })
    return undefined
  }

  #through(): number {
    const { task } = this.live.wave
    if (task === undefined) return 0
    const { since } = this.live.wave
    return this.live.members.filter(({ userId }) => {
      const { inventory, pass } = this.live.notesOf(userId)
      return ((task === 'inventory' ? inventory : pass)?.at ?? -1) >= since
    }).length
  }

  async #hostOf({ userId }: Member): Promise<string> {
    let host = this.#hosts.get(userId)
    if (host === undefined) {
      host = await this.#work.hostOf(this.live, userId)
      this.#hosts.set(userId, host)
    }
    return host
  }

  async #wait(untilMs: number): Promise<void> {
    const ending = new AbortController()
    const signal = AbortSignal.any([ending.signal, this.#signal])
    const ms = untilMs - this.#clock.monotonic()
    const slept =
      untilMs === Infinity
        ? this.#woken.promise
        : this.#clock.sleep(Math.max(0, Math.min(ms, 2 ** 31 - 1)), signal).catch(() => {})
    await Promise.race([slept, this.#woken.promise])
    ending.abort()
  }
}
