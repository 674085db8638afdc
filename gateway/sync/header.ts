/** What the gateway needs of a message's header before the message is stored: where it ends, its date, its digest. */
import { createHash } from 'node:crypto'

/** A header is looked for in so many octets. */
export const headerLimit = 65_536

/** Octets of the header with its empty line; all of them where there is none. */
export const headerOf = (octets: Buffer): Buffer => {
  const crlf = octets.indexOf('\r\n\r\n')
  return crlf < 0 ? octets : octets.subarray(0, crlf + 4)
}

/** Fields, unfolded, in latin1. */
const fieldsOf = (header: Buffer): readonly string[] =>
  header
    .toString('latin1')
    .replace(/\r?\n[ \t]/g, ' ')
    .split(/\r?\n/)

/** Fields that servers add or change by themselves after delivery. */
const changing = /^(?:status|x-status|x-uidl|x-keywords):/i

/** SHA-256 of the header, base64url, without what a server may change between sessions. */
export const headerDigest = (octets: Buffer): string => {
  const hash = createHash('sha256')
  // At the limit exactly, in however large pieces the octets came.
  for (const field of fieldsOf(headerOf(octets.subarray(0, headerLimit))))
    if (field !== '' && !changing.test(field)) hash.update(`${field}\n`, 'latin1')
  return hash.digest('base64url')
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const zones: Readonly<Record<string, number>> = {
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
}

/** A date-time of RFC 5322 §3.3 (with the obsolete years and zones of §4.3), in seconds since 1970. */
export const parseDateTime = (text: string): number | undefined => {
  const match =
    /\b(\d{1,2}) +([A-Za-z]{3})[A-Za-z]* +(\d{2,4}) +(\d{1,2}):(\d{2})(?::(\d{2}))?(?: +([+-]\d{4}|[A-Za-z]{1,5}))?/.exec(
      text.slice(0, 1_000),
    )
  if (match === null) return undefined
  const [, day, name, yearText, hour, minute, second = '0', zone = '+0000'] = match
  const month = months.indexOf(name!.toLowerCase())
  const written = Number(yearText)
  const year = yearText!.length === 4 ? written : written < 50 ? 2000 + written : 1900 + written
  const offset = /^[+-]/.test(zone)
    ? (zone[0] === '-' ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3)))
    : (zones[zone.toUpperCase()] ?? 0)
  if (month < 0 || Number(day) > 31 || Number(hour) > 24 || Number(minute) > 59 || Number(second) > 60) return undefined
  const seconds = Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second)) / 1_000 - offset * 60
  return seconds
}

/**
 * INTERNALDATE for a message from a POP3 server, which tells no date: that of the topmost Received, else of Date, else
 * `now`. Dates before 1971 or more than a day ahead are not believed.
 */
export const internalDateOf = (octets: Buffer, now: number): number => {
  const fields = fieldsOf(headerOf(octets))
  const received = fields.find((field) => /^received:/i.test(field))
  const date = fields.find((field) => /^date:/i.test(field))
  const candidates = [received?.slice(received.lastIndexOf(';') + 1), date?.slice(5)]
  for (const candidate of candidates) {
    const seconds = candidate === undefined ? undefined : parseDateTime(candidate)
    if (seconds !== undefined && seconds > 31_536_000 && seconds < now + 86_400) return seconds
  }
  return now
}
