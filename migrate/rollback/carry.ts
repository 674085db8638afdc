/** Brings both sides into step, as synchronisation does, until nothing is left to be done: what was changed here goes to the old server. */
import { pollPassword } from '#gateway/backend/credentials.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { loginPriority } from '#gateway/ms_syncd/scheduler.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import { syncOnce } from '#gateway/sync/sync-once.ts'
import type { CarriedCounts } from '#src/auth/rollback-questions.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'

export interface CarryRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly backends: UserBackends
  readonly password: Buffer | undefined
  readonly signal: AbortSignal
}

/** A pass follows one that did something. */
const mostPasses = 10

export type Carried = Omit<CarriedCounts, 'mailboxesMade' | 'mailboxesRenamed' | 'mailboxesRemoved'>

/** Throws BackendError, StoreError: what was carried by then is not carried again. */
export const carryBack = async (request: CarryRequest): Promise<Carried> => {
  const { master, extra } = request.backends
  const all = [master, ...extra]
  let counts: Carried = { appended: 0, copied: 0, moved: 0, flags: 0, expunged: 0, arrived: 0, passes: 0 }
  for (let pass = 1; pass <= mostPasses; pass++) {
    let isIdle = true
    for (const backend of all) {
      const result = await onePass(request, backend, all)
      isIdle &&= isNothing(result)
      counts = added(counts, result)
    }
    // Trees are compared at the beginning of a pass: what one made is seen in order by the next.
    if (isIdle && pass > 1) break
  }
  return counts
}

const onePass = async (request: CarryRequest, backend: Backend, all: readonly Backend[]): Promise<SyncResult> => {
  const { gateway, userId } = request
  const { scheduler, store, access, injection, clock } = gateway
  const signal = AbortSignal.any([gateway.signal, request.signal])
  const host = gateway.hosts.of(backend.host, backend.port)
  const password = pollPassword(backend, request.password)
  const others = all.filter((other) => other !== backend)
  const policy = {
    ...gateway.policy,
    fetchLastN: 0,
    ignoreFrontendDeletes: false,
    carriesBack: true,
  }
  const log = gateway.log.child({ user: userId, backend: `${backend.protocol}://${backend.host}:${backend.port}` })
  const sides = { backend, others, userId, password, store, access, injection, clock, log, signal }
  const work = () => syncOnce({ ...sides, policy, setbacks: new Setbacks() })
  const limit = (isLogin: boolean) => host.limit(isLogin)
  try {
    return await scheduler.run({ host: host.key, priority: loginPriority, signal, limit, work }).done
  } finally {
    password?.fill(0)
  }
}

const isNothing = ({ fetched, sent, relocated, flags, deletedThere, expungedHere }: SyncResult): boolean =>
  fetched + sent + relocated + flags + deletedThere + expungedHere === 0

const added = (counts: Carried, result: SyncResult): Carried => ({
  appended: counts.appended + result.sent,
  copied: counts.copied + result.relocated - result.moved,
  moved: counts.moved + result.moved,
  flags: counts.flags + result.flagsThere,
  expunged: counts.expunged + result.deletedThere,
  arrived: counts.arrived + result.fetched,
  passes: counts.passes + 1,
})
