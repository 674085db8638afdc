/** Has the sessions of one user say goodbye, in every daemon that hears it: what they work on is to change hands. */
import type { UserId } from '../base/ids.ts'
import type { EventBus } from './types.ts'

const topic = 'dismiss:'

/** At most once, as every event: whoever needs it looks whether they went (`presences`), and says it again. `reason` is for the client. */
export const dismiss = (events: EventBus, userId: UserId, reason: string): void =>
  events.publish({ topic: `${topic}${userId}`, name: 'dismiss', fields: { user: userId, reason } })

/** Returns the way to stop. */
export const onDismissal = (events: EventBus, listener: (userId: string, reason: string) => void): (() => void) =>
  events.subscribe([topic], ({ topic: told, fields }) =>
    listener(told.slice(topic.length), String(fields.reason ?? 'please log in again')),
  )
