/** Dates on the wire: INTERNALDATE and APPEND's date-time, SEARCH's date. RFC 9051 §9 rules date-time, date-text */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const dayMs = 86_400_000

/** "17-Jul-1996 02:44:25 -0700" (or " 7-Jul-…", and "7-Jul-…" as some write it), without quotes: seconds since 1970; undefined when it is none or names no real moment. */
export function parseDateTime(text: string): number | undefined {
  const match = /^([ \d]?\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/.exec(text)
  if (match === null) return undefined
  const day = dayNumber(match[3]!, match[2]!, match[1]!)
  const [hour, minute, second, zoneHour, zoneMinute] = [4, 5, 6, 8, 9].map((index) => Number(match[index]))
  // RFC 5322 §3.3 allows 60, a leap second
  if (day === undefined || hour! > 23 || minute! > 59 || second! > 60 || zoneHour! > 23 || zoneMinute! > 59)
    return undefined
  const offset = (zoneHour! * 60 + zoneMinute!) * 60
  return day * 86_400 + hour! * 3600 + minute! * 60 + second! - (match[7] === '-' ? -offset : offset)
}

/** "1-Feb-1994": whole days since 1970-01-01; undefined when it is none or names no real day. */
export function parseDate(text: string): number | undefined {
  const match = /^(\d\d?)-([A-Za-z]{3})-(\d{4})$/.exec(text)
  return match === null ? undefined : dayNumber(match[3]!, match[2]!, match[1]!)
}

/** date-time in UTC with its quotes: "\"17-Jul-1996 09:44:25 +0000\"". The zone of the sender is not kept by the store. */
export function formatDateTime(seconds: number): string {
  const date = new Date(seconds * 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  const day = String(date.getUTCDate()).padStart(2, ' ')
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  return `"${day}-${months[date.getUTCMonth()]}-${year} ${time} +0000"`
}

function dayNumber(year: string, monthName: string, day: string): number | undefined {
  const lower = monthName.toLowerCase()
  const month = months.findIndex((name) => name.toLowerCase() === lower)
  if (month < 0) return undefined
  const date = new Date(0)
  // not Date.UTC: it takes the years 0 to 99 for 1900 to 1999
  date.setUTCFullYear(Number(year), month, Number(day))
  return date.getUTCMonth() === month && date.getUTCDate() === Number(day) ? date.getTime() / dayMs : undefined
}
