/** A log record as a line. Whatever a client puts into it stays inside its line, and short. H29 */
import type { LogFields, Severity } from '../../base/log.ts'

export interface LogRecord {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly daemon: string
  readonly pid: number
  /** Of the `-s` switch: tells instances apart. LOG-11 */
  readonly label: string | undefined
  readonly severity: Severity
  readonly message: string
  readonly fields: LogFields
}

const maxMessageChars = 1024
const maxValueChars = 2048
const maxFields = 32

/** Controls, line separators and marks that reorder text on a terminal. */
const unprintable = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const escapeText = (text: string): string =>
  text.replace(unprintable, (char) => {
    const code = char.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })

const shorten = (text: string, maxChars: number): string =>
  text.length <= maxChars ? text : `${text.slice(0, maxChars)}…(${text.length} characters)`

const valueText = (value: string | number | boolean): string => {
  if (typeof value !== 'string') return String(value)
  const text = escapeText(shorten(value, maxValueChars).replaceAll('\\', '\\\\'))
  return /^[^\s"=\\]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`
}

const entries = (fields: LogFields) =>
  Object.entries(fields)
    .flatMap(([key, value]): [string, string | number | boolean][] => (value === undefined ? [] : [[key, value]]))
    .slice(0, maxFields)

/** `2026-11-22T03:18:00.123Z imapd[123] warning: message key=value key="two words"` */
export function textLine({ time, daemon, pid, label, severity, message, fields }: LogRecord): string {
  const program = label === undefined ? daemon : `${daemon}(${escapeText(shorten(label, 64))})`
  const values = entries(fields).map(([key, value]) => ` ${escapeText(key)}=${valueText(value)}`)
  const text = escapeText(shorten(message, maxMessageChars))
  return `${new Date(time).toISOString()} ${program}[${pid}] ${severity}: ${text}${values.join('')}\n`
}

/** The same as an object of JSON. */
export function jsonLine({ time, daemon, pid, label, severity, message, fields }: LogRecord): string {
  const values = entries(fields).map(([key, value]) => [
    key,
    typeof value === 'string' ? shorten(value, maxValueChars) : value,
  ])
  const record = {
    time: new Date(time).toISOString(),
    daemon,
    pid,
    label,
    severity,
    message: shorten(message, maxMessageChars),
    ...(values.length > 0 ? { fields: Object.fromEntries(values) } : {}),
  }
  // JSON escapes controls below U+0020 only.
  return `${JSON.stringify(record).replace(unprintable, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`
}
