import { askToMigrate } from '../../../auth/ms-syncd.ts'
import { routingAttributes } from '../../../auth/routing-attributes.ts'
import { systemClock } from '../../../base/clock.ts'
import { AuthError } from '../../../base/errors.ts'
import type { UserId } from '../../../base/ids.ts'
import { silentLog } from '../../../base/log.ts'
import type { Config } from '../../../config/config.ts'
import { describeAddress, openSocket } from '../../../events/address.ts'
import { connectEvents } from '../../../events/client.ts'
import type { EventBus } from '../../../events/types.ts'
import { eventsOf } from '../../../server/events-address.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  checkNewUserId,
  passwordOf,
  readArguments,
  UsageError,
} from '../command.ts'
import { checkOwnRoot, readProperty, withProperties } from './add.ts'

const connectMs = 5_000
/** A day: the largest mailbox over a slow line. */
const timeoutMs = 24 * 3_600_000
const progressEveryMs = 1_000

/** Chapter 8, step 3. MIG-08, MIG-09 */
export const migrate: Command = {
  name: 'migrate',
  usage: 'migrate -p password [-q] [--discard-local] userid [name=value ...]',
  summary: "pulls a user's mail from the old server now, and enables the account",
  details: `  -p password      the user's, at the old server and then here; -p - reads it from standard input
  -q               tells nothing until it is done
  --discard-local  begins anew: mail that is here is removed first, for good
  name=value       properties of the account, as for msadm add

The old server is that of ms_syncd (ms_syncd_host, or the user's record in ms_sync.xml), which has to run with auto_migrate; nothing is changed there.
What broke off, or was interrupted here, goes on where it was when the same command is given again: mail that is here stays, whoever put it there, and only what is missing
comes. The account may exist, waiting (msadm add -m) or not: it is enabled and gets this password when all mail is here.

Examples
  msadm migrate -p - joe@example.org        msadm --json migrate -p secret joe@example.org mailRoutingAddress=joe@example.com`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      q: { type: 'boolean', short: 'q' },
      'discard-local': { type: 'boolean' },
    })
    if (values.p === undefined) throw new UsageError('-p password is needed')
    const [given, ...words] = positionals
    if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
    const userId = canonical(given, context)
    checkNewUserId(userId)
    const named = words.map(readProperty)
    checkOwnRoot(named, context)
    const password = await passwordOf(values.p, context)
    const interrupted = new AbortController()
    const interrupt = () =>
      interrupted.abort(
        new CommandError('interrupted; ms_syncd goes on with the pull, and the account is not made yet'),
      )
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt)
    try {
      await using bus = await connected(context.config)
      if (values['discard-local']) await context.store().account(userId).destroy()
      const progress = values.q === true ? undefined : follow(bus, userId, context)
      const { listed, notGiven } = await askToMigrate(
        (service, request, options) => bus.ask(service, request, options),
        { user: given, userId, password, signal: interrupted.signal },
        timeoutMs,
      )
        .catch(told(interrupted.signal))
        .finally(() => progress?.stop())
      const before = await context.accounts.find(userId)
      const routed = context.config.get('auto_add_laser_routing')
      const properties = routed ? [...routingAttributes(userId, named), ...named] : named
      const account = withProperties({ userId, state: 'enabled' }, properties, before)
      if (before === undefined) await context.accounts.add(account, password)
      else await context.accounts.put(account, password)
      const left = notGiven === 0 ? '' : `; ${notGiven} of them the old server lists and does not give`
      context.print(`migrated ${userId} (${listed} messages${left})`, { userId, state: 'enabled', listed, notGiven })
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt)
    }
  },
}

const connected = async (config: Config): Promise<EventBus> => {
  const { address, tls } = await eventsOf(config)
  try {
    // One attempt, so that its error can be told; the bus itself would go on trying.
    const socket = await openSocket(address, tls, AbortSignal.timeout(connectMs))
    socket.destroy()
  } catch (error) {
    throw new CommandError(
      `mseventd at ${describeAddress(address)} can't be reached (${(error as Error).message}); are the services running?`,
    )
  }
  return connectEvents({ address, tls, clock: systemClock, log: silentLog, name: 'msadm' })
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
