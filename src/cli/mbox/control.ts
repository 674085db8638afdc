/** Services in the background: started and stopped by their own commands and pid files. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Clock } from '../../base/clock.ts'
import { findRunning, isRunning } from '../../server/pid-file.ts'
import { mainOf, type ServiceName, serviceNames } from './services.ts'

/** For sessions to say goodbye and for workers to be killed. */
const stopMs = 25_000
const pollMs = 50

export interface ServiceStatus {
  readonly service: ServiceName
  readonly enabled: boolean
  /** Of the process to signal; undefined when it does not run. */
  readonly pid: number | undefined
}

/** All services, whether enabled or not, in the order of their start. */
export const statusOf = (runDirectory: string, enabled: readonly ServiceName[]): readonly ServiceStatus[] =>
  serviceNames.map((service) => ({
    service,
    enabled: enabled.includes(service),
    pid: findRunning(runDirectory, service),
  }))

/** Resolves when the service answers; false when it can't start, which it has explained on stderr. */
export async function startService(service: ServiceName, configFile: string | undefined): Promise<boolean> {
  const args = [...process.execArgv, mainOf(service), ...(configFile === undefined ? [] : ['-c', configFile])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  return code === 0
}

/** False when it does not stop in time. */
export async function stopService(runDirectory: string, service: ServiceName, clock: Clock): Promise<boolean> {
  const pid = findRunning(runDirectory, service)
  if (pid === undefined) return true
  process.kill(pid, 'SIGTERM')
  const giveUpAt = clock.monotonic() + stopMs
  // A process that is not our child can only be looked at.
  while (isRunning(pid, service)) {
    if (clock.monotonic() > giveUpAt) return false
    await clock.sleep(pollMs)
  }
  return true
}
