/** What a migration of one user would find, without a wave and without a record: nothing is changed on either side. docs/decisions/0285-a-dry-run.md */
import type { DryRun, DryRunAnswer } from '#src/auth/migration-questions.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Json } from '#src/events/types.ts'
import { countScripts, type ScriptsTurn } from '../beside/scripts.ts'
import { reasonOf } from '../beside/turn.ts'
import { notePasswordUse } from '../records/kept-passwords.ts'
import { msOf } from './forecast.ts'
import { accountToBe, takeInventory, urlOf } from './inventory.ts'
import type { WorkParts } from './member-work.ts'
import type { Costs } from './report.ts'
import { told } from './risks.ts'

export interface DryRunOrder {
  readonly user: string
  readonly userId: UserId
  /** The caller overwrites it. */
  readonly password: Buffer | undefined
  readonly properties: readonly (readonly [name: string, value: string])[]
}

/** Undefined: it is not understood. */
export const readDryRun = (asked: { readonly [key: string]: Json }): DryRunOrder | undefined => {
  const { user, userId, password, properties } = asked
  if (typeof user !== 'string' || typeof userId !== 'string' || !isProperties(properties)) return undefined
  if (password !== undefined && typeof password !== 'string') return undefined
  const octets = password === undefined ? undefined : Buffer.from(password, 'base64')
  return { user, userId: userId as UserId, password: octets, properties }
}

const isProperties = (value: Json | undefined): value is [string, string][] =>
  Array.isArray(value) &&
  value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === 'string'))

/** A server without ManageSieve stands in nobody's way. */
const scriptsOf = async (turn: ScriptsTurn): Promise<Pick<DryRun, 'scripts' | 'scriptsNotTold'>> => {
  try {
    return { scripts: await countScripts(turn) }
  } catch (error) {
    turn.signal.throwIfAborted()
    return { scriptsNotTold: reasonOf(error) }
  }
}

/** Throws the signal's reason. */
export const dryRun = async (
  { gateway, accounts, migrations, config }: WorkParts,
  { user, userId, password, properties }: DryRunOrder,
  costs: Costs,
  signal: AbortSignal,
): Promise<DryRunAnswer> => {
  if (!config().get('auto_migrate'))
    return { ok: false, text: 'ms_syncd runs without auto_migrate: set it to true and restart ms_syncd' }
  const log = gateway.log.child({ user: userId })
  if (password !== undefined) notePasswordUse(gateway.log, userId, 'an operator gave it (migration-dry-run)')
  try {
    const backends = await gateway.backendsOf(user, userId)
    const { before, limits } = await accountToBe(accounts, config(), userId, properties)
    const state = (await migrations.records.find(userId))?.state
    const wasMoved = state === 'migrated' || state === 'closed'
    const account = before?.state === 'enabled' && !wasMoved ? before : undefined
    const found = await takeInventory({ gateway, userId, backends, password, account, limits, log, signal })
    // Where the password was refused once, it is not tried at another service.
    const isIn = backends !== undefined && found.backends[0]?.url === urlOf(backends.master)
    const ms = found.backends.reduce((sum, backend) => sum + msOf(costs(backend.host), backend), 0)
    return {
      ok: true,
      userId,
      backends: found.backends.map(({ url, mailboxes, messages, octets, largest }) => ({
        url,
        mailboxes,
        messages,
        octets,
        largest,
      })),
      ms: Math.round(ms),
      measured: Math.max(0, ...found.backends.map(({ host }) => costs(host).measured)),
      risks: found.risks.map(told),
      ...(isIn && config().get('migration_keep').includes('sieve')
        ? await scriptsOf({ gateway, userId, backend: backends.master, password, config: config(), signal })
        : {}),
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof AuthError) && !(error instanceof StoreError)) throw error
    return { ok: false, text: error.message }
  }
}
