/** One session with a backend: it waits for its turn, runs, and its link learns how it went. */
import type { UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import { BackendError } from '../backend/errors.ts'
import { syncOnce } from '../sync/sync-once.ts'
import type { Gateway } from './gateway.ts'
import type { BackendLink } from './link.ts'
import { Progress } from './progress.ts'
import type { Readers } from './readers.ts'
import { pollPriority } from './scheduler.ts'
import type { BackendSession } from './verdicts.ts'

/** Part of the interval by which a poll that nobody waits for may come sooner: polls that fell together part again. */
const standingJitter = 0.1

export interface SessionRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly link: BackendLink
  /** The user's other backends. */
  readonly others: readonly Backend[]
  /** Undefined: the gateway's own right to the mailbox. It is copied. */
  readonly password: Buffer | undefined
  readonly priority: number
  /** The password, or right, is the one that polls. */
  readonly isOwn: boolean
  /** MIG-07: everything is pulled, and nothing changed there. */
  readonly migration: { readonly keepsUids: boolean } | undefined
  readonly stop: AbortSignal
  readonly readers: Readers
  /** Whether a client waits for the next poll. */
  readonly hasClients: () => boolean
  /** It began to run, or has run: whoever follows the link is told. */
  readonly onNews: () => void
  /** It is over, or never ran. */
  readonly onOver: () => void
}

export const beginSession = (request: SessionRequest): BackendSession => {
  const { gateway, userId, link, others, priority, isOwn, migration, stop, readers, hasClients, onNews, onOver } =
    request
  const { promise: proven, resolve, reject } = Promise.withResolvers<void>()
  proven.catch(() => {})
  const { scheduler, store, access, injection, clock } = gateway
  const policy =
    migration === undefined
      ? gateway.policy
      : {
          ...gateway.policy,
          fetchLastN: 0,
          pullOnly: true,
          keepUids: migration.keepsUids,
          announces: gateway.fastLogin,
        }
  const signal = AbortSignal.any([gateway.signal, stop])
  const { backend, log, setbacks, host } = link
  const password = request.password === undefined ? undefined : Buffer.from(request.password)
  const progress = new Progress(clock)
  let isProven = false
  let isAwaited = priority > pollPriority
  link.begun()
  const session = () =>
    syncOnce({
      backend,
      others,
      userId,
      password,
      store,
      access,
      policy,
      injection: progress.through(injection),
      setbacks,
      clock,
      log,
      signal,
      onProven: () => {
        isProven = true
        link.proven()
      },
      onUsable: () => {
        readers.letIn()
        resolve()
      },
      rest: () => readers.rest(signal),
    })
  // What the host is to be asked for has to be known before its next session begins: in here.
  const work = async () => {
    if (!isAwaited && host.pollsFromMs > clock.monotonic()) {
      link.heldBack()
      throw new BackendError('stopped', 'polls of the host are held')
    }
    link.started(progress)
    onNews()
    try {
      link.done(await session(), hasClients() ? 0 : standingJitter)
    } catch (error) {
      // The login was good all the same.
      if (isProven) resolve()
      if (isOwn || isProven) link.failed(error, signal.aborted)
      else link.abandoned(error)
      throw error
    } finally {
      onNews()
    }
  }
  const limit = (isLogin: boolean) => host.limit(isLogin)
  const { done: result, hurry } = scheduler.run({ host: host.key, priority, signal, limit, work })
  result.catch(reject)
  const done = result.finally(() => {
    password?.fill(0)
    onOver()
  })
  return {
    proven,
    done,
    hurry: () => {
      isAwaited = true
      hurry()
    },
  }
}
