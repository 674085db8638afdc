/** Looks at what the old servers have of one user: a login that proves the password, and listings. Nothing is changed there, and nothing made here. */
import { refuseAcceptAll } from '#gateway/backend/accept-all.ts'
import { pollPassword } from '#gateway/backend/credentials.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import { type BackendAccess, openBackend, openImapBackend } from '#gateway/backend/open-backend.ts'
import { hostKey } from '#gateway/backend/profile.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { pollPriority } from '#gateway/ms_syncd/scheduler.ts'
import type { AccountSource } from '#src/auth/account-source.ts'
import type { AccountRecord } from '#src/auth/accounts.ts'
import { withProperties } from '#src/auth/with-properties.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import { limitsOf, octetsPerKb, type QuotaLimits } from '#src/server/quota-limits.ts'
import { type Counted, countImap } from './count-imap.ts'
import { countPop3 } from './count-pop3.ts'
import type { BackendCount, Inventory } from './notes.ts'
import { type Risk, riskOf } from './risks.ts'

export interface InventoryRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  /** Undefined: no old server is known. */
  readonly backends: UserBackends | undefined
  /** The user's; undefined: it is not known. */
  readonly password: Buffer | undefined
  /** The account here, if there is one that no migration made. */
  readonly account: AccountRecord | undefined
  /** Of the account as it is to be. */
  readonly limits: QuotaLimits
  readonly log: Log
  readonly signal: AbortSignal
}

/** The user's account as a migration that an operator ordered would leave it. Throws StoreError. */
export const accountToBe = async (
  accounts: Pick<AccountSource, 'find'>,
  config: Config,
  userId: UserId,
  properties: AccountRecord['properties'],
): Promise<{ readonly before: AccountRecord | undefined; readonly limits: QuotaLimits }> => {
  const before = await accounts.find(userId)
  const account = withProperties({ userId, state: 'enabled' }, properties, before)
  return { before, limits: limitsOf(config, userId, account) }
}

/** What goes wrong at an old server is a finding. Throws the signal's reason. */
export const takeInventory = async (request: InventoryRequest): Promise<Inventory> => {
  const { gateway, backends, password, account, limits, userId } = request
  const { clock } = gateway
  const [at, began] = [clock.now(), clock.monotonic()]
  const risks: Risk[] = []
  const counts: BackendCount[] = []
  if (backends === undefined) risks.push({ kind: 'no-server', found: 'neither a record nor ms_syncd_host' })
  for (const backend of backends === undefined ? [] : [backends.master, ...backends.extra]) {
    const needsPassword = backend.password === undefined && backend.service === undefined
    if (needsPassword && password === undefined) {
      risks.push({ kind: 'no-password', found: urlOf(backend) })
      continue
    }
    try {
      const { risks: found, ...counted } = await count(request, backend)
      counts.push({ url: urlOf(backend), host: hostKey(backend.host, backend.port), ...counted })
      risks.push(...found)
    } catch (error) {
      request.signal.throwIfAborted()
      const risk =
        error instanceof AcceptsAnything ? ({ kind: 'accepts-anything', found: error.message } as const) : riskOf(error)
      risks.push({ ...risk, found: `${urlOf(backend)}: ${risk.found}` })
    }
  }
  if (account !== undefined) risks.push({ kind: 'account-exists', found: `${userId}, ${account.state}` })
  risks.push(...overQuota(counts, limits))
  return { at, ms: Math.round(clock.monotonic() - began), backends: counts, risks }
}

class AcceptsAnything extends Error {}

/** In its turn among all sessions of the gateway: who logs in goes before it. */
const count = (request: InventoryRequest, backend: Backend): Promise<Counted> => {
  const { gateway, signal, userId } = request
  const host = gateway.hosts.of(backend.host, backend.port)
  const account = `${userId} ${backend.user}`
  const work = async () => {
    host.begun()
    try {
      const counted = await countThere(request, backend, () => host.proven())
      host.done()
      return counted
    } catch (error) {
      if (!signal.aborted) host.failed(error, account, false)
      throw error
    } finally {
      host.ended()
    }
  }
  const limit = (isLogin: boolean) => host.limit(isLogin)
  return gateway.scheduler.run({ host: host.key, priority: pollPriority, signal, limit, work }).done
}

const countThere = async (
  { gateway, password, log, signal }: InventoryRequest,
  backend: Backend,
  onProven: () => void,
): Promise<Counted> => {
  const { access } = gateway
  const own = pollPassword(backend, password)
  const isImap = backend.protocol === 'imap' || backend.protocol === 'imaps'
  if (backend.service === undefined) await refuseAny(access, backend, gateway, log, signal)
  if (isImap) {
    const session = await openImapBackend(access, backend, own, log, signal)
    try {
      onProven()
      const counted = await countImap(session, backend.mailbox)
      await session.logout()
      return counted
    } finally {
      session.close()
    }
  }
  const client = await openBackend(access, backend, own, log, signal)
  try {
    onProven()
    const { learned } = access.profiles.of(backend.host, backend.port)
    const counted = await countPop3(client, backend.mailbox, learned.afterRetrieve === 'removes')
    await client.quit()
    return counted
  } finally {
    client.close()
  }
}

/** Throws AcceptsAnything, and what a login throws. */
const refuseAny = async (
  access: BackendAccess,
  backend: Backend,
  { clock }: Gateway,
  log: Log,
  signal: AbortSignal,
) => {
  const open = backend.protocol.startsWith('imap') ? openImapBackend : openBackend
  let isIn = false
  try {
    await refuseAcceptAll(access.profiles.of(backend.host, backend.port), clock, async (secret) => {
      const session = await open(access, { ...backend, password: undefined }, secret, log, signal)
      isIn = true
      return session
    })
  } catch (error) {
    if (isIn && error instanceof BackendError) throw new AcceptsAnything(error.message)
    throw error
  }
}

const overQuota = (counts: readonly BackendCount[], { storage, messages }: QuotaLimits): readonly Risk[] => {
  const sum = (count: 'octets' | 'messages') => counts.reduce((total, backend) => total + backend[count], 0)
  const kb = Math.ceil(sum('octets') / octetsPerKb)
  return [
    ...(storage.value > 0 && kb > storage.value
      ? [{ kind: 'over-quota', found: `${kb} KB, and ${storage.value} KB are allowed` } as const]
      : []),
    ...(messages.value > 0 && sum('messages') > messages.value
      ? [{ kind: 'over-quota', found: `${sum('messages')} messages, and ${messages.value} are allowed` } as const]
      : []),
  ]
}

export const urlOf = ({ protocol, host, port }: Backend): string => `${protocol}://${host}:${port}`
