/** What the rooms need of logging. Streams, formats and files are the server room's business. */

/** In falling order, with the severities of the administration guide §2.3.1. */
export type Severity = 'crit' | 'err' | 'warning' | 'notice' | 'info' | 'debug'

/** Values that a record may carry; never a password, never message content. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  log(severity: Severity, message: string, fields?: LogFields): void
  /** A log whose records all carry `fields`. */
  child(fields: LogFields): Log
}

/** Swallows everything; for tests and tools that have nowhere to log. */
export const silentLog: Log = { log: () => {}, child: () => silentLog }
