/**
 * What mseventd knows: who is connected, which topics each listens to, which services each answers, and who is announced.
 * No socket here; a session belongs to one connection and calls in. Nothing is kept on disk: whoever is connected says
 * again what it wants after a restart.
 */
import type { Clock } from '../base/clock.ts'
import { ALL } from '../events/subscriptions.ts'
import type { MailEvent } from '../events/types.ts'
import { encodeHub, type ListedPresence } from '../events/wire.ts'
import { presenceEvents } from './presence-events.ts'
import { Requests } from './requests.ts'
import type { Session } from './session.ts'

export class Hub {
  readonly requests = new Requests()
  readonly sessions = new Set<Session>()
  readonly #clock: Clock
  readonly #byTopic = new Map<string, Set<Session>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  subscribe(session: Session, topic: string): void {
    const sessions = this.#byTopic.get(topic)
    if (sessions) sessions.add(session)
    else this.#byTopic.set(topic, new Set([session]))
  }

  unsubscribe(session: Session, topic: string): void {
    const sessions = this.#byTopic.get(topic)
    if (sessions?.delete(session) && sessions.size === 0) this.#byTopic.delete(topic)
  }

  /** To everybody who listens, `from` excepted. Encoded once, however many they are. */
  publish(event: MailEvent, from: Session): void {
    const listeners = new Set([...(this.#byTopic.get(event.topic) ?? []), ...(this.#byTopic.get(ALL) ?? [])])
    listeners.delete(from)
    if (listeners.size === 0) return
    const octets = encodeHub('event', 0, event)
    for (const listener of listeners) listener.send(octets)
  }

  /** Tells listeners what a change of the table means: a service started, a user logged in, … */
  presenceChanged(before: ListedPresence | undefined, after: ListedPresence | undefined, from: Session): void {
    for (const event of presenceEvents(before, after, this.#clock.now())) this.publish(event, from)
  }

  /** Services first, then connections, each in the order of their start; or one user's connections. */
  presences(user: string | undefined): readonly ListedPresence[] {
    const all: ListedPresence[] = []
    for (const session of this.sessions)
      for (const presence of session.presences.values())
        if (user === undefined || presence.user === user) all.push(presence)
    const isSession = (presence: ListedPresence) => Number(presence.sessionId !== undefined)
    return all.sort((a, b) => isSession(a) - isSession(b) || a.since - b.since)
  }
}
