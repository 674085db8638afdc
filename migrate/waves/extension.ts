/** Waves in ms_syncd: answers what msadm wave asks, and msadm migrate --dry-run. docs/mpp.md */
import type { DryRunAnswer } from '#src/auth/migration-questions.ts'
import type { WaveLimitsRequest, WaveMemberRequest, WaveRefusal } from '#src/auth/ms-syncd-waves.ts'
import { AuthError, RemoteError, StoreError } from '#src/base/errors.ts'
import type { Json } from '#src/events/types.ts'
import type { OpenWithMigrations } from '../records/extension.ts'
import { dryRun, readDryRun } from './dry-run.ts'
import { MemberWork, type WorkParts } from './member-work.ts'
import { NotesDirectory } from './notes.ts'
import type { Costs } from './report.ts'
import { WaveFiles } from './wave-files.ts'
import { WaveElsewhere, WaveRefused, Waves } from './waves.ts'

/** Another ms_syncd is asked. */
const forwardMs = 60_000
/** Served by one node of the store. */
const serviceOf = (node: string): string => `ms_sync-${node}`

type Asked = { readonly [key: string]: Json }

export const waves: OpenWithMigrations = async ({ runtime, gateway, accounts, shared }, migrations) => {
  let { config } = runtime
  const closing = new AbortController()
  const parts = { gateway, accounts, migrations, config: () => config }
  const opened = new Waves({
    gateway,
    migrations,
    records: migrations.records,
    clock: gateway.clock,
    files: new WaveFiles(shared('waves')),
    notes: new NotesDirectory(shared('wave-notes')),
    work: new MemberWork(parts),
  })
  const { events } = gateway
  let unserve = () => {}
  /** Whoever has a wave answers for it, whichever ms_syncd was asked. */
  const forward = (node: string, request: Asked, signal: AbortSignal) =>
    events.ask(serviceOf(node), request, {
      timeoutMs: forwardMs,
      signal,
      ...(request.verb === 'add' ? { secret: true } : {}),
    })
  return {
    answer: (request, signal) => {
      if (isAsked(request, 'wave')) return answer(opened, request, (holder) => forward(holder.id, request, signal))
      if (!isAsked(request, 'migration-dry-run')) return undefined
      const stopped = AbortSignal.any([signal, closing.signal])
      return opened.costs().then((costs) => foresee(parts, request, costs, stopped))
    },
    async started() {
      if (gateway.nodeId !== undefined)
        unserve = events.serve(serviceOf(gateway.nodeId), async (request) => {
          if (!isAsked(request, 'wave')) throw new RemoteError('no question for this service', { retryable: false })
          return await answer(opened, request)
        })
      await opened.start()
    },
    async reload(next) {
      config = next
    },
    async stop() {
      unserve()
      closing.abort(new AuthError('unavailable', 'ms_syncd is stopping'))
      await opened.stop()
    },
  }
}

const isAsked = (request: Json, type: 'wave' | 'migration-dry-run'): request is Asked =>
  typeof request === 'object' && request !== null && !Array.isArray(request) && (request as Asked).type === type

const foresee = async (parts: WorkParts, asked: Asked, costs: Costs, signal: AbortSignal): Promise<DryRunAnswer> => {
  const order = readDryRun(asked)
  if (order === undefined) return { ok: false, text: notUnderstood().message }
  try {
    return await dryRun(parts, order, costs, signal)
  } finally {
    order.password?.fill(0)
  }
}

/** Throws nothing that an operator could mend. `forward`: to the one who has the wave; throws RemoteError. */
const answer = async (
  waves: Waves,
  asked: Asked,
  forward?: (holder: WaveElsewhere['holder']) => Promise<Json>,
): Promise<Json> => {
  try {
    return (await carryOut(waves, asked)) as unknown as Json
  } catch (error) {
    if (error instanceof WaveElsewhere && forward !== undefined) {
      const told = await forward(error.holder).catch((failure: unknown) => {
        if (!(failure instanceof RemoteError)) throw failure
      })
      if (told !== undefined) return told
    }
    if (!(error instanceof WaveRefused) && !(error instanceof StoreError) && !(error instanceof AuthError)) throw error
    const refusal: WaveRefusal = { ok: false, text: error.message }
    return refusal
  }
}

const carryOut = async (waves: Waves, asked: Asked): Promise<unknown> => {
  if (asked.verb === 'list') return await waves.list()
  const name = textOf(asked, 'name')
  switch (asked.verb) {
    case 'check':
      return await waves.check(name, textsOf(asked.userIds))
    case 'add':
      return await waves.add(name, membersOf(asked.members))
    case 'inventory':
      return await waves.begin(name, 'inventory')
    case 'plan':
      return await waves.plan(name, countOf(asked, 'from'))
    case 'start':
      return await waves.begin(name, 'pull', given('first', countOf(asked, 'first')))
    case 'delta':
      return await waves.begin(name, 'delta')
    case 'cutover':
      return await waves.begin(name, 'cutover', {
        ...given('closing', countOf(asked, 'closing')),
        ...given('everyMs', countOf(asked, 'everyMs')),
      })
    case 'pause':
      return await waves.pause(name)
    case 'resume':
      return await waves.resume(name)
    case 'priority':
      return await waves.priority(name, textsOf(asked.userIds), Number(asked.priority))
    case 'retry':
      return await waves.retry(name, textsOf(asked.userIds))
    case 'remove':
      return await waves.remove(name, textsOf(asked.userIds))
    case 'limits':
      return await waves.limits(name, limitsOf(asked.limits))
    case 'status':
      return await waves.status(name, countOf(asked, 'from'))
    case 'stragglers':
      return await waves.stragglers(name, countOf(asked, 'from'))
    default:
      throw notUnderstood()
  }
}

const notUnderstood = () =>
  new WaveRefused('ms_syncd does not understand this: it is of another version than msadm; restart the services')

const textOf = (asked: Asked, name: string): string => {
  const value = asked[name]
  if (typeof value !== 'string') throw notUnderstood()
  return value
}

const textsOf = (value: Json | undefined): readonly string[] => {
  if (!Array.isArray(value) || !value.every((text) => typeof text === 'string')) throw notUnderstood()
  return value
}

const countOf = (asked: Asked, name: string): number | undefined => {
  const value = asked[name]
  if (value === undefined) return undefined
  if (!isCount(value)) throw notUnderstood()
  return value
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const given = <K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [name]: value } as { readonly [P in K]?: V })

const limitsOf = (value: Json | undefined): WaveLimitsRequest => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notUnderstood()
  const { atOnce, perHost, accountMb } = value as Asked
  const limits = { atOnce, perHost, accountMb }
  const named = Object.entries(limits).filter(([, limit]) => limit !== undefined)
  if (!named.every(([, limit]) => isCount(limit))) throw notUnderstood()
  return Object.fromEntries(named)
}

const membersOf = (value: Json | undefined): readonly WaveMemberRequest[] => {
  if (!Array.isArray(value) || !value.every(isMember)) throw notUnderstood()
  return value as unknown as readonly WaveMemberRequest[]
}

const isMember = (value: Json): boolean => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { userId, given: written, password, priority, properties } = value as Asked
  const isProperty = (pair: Json) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === 'string')
  return (
    typeof userId === 'string' &&
    typeof written === 'string' &&
    (password === undefined || typeof password === 'string') &&
    (priority === undefined || Number.isSafeInteger(priority)) &&
    Array.isArray(properties) &&
    properties.every(isProperty)
  )
}
