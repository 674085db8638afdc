/** All waves of a store: what an operator wants of them, carried out or refused. Every refusal is a WaveRefused with words for the operator. */
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { Holder } from '#gateway/ms_syncd/leases.ts'
import type {
  WaveAnswers,
  WaveLimitsRequest,
  WaveMember,
  WaveMemberRequest,
  WaveSummary,
  WaveVerdict,
} from '#src/auth/ms-syncd-waves.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Migrations } from '../records/migrations.ts'
import { type LiveParts, LiveWave } from './live-wave.ts'
import type { MemberWork } from './member-work.ts'
import { type Costs, costsOf, memberOf, planOf, risksOf, summaryOf } from './report.ts'
import { WaveRunner } from './runner.ts'
import { isWaveName, leaseOf, type Member, stateOf, usualLimits, type Wave, type WaveTask } from './wave.ts'

/** Members in an answer: it stays well below the limit of a frame. */
const pageLength = 500
const maxAtOnce = 200
/** As many as a terminal shows. */
const maxForemost = 50
const usualLookMs = 5_000
const stopping = 'ms_syncd is stopping'

export class WaveRefused extends Error {
  override readonly name = 'WaveRefused'
}

/** Another ms_syncd of the store has it. */
export class WaveElsewhere extends WaveRefused {
  readonly holder: Holder
  constructor(name: string, holder: Holder) {
    super(
      `the wave ${name} is run by another ms_syncd of this store (${holder.where}), which does not answer here: give the command on its host. When it ends, another one takes the wave over`,
    )
    this.holder = holder
  }
}

export interface WavesParts extends LiveParts {
  readonly gateway: Gateway
  readonly work: MemberWork
  readonly migrations: Migrations
  /** How often it is looked for waves whose ms_syncd is gone; 5 seconds. */
  readonly lookMs?: number
}

export class Waves {
  readonly #parts: WavesParts
  readonly #runners = new Map<string, WaveRunner>()
  readonly #closing = new AbortController()
  /** Changes come one behind the other. */
  #changing: Promise<unknown> = Promise.resolve()
  #looking: Promise<void> = Promise.resolve()

  constructor(parts: WavesParts) {
    this.#parts = parts
  }

  /** Goes on with what was under way, here or at an ms_syncd that is gone. Throws StoreError. */
  async start(): Promise<void> {
    await this.#takeOver(({ closed }) => closed === undefined)
    this.#looking = this.#look()
  }

  async stop(): Promise<void> {
    this.#closing.abort(new Error(stopping))
    await this.#looking
    await this.#changing
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop(stopping)))
  }

  async #look(): Promise<void> {
    const { clock, gateway, lookMs = usualLookMs } = this.#parts
    const { signal } = this.#closing
    while (!signal.aborted) {
      await clock.sleep(lookMs, signal).catch(() => {})
      if (signal.aborted) return
      try {
        for (const name of this.#runners.keys()) if (!gateway.holds(leaseOf(name))) await this.#drop(name)
        await this.#takeOver(({ task, isPaused }) => task !== undefined && !isPaused)
      } catch (error) {
        gateway.log.log('err', 'waves can not be looked at', { reason: (error as Error).message })
      }
    }
  }

  async #takeOver(isWanted: (wave: Wave) => boolean): Promise<void> {
    for (const wave of (await this.#parts.files.list()).waves) {
      if (this.#runners.has(wave.name) || !isWanted(wave)) continue
      await this.#open(wave).catch((error: unknown) => {
        if (!(error instanceof WaveElsewhere)) throw error
      })
    }
  }

  /** Another node may have changed what is known of it here. */
  async #drop(name: string): Promise<void> {
    const runner = this.#runners.get(name)
    this.#runners.delete(name)
    await runner?.stop('another ms_syncd runs the wave')
  }

  async list(): Promise<WaveAnswers['list']> {
    const { waves, damaged } = await this.#parts.files.list()
    const summaries: WaveSummary[] = []
    for (const wave of waves) {
      const runner = await this.#open(wave).catch((error: unknown) => {
        if (!(error instanceof WaveElsewhere)) throw error
        return this.#runner(wave)
      })
      summaries.push(await this.#summary(runner))
    }
    return { ok: true, waves: summaries, damaged }
  }

  async check(name: string, userIds: readonly string[]): Promise<WaveAnswers['check']> {
    checkName(name)
    const wave = await this.#parts.files.find(name)
    const faults: [string, string][] = []
    const members = new Set<string>(wave?.members.map(({ userId }) => userId))
    for (const userId of userIds) {
      const record = await this.#parts.records.find(userId as UserId)
      if (record?.wave !== undefined && record.wave !== name)
        faults.push([userId, `is in the wave ${record.wave} already, until ${leavesBy(record.wave, userId)}`])
      else if (wave?.cutOver !== undefined && !members.has(userId))
        faults.push([userId, `is not in the wave ${name}, which is cut over: create another one`])
      else if (record?.state === 'closed') faults.push([userId, 'was moved already, and is closed'])
    }
    return { ok: true, faults }
  }

  add(name: string, members: readonly WaveMemberRequest[]): Promise<WaveAnswers['add']> {
    return this.#inTurn(async () => {
      const { faults } = await this.check(
        name,
        members.map(({ userId }) => userId),
      )
      if (faults.length > 0) throw new WaveRefused(faults.map((fault) => fault.join(' ')).join('; '))
      // The wave first: who has a record of a wave is in it, or the same file is given again.
      await this.#take(name)
      const wave = (await this.#parts.files.find(name)) ?? (await this.#create(name))
      const runner = await this.#open(wave)
      const { live } = runner
      for (const { userId, given, properties, password } of members) {
        const octets = password === undefined ? undefined : Buffer.from(password, 'base64')
        try {
          await this.#parts.migrations.enrol({
            userId: userId as UserId,
            given,
            wave: wave.name,
            password: octets,
            properties,
          })
        } finally {
          octets?.fill(0)
        }
      }
      const known = new Map(live.wave.members.map((member) => [member.userId, member]))
      let added = 0
      for (const { userId, priority } of members) {
        const before = known.get(userId as UserId)
        if (before === undefined) added += 1
        known.set(userId as UserId, { userId: userId as UserId, priority: priority ?? before?.priority ?? 0 })
      }
      await live.change({ members: [...known.values()] })
      for (const { userId, password } of members) {
        await live.refreshRecord(userId as UserId)
        // What was found with another password does not count any more.
        if (password !== undefined && live.isLeftOut(userId as UserId))
          await live.note(userId as UserId, { inventory: undefined })
      }
      runner.wake()
      return { ok: true, added, known: members.length - added }
    })
  }

  async #create(name: string): Promise<Wave> {
    const now = this.#parts.clock.now()
    const wave: Wave = { name, created: now, members: [], limits: usualLimits, since: now, isPaused: false }
    await this.#parts.files.add(wave)
    return wave
  }

  /** Begins a task for all members. */
  begin(
    name: string,
    task: WaveTask,
    more: Pick<Wave, 'first' | 'closing' | 'everyMs'> = {},
  ): Promise<WaveAnswers['changed']> {
    return this.#change(name, async (runner) => {
      const { wave } = runner.live
      if (wave.task === 'watch' && task === 'cutover' && !wave.isPaused) {
        // Another closing date, or none: now.
        await runner.live.change({ ...more, closing: more.closing ?? this.#parts.clock.now() })
        runner.wake()
        return
      }
      if (wave.task !== undefined)
        throw new WaveRefused(
          wave.isPaused
            ? `${name} is paused in ${wave.task}: msadm wave resume ${name} goes on with it`
            : `${name} is at it: ${wave.task}; msadm wave status ${name} shows how far it is`,
        )
      if (wave.closed !== undefined) throw new WaveRefused(`${name} is closed: the old servers are not asked any more`)
      const now = this.#parts.clock.now()
      if (more.closing !== undefined && more.closing <= now) throw new WaveRefused('the closing date has passed')
      await runner.live.change({ task, since: now, isPaused: false, first: undefined, ...more })
      runner.begin()
    })
  }

  pause(name: string): Promise<WaveAnswers['changed']> {
    return this.#change(name, async (runner) => {
      const { wave } = runner.live
      if (wave.task === undefined) throw new WaveRefused(`${name} is ${stateOf(wave)}: there is nothing to pause`)
      await runner.live.change({ isPaused: true })
      for (const userId of runner.running.keys()) this.#parts.work.stop(userId, `the wave ${name} is paused`)
    })
  }

  resume(name: string): Promise<WaveAnswers['changed']> {
    return this.#change(name, async (runner) => {
      if (!runner.live.wave.isPaused) throw new WaveRefused(`${name} is not paused, it is ${stateOf(runner.live.wave)}`)
      await runner.live.change({ isPaused: false, first: undefined })
      runner.begin()
    })
  }

  priority(name: string, userIds: readonly string[], priority: number): Promise<WaveAnswers['changed']> {
    return this.#change(name, async (runner) => {
      const { members } = runner.live.wave
      const named = new Set(userIds)
      const unknown = [...named.difference(new Set<string>(members.map(({ userId }) => userId)))]
      if (unknown.length > 0) throw new WaveRefused(`not in the wave ${name}: ${unknown.join(', ')}`)
      const changed = (member: Member) => (named.has(member.userId) ? { ...member, priority } : member)
      await runner.live.change({ members: members.map(changed) })
      runner.wake()
    })
  }

  /** Moves members again. */
  retry(name: string, userIds: readonly string[]): Promise<WaveAnswers['members']> {
    return this.#members(name, userIds, async (runner, userId) => {
      const { live } = runner
      const { migrations } = this.#parts
      if (!live.isMember(userId)) return { outcome: 'refused', text: `is not in the wave ${name}` }
      const record = await live.refreshRecord(userId)
      if (record === undefined) return { outcome: 'refused', text: live.failureOf(userId) ?? 'is not known' }
      if (record.state === 'rolling-back')
        return {
          outcome: 'refused',
          text: 'is being given back: msadm rollback goes on with it, or ends it (--cancel)',
        }
      if (record.state === 'paused') return { outcome: 'refused', text: 'is paused: msadm migrate --resume' }
      if (live.wave.closed !== undefined && (record.state === 'rolled-back' || !live.isHere(userId)))
        return { outcome: 'refused', text: `can be moved by another wave, once ${leavesBy(name, userId)}` }
      const isAgain = await migrations.moveAgain(userId)
      if (!isAgain && live.isHere(userId)) return { outcome: 'nothing', text: 'is here already' }
      if (!isAgain && live.notesOf(userId).pass === undefined)
        return { outcome: 'nothing', text: whenPulled(live.wave) }
      runner.retry(userId)
      await live.note(userId, { pass: undefined, ...(isAgain ? { pulled: undefined, places: undefined } : {}) })
      const next = await live.refreshRecord(userId)
      const canLogIn = next !== undefined && (await migrations.canLogIn(next))
      const lacking = canLogIn ? '' : `; the password is not kept: give it by msadm wave create ${name} -f`
      return { outcome: 'done', text: `${whenPulled(live.wave)}${lacking}` }
    })
  }

  /** Takes members out: what runs is stopped, what was kept is destroyed. */
  remove(name: string, userIds: readonly string[]): Promise<WaveAnswers['members']> {
    return this.#members(name, userIds, async (runner, userId) => {
      const { live, running } = runner
      const { migrations, records, work } = this.#parts
      const record = await records.find(userId).catch(() => undefined)
      if (record?.state === 'rolling-back' && record.wave === live.wave.name)
        return {
          outcome: 'refused',
          text: 'is being given back: msadm rollback goes on with it, or ends it (--cancel)',
        }
      const isMember = live.isMember(userId)
      // From the list first: nobody begins with it any more. What is left when this ends here is done by the same command.
      if (isMember) await live.change({ members: live.wave.members.filter((member) => member.userId !== userId) })
      if (isMember || record?.wave === live.wave.name) {
        const why = `an operator took the user out of the wave ${name}`
        work.stop(userId, why)
        await running.get(userId)?.done
        runner.retry(userId)
        await migrations.leaveWave(userId, live.wave.name, why)
        await live.forget(userId)
        return { outcome: 'done', text: 'is taken out' }
      }
      return { outcome: 'nothing', text: 'is not in it' }
    })
  }

  #members(
    name: string,
    userIds: readonly string[],
    each: (runner: WaveRunner, userId: UserId) => Promise<Omit<WaveVerdict, 'userId'>>,
  ): Promise<WaveAnswers['members']> {
    return this.#inTurn(async () => {
      const runner = await this.#find(name)
      const verdicts: WaveVerdict[] = []
      for (const userId of new Set(userIds)) verdicts.push({ userId, ...(await each(runner, userId as UserId)) })
      runner.wake()
      return { ok: true, wave: await this.#summary(runner), verdicts }
    })
  }

  limits(name: string, limits: WaveLimitsRequest): Promise<WaveAnswers['changed']> {
    return this.#change(name, async (runner) => {
      const { atOnce = 1 } = limits
      if (atOnce < 1 || atOnce > maxAtOnce)
        throw new WaveRefused(`between 1 and ${maxAtOnce} members can be seen to at the same time`)
      await runner.live.change({ limits: { ...runner.live.wave.limits, ...limits } })
      runner.wake()
    })
  }

  async status(name: string, from = 0): Promise<WaveAnswers['status']> {
    const runner = await this.#find(name)
    const { members } = runner.live
    return {
      ok: true,
      wave: await this.#summary(runner),
      foremost: this.#foremost(runner),
      members: members.slice(from, from + pageLength).map((member) => memberOf(runner, this.#parts.gateway, member)),
      ...nextOf(from, members.length),
    }
  }

  /** Members in whom something happens, then those who need somebody. */
  #foremost(runner: WaveRunner): readonly WaveMember[] {
    const { live, running } = runner
    const at = live.members.filter(({ userId }) => running.has(userId))
    const stuck = live.members.filter(({ userId }) => !running.has(userId) && live.isStuck(userId))
    return [...at, ...stuck].slice(0, maxForemost).map((member) => memberOf(runner, this.#parts.gateway, member))
  }

  async plan(name: string, from = 0): Promise<WaveAnswers['plan']> {
    const { live } = await this.#find(name)
    await live.refresh()
    return {
      ok: true,
      plan: await planOf(live, this.#parts.gateway, await this.costs()),
      risks: live.members.slice(from, from + pageLength).flatMap((member) => risksOf(live, member)),
      ...nextOf(from, live.members.length),
    }
  }

  async stragglers(name: string, from = 0): Promise<WaveAnswers['stragglers']> {
    const { live } = await this.#find(name)
    // Each has some hundred at most.
    const page = live.members.slice(from, from + 50)
    const listed = page.flatMap(({ userId }) =>
      (live.notesOf(userId).stragglers ?? []).map((straggler) => ({ userId, ...straggler })),
    )
    const count = page.reduce((sum, { userId }) => sum + (live.notesOf(userId).stragglerCount ?? 0), 0)
    return {
      ok: true,
      stragglers: listed,
      more: count - listed.length,
      ...(from + 50 < live.members.length ? { next: from + 50 } : {}),
    }
  }

  /** By all pulls of all waves. */
  costs(): Promise<Costs> {
    return costsOf([...this.#runners.values()].map(({ live }) => live))
  }

  async #summary(runner: WaveRunner): Promise<WaveSummary> {
    await runner.live.refresh()
    return await summaryOf(runner, this.#parts.gateway, await this.costs())
  }

  #change(name: string, change: (runner: WaveRunner) => Promise<void>): Promise<WaveAnswers['changed']> {
    return this.#inTurn(async () => {
      const runner = await this.#find(name)
      await change(runner)
      return { ok: true, wave: await this.#summary(runner) }
    })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(work)
    this.#changing = done.catch(() => {})
    return await done
  }

  async #find(name: string): Promise<WaveRunner> {
    checkName(name)
    const wave = await this.#parts.files.find(name)
    if (wave === undefined) throw noWave(name)
    return await this.#open(wave)
  }

  /** Throws WaveElsewhere. */
  async #take(name: string): Promise<void> {
    const { gateway } = this.#parts
    const lease = leaseOf(name)
    if (gateway.holds(lease)) return
    const holder = await gateway.lease(lease)
    const known = [...this.#runners.keys()].find((each) => leaseOf(each) === lease)
    if (known !== undefined) await this.#drop(known)
    if (holder !== undefined) throw new WaveElsewhere(name, holder)
  }

  /** Throws WaveElsewhere. */
  async #open({ name }: Pick<Wave, 'name'>): Promise<WaveRunner> {
    await this.#take(name)
    const known = this.#runners.get(name)
    if (known !== undefined) return known
    // As whoever had it before has left it.
    const wave = await this.#parts.files.find(name)
    if (wave === undefined) throw noWave(name)
    const runner = await this.#runner(wave)
    const other = this.#runners.get(name)
    if (other !== undefined) return other
    this.#runners.set(name, runner)
    runner.wake()
    return runner
  }

  /** As it is in the files. */
  async #runner(wave: Wave): Promise<WaveRunner> {
    const { gateway, work, clock } = this.#parts
    const live = await LiveWave.open(this.#parts, wave)
    return new WaveRunner({ live, work, clock, log: gateway.log, signal: this.#closing.signal })
  }
}

const noWave = (name: string): WaveRefused =>
  new WaveRefused(`there is no wave ${name}; msadm wave list shows those that there are`)

const leavesBy = (wave: string, userId: string): string => `msadm wave remove ${wave} ${userId} has taken the user out`

const whenPulled = ({ name, task, isPaused }: Wave): string =>
  task === undefined
    ? `is pulled by the next msadm wave start ${name}`
    : isPaused
      ? `is pulled when msadm wave resume ${name} goes on`
      : 'is pulled in turn'

const nextOf = (from: number, length: number) => (from + pageLength < length ? { next: from + pageLength } : {})

const checkName = (name: string): void => {
  if (!isWaveName(name))
    throw new WaveRefused(
      `${JSON.stringify(name.slice(0, 80))} can't be the name of a wave; take letters, digits, - and _`,
    )
}
