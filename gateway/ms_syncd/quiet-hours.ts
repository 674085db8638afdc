/** When hosts are left alone: `backend_quiet_hours`. */
import type { QuietSpan } from '#src/config/options/own.ts'

const dayMinutes = 1_440

export class QuietHours {
  readonly #spans: readonly QuietSpan[]

  constructor(spans: readonly QuietSpan[]) {
    this.#spans = spans
  }

  /** End of the quiet hours that a host (`host:port`) is in at `now`, both in milliseconds since 1970; undefined: it is in none. */
  endOf(key: string, now: number): number | undefined {
    if (this.#spans.length === 0) return undefined
    const host = key.slice(0, key.lastIndexOf(':'))
    const date = new Date(now)
    const minute = date.getHours() * 60 + date.getMinutes()
    let end: number | undefined
    for (const { host: of, from, to } of this.#spans) {
      if (of !== '*' && of !== host) continue
      const isIn = from <= to ? minute >= from && minute < to : minute >= from || minute < to
      if (!isIn) continue
      const left = (to - minute + dayMinutes) % dayMinutes || dayMinutes
      const until = now - (now % 60_000) + left * 60_000
      end = Math.max(end ?? 0, until)
    }
    return end
  }
}
