/**
 * The throttle of all processes of all services: each tells the others of the logins that it decided, by events. What is told is a digest of the user id, since what is typed
 * there may be a password. While mseventd is away each process counts for itself.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { prefixOf, type Throttle, type ThrottleNews } from './throttle.ts'

/** Of the events; their name too. */
export const throttleTopic = 'auth:throttle'

type Fields = Readonly<Record<string, string | number>>

/** What it needs of the event bus. */
export interface ThrottleBus {
  publish(event: { readonly topic: string; readonly name: string; readonly fields: Fields }): void
  /** Answers what ends it. */
  subscribe(topics: readonly string[], onEvent: (event: { readonly fields: Fields }) => void): () => void
}

export interface SharedThrottle extends Pick<Throttle, 'wait' | 'isKnown'> {
  /** Counts a login that was decided here, and tells the others. */
  decided(what: ThrottleNews['what'], address: string, account: string | undefined): void
  close(): void
}

/** News are told together, after this. */
const gatherMs = 100
/** Fields of an event. */
const maxNews = 60
/** More in `gatherMs` is not told: by then every bucket is full. */
const maxGathered = 2_000

export const accountKey = (userId: string): string =>
  createHash('sha256').update(`throttle ${userId}`).digest('base64url').slice(0, 22)

export const shareThrottle = (throttle: Throttle, bus: ThrottleBus | undefined, clock: Clock): SharedThrottle => {
  const own = randomBytes(6).toString('base64url')
  const closed = new AbortController()
  let gathered: string[] = []
  const tell = () => {
    const news = gathered
    gathered = []
    for (let from = 0; from < news.length; from += maxNews) {
      const fields = Object.fromEntries(news.slice(from, from + maxNews).map((text, index) => [`n${index}`, text]))
      bus?.publish({ topic: throttleTopic, name: throttleTopic, fields: { by: own, ...fields } })
    }
  }
  const unsubscribe = bus?.subscribe([throttleTopic], ({ fields }) => {
    if (fields.by !== own) for (const news of newsIn(fields)) throttle.note(news)
  })
  return {
    wait: throttle.wait,
    isKnown: throttle.isKnown,
    decided: (what, address, account) => {
      const prefix = prefixOf(address)
      throttle.note({ what, prefix, account })
      if (bus === undefined || gathered.length >= maxGathered) return
      gathered.push(`${what} ${prefix} ${account ?? '-'}`)
      if (gathered.length === 1) clock.sleep(gatherMs, closed.signal).then(tell, () => {})
    },
    close: () => {
      closed.abort()
      unsubscribe?.()
    },
  }
}

function* newsIn(fields: Fields): Generator<ThrottleNews> {
  for (const [key, value] of Object.entries(fields)) {
    const [, what, prefix, account] =
      (/^n\d+$/.test(key) && /^(failed|succeeded) (\S{1,64}) (\S{1,22})$/.exec(String(value))) || []
    if (what !== undefined)
      yield { what: what as ThrottleNews['what'], prefix: prefix!, account: account === '-' ? undefined : account }
  }
}
