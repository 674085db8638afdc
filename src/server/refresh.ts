/**
 * Looks whether the directory has another configuration than the one in force. The process that stands for a service does it: the parent of workers, or the only one.
 * LDAP-07, administration guide appendix E
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/finding.ts'
import { type DirectoryPart, loadConfig } from '../config/ms-conf.ts'
import type { Process } from './process.ts'

/** Calls `reload` whenever the directory has another configuration, until the process ends. Does nothing in a process that it is not for. */
export const refreshOf = ({ args, config, directory, log }: Process, reload: () => void): void => {
  if (directory !== undefined) void refresh({ configFile: args.configFile, config, directory, log, onChange: reload })
}

interface Refreshing {
  readonly configFile: string | undefined
  readonly config: Config
  /** Of the configuration in force. */
  readonly directory: DirectoryPart
  readonly log: Log
  /** The directory has another one. */
  readonly onChange: () => void
}

/** A refused connection is no reason to ask without a pause. */
const leastPauseMs = 1000

const refresh = async ({ configFile, config, directory, log, onChange }: Refreshing): Promise<void> => {
  const intervalMs = config.get('config_refresh') * 1000
  const pauseMs = Math.max(leastPauseMs, config.get('ldap_connect_retry_pause') * 1000)
  let inForce = directory
  let said: string | undefined
  const say = (severity: 'warning' | 'err', message: string, reason?: string) => {
    if (said !== `${message} ${reason}`) log.log(severity, message, reason === undefined ? {} : { reason })
    said = `${message} ${reason}`
  }
  while (inForce.isCached || intervalMs > 0) {
    await sleep(inForce.isCached ? pauseMs : intervalMs, undefined, { ref: false })
    try {
      const { directory: now } = await loadConfig(configFile)
      // The file has all of it now: that is taken in at SIGHUP.
      if (now === undefined) return
      if (now.isCached && !inForce.isCached) say('warning', 'the directory with the configuration is away')
      if (!now.isCached && (inForce.isCached || said !== undefined)) {
        said = undefined
        log.log('notice', 'the directory with the configuration can be asked again')
      }
      if (!now.isCached && now.digest !== inForce.digest) onChange()
      // What is remembered may be older than what is in force.
      inForce = now.isCached ? { ...inForce, isCached: true } : now
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      say(
        'err',
        'the configuration in the directory is not taken in; the one from before stays in force',
        error.message,
      )
    }
  }
}
