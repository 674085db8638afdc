/** Asks an old server for what it has beside mail, and gives that here. What goes wrong is a finding: no migration hangs on it. */
import { pollPassword } from '#gateway/backend/credentials.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import type { ImapLogin } from '#gateway/backend/imap/open.ts'
import { getQuota, knowsQuota } from '#gateway/backend/imap/quota.ts'
import { openImapLogin } from '#gateway/backend/open-backend.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { loginPriority } from '#gateway/ms_syncd/scheduler.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { KeptBeside } from '#src/config/options/own.ts'
import { notePasswordUse } from '../records/kept-passwords.ts'
import { bringAnnotations } from './annotations.ts'
import type { Findings } from './findings.ts'
import { bringRights, type RightsParts } from './rights.ts'

/** A login may wait for the account. */
const timeoutMs = 120_000

export interface BringRequest {
  readonly parts: RightsParts & { readonly gateway: Gateway }
  readonly userId: UserId
  readonly backends: UserBackends
  /** The user's; undefined: the gateway's own right. */
  readonly password: Buffer | undefined
  readonly kept: readonly KeptBeside[]
  readonly signal: AbortSignal
  /** Called with what the master backend says of the quota. */
  readonly onQuota: (limits: Awaited<ReturnType<typeof getQuota>>) => void
}

const names: Readonly<Record<KeptBeside, string>> = { quota: 'quota', acl: 'rights', metadata: 'annotations' }

/** Throws the signal's reason. */
export const bring = async (request: BringRequest, findings: Findings): Promise<void> => {
  const { backends, kept, onQuota, parts, password, userId, signal } = request
  for (const backend of [backends.master, ...backends.extra]) {
    if (!backend.protocol.startsWith('imap')) continue
    const asksQuota = kept.includes('quota') && backend === backends.master
    if (password !== undefined) notePasswordUse(parts.gateway.log, userId, 'for what the old server has beside mail')
    try {
      await inSession(request, backend, async (login) => {
        if (asksQuota && knowsQuota(login.capabilities)) onQuota(await getQuota(login.connection))
        if (kept.includes('acl') && login.capabilities.has('ACL'))
          await bringRights(parts, userId, backend, login, findings)
        if (kept.includes('metadata') && login.capabilities.has('METADATA'))
          await bringAnnotations(parts.gateway.store, userId, backend, login, findings)
      })
    } catch (error) {
      signal.throwIfAborted()
      const asked = kept.filter((what) => what !== 'quota' || asksQuota).map((what) => names[what])
      findings.notGiven(`${asked.join(' and ')}: ${reasonOf(error)}`)
    }
  }
}

/** In its turn among all sessions with the host. */
const inSession = async (
  { parts: { gateway }, userId, password, signal: stop }: BringRequest,
  backend: Backend,
  work: (login: ImapLogin) => Promise<void>,
): Promise<void> => {
  const signal = AbortSignal.any([gateway.signal, stop, AbortSignal.timeout(timeoutMs)])
  const host = gateway.hosts.of(backend.host, backend.port)
  const secret = pollPassword(backend, password)
  const session = async () => {
    const log = gateway.log.child({ user: userId })
    const login = await openImapLogin(gateway.access, backend, secret, log, signal)
    try {
      await work(login)
      await login.connection.run({ words: ['LOGOUT'] })
    } finally {
      login.connection.close()
    }
  }
  const limit = (isLogin: boolean) => host.limit(isLogin)
  try {
    await gateway.scheduler.run({ host: host.key, priority: loginPriority, signal, limit, work: session }).done
  } finally {
    secret?.fill(0)
  }
}

const reasonOf = (error: unknown): string => {
  if (error instanceof BackendError)
    return `${error.message}${error.serverText === undefined ? '' : `: ${error.serverText}`}`
  if (error instanceof StoreError || error instanceof AuthError) return error.message
  if (error instanceof DOMException && error.name === 'TimeoutError') return `not told within ${timeoutMs / 1_000} s`
  throw error
}
