/** Times in the words of a command. */
import { UsageError } from './command.ts'

const unitSeconds = { d: 86_400, h: 3600 } as const

/** Seconds since 1970 of `2026-11-20`, `2026-11-20T10:00` (local time), `-3d` or `-12h` (before `now`). Throws UsageError. */
export function timeOf(text: string, now: number): number {
  const ago = /^-([0-9]{1,5})([dh])$/.exec(text)
  if (ago !== null) return now - Number(ago[1]) * unitSeconds[ago[2] as keyof typeof unitSeconds]
  const date = /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}))?$/.exec(text)
  if (date !== null) {
    const [year, month, day, hour, minute] = date.slice(1).map((part) => Number(part ?? 0)) as [
      number,
      number,
      number,
      number,
      number,
    ]
    const time = new Date(year, month - 1, day, hour, minute)
    // 2026-02-30 would be a day of March.
    if (time.getMonth() === month - 1 && time.getDate() === day && hour < 24 && minute < 60)
      return time.getTime() / 1000
  }
  throw new UsageError(`${JSON.stringify(text)} is no time; take 2026-11-20, 2026-11-20T10:00, -3d or -12h`)
}
