/** What the processes of a daemon have in common. */
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import type { DirectoryPart } from '../config/ms-conf.ts'
import type { DaemonArguments } from './arguments.ts'
import type { Daemon } from './types.ts'

/** What a process of a daemon knows of itself. */
export interface Process {
  readonly daemon: Daemon
  readonly args: DaemonArguments
  readonly config: Config
  /** What of it came from the directory, in the process that looks for changes there. */
  readonly directory: DirectoryPart | undefined
  readonly log: Log
  /** Goes on in a new log file after rotation. Throws when it can't be opened. */
  readonly reopenLog: () => void
}

/** As sysexits(3) has them. */
export const exitCodes = { usage: 64, unavailable: 69, software: 70, config: 78 } as const

/**
 * What a process is, told by the one that starts it in this variable of its environment: `background` behind a launcher,
 * `supervised` by `mbox run`, `worker i/n` the i-th of n, counted from 0, with ` again` when it takes the place of a dead one. Absent: started by a person or an init system.
 */
export const roleVariable = 'WHERRY_ROLE'
/**
 * Whether another process keeps this one, and tells it when to stop. Ctrl-C is sent to both of them: the order in which
 * services stop is the keeper's.
 */
export const isKept = (): boolean => /^(supervised|worker)/.test(process.env[roleVariable] ?? '')

/** Calls `stop` when this process is asked to end. */
export function onStopSignal(stop: () => void): void {
  process.on('SIGTERM', stop)
  process.on('SIGINT', isKept() ? () => {} : stop)
}

/** File that a background process and its workers log to. */
export const logVariable = 'WHERRY_LOG_FILE'
