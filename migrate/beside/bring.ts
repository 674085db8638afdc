/** Asks an old server for what it has beside mail, and gives that here. What goes wrong is a finding: no migration hangs on it. */
import { getQuota, knowsQuota } from '#gateway/backend/imap/quota.ts'
import { openImapLogin } from '#gateway/backend/open-backend.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import type { KeptBeside } from '#src/config/options/own.ts'
import { notePasswordUse } from '../records/kept-passwords.ts'
import { bringAnnotations } from './annotations.ts'
import type { Findings } from './findings.ts'
import { bringRights, type RightsParts } from './rights.ts'
import { bringScripts } from './scripts.ts'
import { inTurn, reasonOf } from './turn.ts'

export interface BringRequest {
  readonly parts: RightsParts & { readonly gateway: Gateway }
  readonly userId: UserId
  readonly backends: UserBackends
  /** The user's; undefined: the gateway's own right. */
  readonly password: Buffer | undefined
  readonly kept: readonly KeptBeside[]
  readonly config: Config
  readonly signal: AbortSignal
  /** Called with what the master backend says of the quota. */
  readonly onQuota: (limits: Awaited<ReturnType<typeof getQuota>>) => void
}

const names: Readonly<Record<KeptBeside, string>> = {
  quota: 'quota',
  acl: 'rights',
  metadata: 'annotations',
  sieve: 'Sieve scripts',
}

/** Throws the signal's reason. */
export const bring = async (request: BringRequest, findings: Findings): Promise<void> => {
  const { backends, kept, parts, password, userId, signal } = request
  const note = () => {
    if (password !== undefined) notePasswordUse(parts.gateway.log, userId, 'for what the old server has beside mail')
  }
  const attempt = async (asked: readonly KeptBeside[], work: () => Promise<void>) => {
    note()
    try {
      await work()
    } catch (error) {
      signal.throwIfAborted()
      findings.notGiven(`${asked.map((what) => names[what]).join(' and ')}: ${reasonOf(error)}`)
    }
  }
  for (const backend of [backends.master, ...backends.extra]) {
    const isMaster = backend === backends.master
    const asked = kept.filter((what) => what !== 'sieve' && (what !== 'quota' || isMaster))
    if (backend.protocol.startsWith('imap') && asked.length > 0)
      await attempt(asked, () => bringByImap(request, backend, asked, findings))
    // One of several sets of scripts can be the active one.
    if (isMaster && kept.includes('sieve'))
      await attempt(['sieve'], () => bringScripts({ ...request, backend, gateway: parts.gateway }, findings))
  }
}

const bringByImap = (
  { parts, userId, password, signal, onQuota }: BringRequest,
  backend: Backend,
  asked: readonly KeptBeside[],
  findings: Findings,
): Promise<void> => {
  const { access, store } = parts.gateway
  const turn = { gateway: parts.gateway, userId, backend, password, signal }
  return inTurn(turn, async (secret, log, signal) => {
    const login = await openImapLogin(access, backend, secret, log, signal)
    try {
      if (asked.includes('quota') && knowsQuota(login.capabilities)) onQuota(await getQuota(login.connection))
      if (asked.includes('acl') && login.capabilities.has('ACL'))
        await bringRights(parts, userId, backend, login, findings)
      if (asked.includes('metadata') && login.capabilities.has('METADATA'))
        await bringAnnotations(store, userId, backend, login, findings)
      await login.connection.run({ words: ['LOGOUT'] })
    } finally {
      login.connection.close()
    }
  })
}
