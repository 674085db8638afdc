/** Services in the foreground, under this process: `mbox run` and `npm start`. */
import type { Log } from '../../base/log.ts'
import { roleVariable } from '../../server/process.ts'
import { KeptProcess, StartError } from '../../server/supervision.ts'
import type { ListenAddress } from '../../server/types.ts'
import { mainOf, type ServiceName } from './services.ts'

/** Services of one configuration. */
export interface ServiceSet {
  /** Absolute; undefined for the default. */
  readonly configFile: string | undefined
  readonly services: readonly ServiceName[]
  /** Put before each line of their output, where several sets run. */
  readonly prefix?: string
}

export interface SuperviseOptions {
  readonly sets: readonly ServiceSet[]
  readonly log: Log
  /** A line of the services' output, with its newline. */
  readonly onOutput: (line: string) => void
}

export interface RunningServices {
  /** Where each set can be reached, in the order of the sets. */
  readonly addresses: readonly (readonly ListenAddress[])[]
  /** Resolves when every service has ended, by `stop` or from outside. */
  readonly ended: Promise<void>
  /** Has all services read their configuration again. */
  reload(): void
  stop(): Promise<void>
}

/** A service stops within 15 s, or its parent kills its workers. */
const stopMs = 20_000

/**
 * Starts all services of all sets and resolves when every one of them answers; one that dies later is started again.
 * Throws StartError when one can't start; the others are stopped again then.
 */
export async function superviseServices({ sets, log, onOutput }: SuperviseOptions): Promise<RunningServices> {
  const { promise: ended, resolve: allEnded } = Promise.withResolvers<void>()
  const kept: KeptProcess[] = []
  let living = 0
  const keep = ({ configFile, prefix }: ServiceSet, service: ServiceName) => {
    living++
    const child = new KeptProcess({
      name: prefix === undefined ? service : `${prefix} ${service}`,
      main: mainOf(service),
      args: ['-d', ...(configFile === undefined ? [] : ['-c', configFile])],
      env: () => ({ [roleVariable]: 'supervised' }),
      log,
      onOutput: (line) => onOutput(prefix === undefined ? line : `${prefix} ${line}`),
      onEnd: () => {
        if (--living === 0) allEnded()
      },
    })
    kept.push(child)
    return child.start().catch((error: StartError) => {
      throw new StartError(`${service}: ${error.message}`, error.exitCode)
    })
  }
  const stop = async () => {
    // mseventd last: the others tell it that they go.
    await Promise.all(kept.filter((child) => !child.name.endsWith('mseventd')).map((child) => child.stop(stopMs)))
    await Promise.all(kept.map((child) => child.stop(stopMs)))
  }
  const startSet = async (set: ServiceSet) => {
    const first = set.services.includes('mseventd') ? await keep(set, 'mseventd') : []
    const others = set.services.filter((service) => service !== 'mseventd')
    return [...first, ...(await Promise.all(others.map((service) => keep(set, service)))).flat()]
  }
  try {
    const addresses = await Promise.all(sets.map(startSet))
    const reload = () => {
      for (const child of kept) child.signal('SIGHUP')
    }
    return { addresses, ended, stop, reload }
  } catch (error) {
    await stop()
    throw error
  }
}
