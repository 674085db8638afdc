/** The log of a process: records of enough severity, as lines, to one target. */
import { systemClock } from '../../base/clock.ts'
import type { Log, LogFields, Severity } from '../../base/log.ts'
import { jsonLine, textLine } from './record.ts'

/** In falling order, as WHERRY_LOG_LEVEL takes them. */
export const severities: readonly Severity[] = ['crit', 'err', 'warning', 'notice', 'info', 'debug']
export type LogFormat = 'text' | 'json'

export interface LogTarget {
  /** A whole line. Never throws. */
  write(line: string): void
}

export interface LogOptions {
  readonly daemon: string
  readonly label: string | undefined
  readonly target: LogTarget
  readonly format: LogFormat
  /** Records below are dropped. */
  readonly least: Severity
}

/** A log that writes a line per record to `target`; `fields` go with each. */
export function makeLog(options: LogOptions, fields: LogFields = {}): Log {
  const { daemon, label, target, least } = options
  const line = options.format === 'json' ? jsonLine : textLine
  const limit = severities.indexOf(least)
  return {
    log(severity, message, own) {
      if (severities.indexOf(severity) > limit) return
      const time = systemClock.now()
      target.write(line({ time, daemon, pid: process.pid, label, severity, message, fields: { ...fields, ...own } }))
    },
    child: (own) => makeLog(options, { ...fields, ...own }),
  }
}
