/** Has ms_syncd pull the mail of users, tells how far it is, and makes their accounts. */
import type { AccountRecord } from '../../auth/accounts.ts'
import { askToMigrate, type MigrateAnswer } from '../../auth/ms-syncd.ts'
import { systemClock } from '../../base/clock.ts'
import { AuthError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { EventBus } from '../../events/types.ts'
import { ownRootProperty } from '../../server/mail-store.ts'
import { severalAtOnce } from '../../store/several.ts'
import type { ListedAccount } from './accounts-file.ts'
import { CommandError, type Context } from './command.ts'
import { pullMs } from './ms-syncd.ts'

const progressEveryMs = 1_000

export type User = Pick<ListedAccount, 'given' | 'userId' | 'properties'> & { readonly password: Buffer | undefined }

export interface Run {
  readonly bus: EventBus
  readonly context: Context
  readonly signal: AbortSignal
  readonly quiet: boolean
}

/** `properties`: of the account that ms_syncd makes when all mail is here; undefined: it makes none. */
const pull = (
  { given, userId, password }: User,
  properties: User['properties'] | undefined,
  { bus, context, signal, quiet }: Run,
  renumbered = false,
): Promise<MigrateAnswer> => {
  const progress = quiet ? undefined : follow(bus, userId, context)
  return askToMigrate(bus.ask.bind(bus), { user: given, userId, password, properties, renumbered, signal }, pullMs)
    .catch(told(signal))
    .finally(() => progress?.stop())
}

/** MIG-09. What is here goes only after the old server gave everything: a wrong password, or a server that is away, costs nothing. Throws CommandError. */
export const migrateAnew = async (user: User, run: Run): Promise<void> => {
  const { accounts, store, note } = run.context
  await pull(user, undefined, run)
  const account = await accounts.find(user.userId)
  // Nobody is to see the mailbox empty.
  if (account !== undefined) await accounts.put({ ...account, state: 'migrating' })
  await store().account(user.userId).destroy()
  note('what was here is removed; the mail comes once more, with a new UIDVALIDITY: clients download it again')
  await migrateOne(user, run, true)
}

/** Throws CommandError. */
export const migrateOne = async (user: User, run: Run, renumbered = false): Promise<void> => {
  const { userId, properties } = user
  const { context } = run
  const before = await context.accounts.find(userId)
  const refusal = refusalOf(user, before)
  if (refusal !== undefined) throw new CommandError(refusal)
  const { listed, notGiven } = await pull(user, properties, run, renumbered)
  const left = notGiven === 0 ? '' : `; ${notGiven} of them the old server lists and does not give`
  const state = user.password !== undefined ? 'enabled' : (before?.state ?? 'pulled')
  const follows = state === 'pulled' ? '; the account is made at the first login' : ''
  context.print(`migrated ${userId} (${listed} messages${left}${follows})`, { userId, state, listed, notGiven })
}

/** Why it can't be done with the account as it is. */
export const refusalOf = (
  { userId, password, properties }: User,
  before: AccountRecord | undefined,
): string | undefined => {
  if (before === undefined && properties.some(([name]) => name.toLowerCase() === ownRootProperty))
    return `${ownRootProperty} has to be known before the mail comes: msadm add -m ${userId} ${ownRootProperty}=DIRECTORY, then msadm migrate without it`
  if (before?.state === 'migrating' && password === undefined)
    return `the account waits for its migration and its user can't log in: give the password with -p, or remove the account first (msadm del ${userId})`
  return undefined
}

/** Everybody who can be; `again`: also who was. Throws CommandError when somebody can't. */
export const migrateAll = async (
  users: readonly ListedAccount[],
  run: Run,
  atOnce: number,
  again: boolean,
): Promise<void> => {
  const { context, signal } = run
  const show = run.quiet ? undefined : context.showProgress(false)
  const beganMs = systemClock.monotonic()
  const counts = { migrated: 0, were: 0, failed: 0 }
  await severalAtOnce(users, atOnce, async (user) => {
    signal.throwIfAborted()
    const { userId, line } = user
    try {
      if (!again && (await context.accounts.find(userId))?.state === 'enabled') counts.were += 1
      else {
        await migrateOne(user, { ...run, quiet: true })
        counts.migrated += 1
      }
    } catch (error) {
      if (signal.aborted) throw error
      counts.failed += 1
      const message = `line ${line}: ${userId}: ${(error as Error).message}`
      show?.('')
      context.note(message)
      if (context.json) context.print(message, { userId, line, error: (error as Error).message })
    }
    const done = counts.migrated + counts.failed
    const seconds =
      ((systemClock.monotonic() - beganMs) / 1_000 / Math.max(1, done)) * (users.length - done - counts.were)
    show?.(`${done + counts.were} of ${users.length} users, about ${Math.ceil(seconds)} s left`)
  })
  show?.('')
  const { migrated, were, failed } = counts
  context.print(`${migrated} migrated, ${were} were here already, ${failed} failed`, counts)
  if (failed > 0)
    throw new CommandError(`${failed} of ${users.length} users were not migrated; give the same file again`)
}

/** What an operator is told instead of what a client is. */
const told =
  (signal: AbortSignal) =>
  (error: unknown): never => {
    if (signal.aborted) throw signal.reason
    if (!(error instanceof AuthError)) throw new CommandError(`ms_syncd: ${(error as Error).message}`)
    const reason = error.cause instanceof Error ? error.cause.message : error.message
    throw new CommandError(
      error.kind === 'bad-credentials' ? `the old server does not accept the password: ${reason}` : reason,
    )
  }

interface BackendState {
  readonly backend: string
  readonly state: string
  readonly fetched: number
  readonly left?: number
  readonly eta?: number
}

/** Shows how far it is, once a second. */
const follow = (bus: EventBus, userId: UserId, context: Context) => {
  const show = context.showProgress(false)
  const ending = new AbortController()
  const look = async () => {
    const answer = await bus.ask('ms_sync', { type: 'status', user: userId }, { timeoutMs: 10_000 })
    const backends = (answer as { backends?: readonly BackendState[] }).backends ?? []
    const lines = backends.map(({ backend, state, fetched, left, eta }) => {
      const rest = left === undefined ? '' : `, ${left} to come`
      const seconds =
        eta === undefined ? '' : `, about ${Math.max(0, Math.ceil((eta - systemClock.now()) / 1_000))} s left`
      return `${backend} ${state}: ${fetched} messages${rest}${seconds}`
    })
    if (lines.length > 0) show?.(lines.join('; '))
    if (context.json) for (const state of backends) context.print('', { userId, ...state })
  }
  const run = async () => {
    for (;;) {
      await systemClock.sleep(progressEveryMs, ending.signal)
      // The answer to the question itself tells what is wrong.
      await look().catch(() => {})
    }
  }
  if (show !== undefined || context.json) run().catch(() => {})
  return {
    stop() {
      ending.abort()
      show?.('')
    },
  }
}
