/** A certificate for spreadsheets: RFC 4180, a line for each message. The signed form is the JSON. */
import type { Entry } from './format.ts'

const columns = [
  'id',
  'from',
  'uidThere',
  'uidlThere',
  'sizeThere',
  'dateThere',
  'flagsThere',
  'mailbox',
  'uid',
  'octets',
  'digest',
  'exception',
  'detail',
  'differs',
] as const satisfies readonly (keyof Entry)[]

export const csvHeading = `${columns.join(',')}\r\n`

export const csvLine = (entry: Entry): string => `${columns.map((column) => cell(entry[column])).join(',')}\r\n`

/** What a spreadsheet would take for a formula has an apostrophe before it. */
export const cell = (value: string | number | readonly string[] | undefined): string => {
  if (value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const text = typeof value === 'string' ? value : value.join(' ')
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
