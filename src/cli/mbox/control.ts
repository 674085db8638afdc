/** Services in the background: started and stopped by their own commands and pid files. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Clock } from '../../base/clock.ts'
import { isRunning, type PidState, pidStateOf } from '../../server/pid-file.ts'
import { mainOf, type ServiceName, serviceNames } from './services.ts'

/** For sessions to say goodbye and for workers to be killed. */
const stopMs = 25_000
const pollMs = 50

export interface ServiceStatus {
  readonly service: ServiceName
  readonly enabled: boolean
  /** With the process to signal, where it runs. */
  readonly state: PidState
}

/** All services, whether enabled or not, in the order of their start. */
export const statusOf = (runDirectory: string, enabled: readonly ServiceName[]): readonly ServiceStatus[] =>
  serviceNames.map((service) => ({
    service,
    enabled: enabled.includes(service),
    state: pidStateOf(runDirectory, service),
  }))

/** Resolves when the service answers; false when it can't start, which it has explained on stderr. */
export async function startService(service: ServiceName, configFile: string | undefined): Promise<boolean> {
  const args = [...process.execArgv, mainOf(service), ...(configFile === undefined ? [] : ['-c', configFile])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  return code === 0
}

/** Answers why it does not stop; undefined when it has stopped. */
export async function stopService(service: ServiceName, pid: number, clock: Clock): Promise<string | undefined> {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return undefined
    return `${service} (process ${pid}) belongs to another user (${code}); stop it as root, or as that user`
  }
  const giveUpAt = clock.monotonic() + stopMs
  // A process that is not our child can only be looked at.
  while (isRunning(pid, service)) {
    if (clock.monotonic() > giveUpAt) return `${service} (process ${pid}) does not stop`
    await clock.sleep(pollMs)
  }
  return undefined
}
