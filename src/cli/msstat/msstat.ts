/** Live view of the services, as a client of mseventd: the administration guide's chapter 9. */
import type { Writable } from 'node:stream'
import { throttleTopic } from '../../auth/shared-throttle.ts'
import { canonicalUserId, defaultDomain } from '../../auth/user-id.ts'
import type { Clock } from '../../base/clock.ts'
import { RemoteError, SyntaxFault } from '../../base/errors.ts'
import type { Config } from '../../config/config.ts'
import { ConfigError } from '../../config/finding.ts'
import { loadConfig } from '../../config/ms-conf.ts'
import type { EventBus } from '../../events/types.ts'
import { exitCodes } from '../../server/process.ts'
import { TlsError } from '../../server/tls.ts'
import { connected } from '../event-bus.ts'
import { type Arguments, parseArguments, UsageError, usage } from './arguments.ts'
import { backendJson, backendLines, readBackends } from './backends.ts'
import { connectionLines, eventLine, presenceJson, serviceLines } from './format.ts'
import { hostNames } from './host-names.ts'

export interface Surroundings {
  readonly out: Writable
  readonly err: Writable
  readonly clock: Clock
  /** Ends -f. */
  readonly interrupted: AbortSignal
}

/** Runs msstat; answers its exit status. */
export async function msstat(argv: readonly string[], { out, err, clock, interrupted }: Surroundings): Promise<number> {
  const say = (text: string) => err.write(`msstat: ${text}\n`)
  let args: Arguments
  try {
    args = parseArguments(argv)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(`${error.message}; msstat help shows what there is`)
    return exitCodes.usage
  }
  if (args.action.kind === 'help') {
    out.write(usage)
    return 0
  }
  let bus: EventBus | undefined
  try {
    const { config } = await loadConfig(args.configFile)
    bus = await connected(config, 'msstat', clock)
    return await act(bus, args, config, { out, err, clock, interrupted })
  } catch (error) {
    if (error instanceof ConfigError || error instanceof TlsError) {
      say(error.message)
      return exitCodes.config
    }
    if (error instanceof SyntaxFault) {
      say(`-e: ${error.message}`)
      return exitCodes.usage
    }
    if (!(error instanceof RemoteError)) throw error
    say(error.message)
    return 1
  } finally {
    await bus?.close()
  }
}

async function act(bus: EventBus, args: Arguments, config: Config, surroundings: Surroundings): Promise<number> {
  const { out, err, clock } = surroundings
  const print = (lines: readonly string[]) => out.write(lines.map((line) => `${line}\n`).join(''))
  const { action, pretty, serverHost, numeric } = args
  switch (action.kind) {
    case 'services': {
      const services = await bus.presences(null)
      const now = clock.now()
      print(args.json ? services.map((item) => presenceJson(item, now)) : serviceLines(services, now, pretty))
      return 0
    }
    case 'users': {
      const connections = (await bus.presences()).filter(
        (presence) => presence.sessionId !== undefined && action.pattern.test(presence.user ?? ''),
      )
      const addresses = connections.flatMap((item) => item.clientAddress ?? [])
      const clientName = numeric || args.json ? (address: string) => address : await hostNames(addresses)
      const now = clock.now()
      print(
        args.json
          ? connections.map((item) => presenceJson(item, now))
          : connectionLines(connections, now, { pretty, serverHost, clientName }),
      )
      return 0
    }
    case 'backends': {
      const view = await readBackends(bus)
      const backends = view.backends.filter(({ user }) => action.pattern.test(user))
      print(args.json ? backendJson({ ...view, backends }) : backendLines({ ...view, backends }, clock.now()))
      return 0
    }
    case 'follow':
      await follow(bus, action.topic, args.json, surroundings)
      return 0
    case 'raise': {
      const user = canonicalUserId(action.user, defaultDomain(config, undefined))
      // The answer to this also says that we are connected, so that the publication isn't dropped.
      const isRunning = (await bus.presences(null)).some((presence) => presence.service === 'gw')
      bus.publish({ topic: `ms_sync:${user}`, name: 'sync', fields: { user } })
      // Answered after the publication was taken.
      const sessions = await bus.presences(user)
      if (isRunning && (sessions.length > 0 || (await isPolled(bus, user)))) return 0
      err.write(
        isRunning
          ? `msstat: nobody took the event: ${user} has no session; others than connected and polled users are synchronised at their next login\n`
          : 'msstat: no ms_syncd is running: the event reached nobody\n',
      )
      return 1
    }
    default:
      throw new TypeError(`no such action: ${action.kind}`)
  }
}

/** Whether ms_syncd polls a user who has no session. */
const isPolled = async (bus: EventBus, user: string): Promise<boolean> => {
  try {
    const { backends } = await readBackends(bus)
    return backends.some((view) => view.user === user && view.state !== 'idle')
  } catch (error) {
    if (error instanceof RemoteError) return false
    throw error
  }
}

/** Prints events until interrupted, over restarts of mseventd. */
function follow(bus: EventBus, topic: string, json: boolean, { out, err, interrupted }: Surroundings): Promise<void> {
  return new Promise((resolve) => {
    let inForce = false
    const stop = bus.subscribe(
      [topic],
      (event) => {
        // What services tell each other of wrong passwords is theirs, unless it is asked for.
        if (event.topic === throttleTopic && topic !== throttleTopic) return
        out.write(`${json ? JSON.stringify(event) : eventLine(event)}\n`)
      },
      () => {
        if (inForce) err.write('msstat: mseventd was away, events may be missing here\n')
        inForce = true
      },
    )
    const end = () => {
      stop()
      resolve()
    }
    interrupted.addEventListener('abort', end, { once: true })
    if (interrupted.aborted) end()
    // Whoever read our output has gone: `msstat -f ALL | head -1`.
    out.once('error', end)
    out.once('close', end)
  })
}
