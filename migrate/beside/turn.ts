/** A session with an old server, in its turn among all those with its host. */
import { pollPassword } from '#gateway/backend/credentials.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { loginPriority } from '#gateway/ms_syncd/scheduler.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'

/** A login may wait for the account. */
const turnMs = 120_000

export interface Turn {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly backend: Backend
  /** The user's; undefined: the gateway's own right. */
  readonly password: Buffer | undefined
  readonly signal: AbortSignal
}

/** `secret` is overwritten behind it. Throws what `session` throws, and the reasons of signals. */
export const inTurn = async <Result>(
  { gateway, userId, backend, password, signal: stop }: Turn,
  session: (secret: Buffer | undefined, log: Log, signal: AbortSignal) => Promise<Result>,
): Promise<Result> => {
  const signal = AbortSignal.any([gateway.signal, stop, AbortSignal.timeout(turnMs)])
  const host = gateway.hosts.of(backend.host, backend.port)
  const secret = pollPassword(backend, password)
  const log = gateway.log.child({ user: userId })
  const limit = (isLogin: boolean) => host.limit(isLogin)
  const work = () => session(secret, log, signal)
  try {
    return await gateway.scheduler.run({ host: host.key, priority: loginPriority, signal, limit, work }).done
  } finally {
    secret?.fill(0)
  }
}

/** Why a turn came to nothing, for an operator. Throws what is a defect. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof BackendError)
    return `${error.message}${error.serverText === undefined ? '' : `: ${error.serverText}`}`
  if (error instanceof StoreError || error instanceof AuthError) return error.message
  if (error instanceof DOMException && error.name === 'TimeoutError') return `not told within ${turnMs / 1_000} s`
  throw error
}
