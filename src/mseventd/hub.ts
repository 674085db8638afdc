/**
 * What mseventd knows: who is connected, which topics each listens to, which services each answers, and who is announced.
 * No socket here; a session belongs to one connection and calls in. Nothing is kept on disk: whoever is connected says
 * again what it wants after a restart.
 */
import type { Clock } from '../base/clock.ts'
import { matching } from '../events/subscriptions.ts'
import type { MailEvent } from '../events/types.ts'
import { encodeHub, type ListedPresence } from '../events/wire.ts'
import { presenceEvents, serviceEvent } from './presence-events.ts'
import { Requests } from './requests.ts'
import type { Session } from './session.ts'

/** The connections of a mseventd, by what they listen to, serve and announce. */
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
    const listeners = new Set(matching(event.topic).flatMap((topic) => [...(this.#byTopic.get(topic) ?? [])]))
    listeners.delete(from)
    if (listeners.size === 0) return
    const octets = encodeHub('event', 0, event)
    for (const listener of listeners) listener.send(octets)
  }

  /** Tells listeners what a change of the table means: a service started, a user logged in, … */
  presenceChanged(before: ListedPresence | undefined, after: ListedPresence | undefined, from: Session): void {
    for (const event of presenceEvents(before, after, this.#clock.now())) this.publish(event, from)
  }

  /** A process announces again, on a new connection, what it had announced before: of a service, listeners are told. */
  announcedAgain(presence: ListedPresence, from: Session): void {
    if (!isSession(presence)) this.publish(serviceEvent('service back', presence, this.#clock.now()), from)
  }

  /** Services first, then connections, each in the order of their start; or one user's connections; or (null) the services. */
  presences(user: string | null | undefined): readonly ListedPresence[] {
    const all: ListedPresence[] = []
    for (const session of this.sessions)
      for (const presence of session.presences.values())
        if (user === undefined || (user === null ? !isSession(presence) : presence.user === user)) all.push(presence)
    return all.sort((a, b) => Number(isSession(a)) - Number(isSession(b)) || a.since - b.since)
  }
}

const isSession = ({ sessionId }: ListedPresence): boolean => sessionId !== undefined
