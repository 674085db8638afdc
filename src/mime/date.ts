/** The day and the moment in a Date field. RFC 5322 §3.3, with the obsolete forms of §4.3 and what broken writers make of it */

import { Lexer } from './lexer.ts'

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const dayMs = 86_400_000

/**
 * The day as it is written, whatever time and zone say (SEARCH SENTON, RFC 9051 §6.4.4): whole days since 1970-01-01. undefined when
 * the field (unfolded) doesn't name a real day.
 */
export function sentDay(value: string): number | undefined {
  const words = dateWords(value)
  // [day-name] day month year, or asctime's [day-name] month day time year.
  const month = words.slice(0, 3).findIndex((word) => monthOf(word) !== undefined)
  if (month < 0) return undefined
  const dayFirst = /^\d{1,2}$/.test(words[month - 1] ?? '')
  const day = dayFirst ? words[month - 1] : words[month + 1]
  const year = dayFirst ? words[month + 1] : words.slice(month + 2).find((word) => /^\d{4}$/.test(word))
  if (day === undefined || year === undefined || !/^\d{1,2}$/.test(day) || !/^\d{2,4}$/.test(year)) return undefined
  return dayNumber(fullYear(year), monthOf(words[month]!)!, Number(day))
}

/** The first words and numbers, comments left out: a date's day comes first. */
function dateWords(value: string): string[] {
  const input = new Lexer(value)
  const words: string[] = []
  while (words.length < 8 && input.skipCfws() && !input.atEnd) {
    const word = input.until(' \t\r\n(,-')
    if (word !== '') words.push(word)
    if (!input.atEnd && ',-'.includes(input.peek())) input.skip()
  }
  return words
}

/**
 * The moment: whole seconds since 1970-01-01 00:00:00 UTC. A time that is none is taken for midnight, a zone that is none for UTC (SORT and THREAD,
 * RFC 5256 §2.2). undefined when the field (unfolded) doesn't name a real day.
 */
export function sentTime(value: string): number | undefined {
  const day = sentDay(value)
  if (day === undefined) return undefined
  const [, hours, minutes, seconds = '0', zone] = clock.exec(withoutComments(value)) ?? []
  const isTime = Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) <= 60
  const time = isTime ? (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds) : 0
  return (day * dayMs) / 1000 + time - zoneSeconds(zone ?? '')
}

/**
 * The moment and the zone that it is written in, of a value that begins with a whole date-time of RFC 5322 §3.3 (and §4.3). undefined for anything else: a day that there is not, an hour
 * without minutes, a zone of which nobody knows what it is.
 */
export function readDateTime(value: string): { readonly seconds: number; readonly zoneMinutes: number } | undefined {
  const match = dateTime.exec(withoutComments(value))
  if (match === null) return undefined
  const [, day, monthName, year, hours, minutes, seconds = '0', zone] = match
  const month = monthOf(monthName!)
  const days = month === undefined ? undefined : dayNumber(fullYear(year!), month, Number(day))
  const isTime = Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) <= 60
  if (days === undefined || !isTime) return undefined
  const time = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)
  const offset = zoneSeconds(zone!)
  return { seconds: (days * dayMs) / 1000 + time - offset, zoneMinutes: offset / 60 }
}

const dateTime =
  /^ (?:[a-z]{3,9} ?,? )?(\d{1,2}) ([a-z]{3,9}) (\d{2,4}) (\d{1,2}) ?: ?(\d{2})(?: ?: ?(\d{2}))? ([+-]\d{4}|[a-z]{1,5})(?= |$)/i

/** Time and zone, between them maybe the year (asctime). White space may stand anywhere (RFC 5322 §4.3), and some write dots for colons. */
const clock =
  / (\d{1,2}) ?[:.] ?(\d{2})(?: ?[:.] ?(\d{2})(?!\d))?(?: \d{4}(?= |$))?(?: ?([+-]\d{4}|[a-z]{1,9})(?= |$))?/i

/** The beginning, with one space where comments and white space stand. */
function withoutComments(value: string): string {
  const input = new Lexer(value.slice(0, 200))
  let text = ''
  while (input.skipCfws() && !input.atEnd) text += ` ${input.until(' \t\r\n(')}`
  return text
}

/** RFC 5322 §4.3. Single letters mean nothing there. */
const namedZones: Readonly<Record<string, number>> = {
  EST: -5,
  EDT: -4,
  CST: -6,
  CDT: -5,
  MST: -7,
  MDT: -6,
  PST: -8,
  PDT: -7,
}

/** East of Greenwich. */
function zoneSeconds(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(zone) ?? []
  if (sign === undefined) return (namedZones[zone.toUpperCase()] ?? 0) * 3600
  if (Number(minutes) > 59) return 0
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60
}

/** From the first three letters. */
function monthOf(word: string): number | undefined {
  const index = /^[a-z]{3,}\.?$/i.test(word) ? months.indexOf(word.slice(0, 3).toLowerCase()) : -1
  return index < 0 ? undefined : index
}

/** RFC 5322 §4.3: two digits below 50 are of this century, other years of less than four count from 1900. */
function fullYear(digits: string): number {
  const year = Number(digits)
  if (digits.length === 4) return year
  return digits.length === 2 && year < 50 ? 2000 + year : 1900 + year
}

function dayNumber(year: number, month: number, day: number): number | undefined {
  // not Date.UTC: it takes the years 0 to 99 for 1900 to 1999
  const date = new Date(0)
  date.setUTCFullYear(year, month, day)
  return date.getUTCMonth() === month && date.getUTCDate() === day ? date.getTime() / dayMs : undefined
}
