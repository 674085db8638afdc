/** Ends the sessions that work on a user's mail here, and sees that they have ended. */
import type { Clock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { dismiss } from '#src/events/dismissal.ts'
import type { EventBus } from '#src/events/types.ts'
import { atOldServer } from '#src/server/passage.ts'

/** What clients are told. RFC 9051 §7.1.5 */
const reason = 'the mailbox moves to another server, please log in again'
const lookMs = 250
/** A login that was decided before the account was closed has shown itself by then. */
const quietLooks = 4
const longestMs = 60_000
const againMs = 1_000

type Parts = { readonly events: EventBus; readonly clock: Clock; readonly signal: AbortSignal }

/** Resolves when none has been there for a second. Answers how many there were. Throws AuthError unavailable, RemoteError. */
export const sayFarewell = async ({ events, clock, signal }: Parts, userId: UserId): Promise<number> => {
  const ended = new Set<string>()
  const deadline = clock.monotonic() + longestMs
  for (let quiet = 0; quiet < quietLooks; ) {
    const sessions = await sessionsHere(events, userId)
    for (const session of sessions) ended.add(session)
    if (sessions.length === 0) quiet++
    else {
      quiet = 0
      if (clock.monotonic() > deadline)
        throw new AuthError('unavailable', `${sessions.length} sessions of the user do not end`)
      dismiss(events, userId, reason)
    }
    await clock.sleep(lookMs, signal)
  }
  return ended.size
}

/** Whoever comes all the same is sent away again. Returns the way to stop. */
export const keepAway = ({ events, clock, signal }: Parts, userId: UserId): (() => void) => {
  const ending = new AbortController()
  const run = async () => {
    for (;;) {
      await clock.sleep(againMs, AbortSignal.any([signal, ending.signal]))
      if ((await sessionsHere(events, userId)).length > 0) dismiss(events, userId, reason)
    }
  }
  run().catch(() => {})
  return () => ending.abort()
}

const sessionsHere = async (events: EventBus, userId: UserId): Promise<readonly string[]> =>
  (await events.presences(userId)).flatMap(({ sessionId, activity }) =>
    sessionId === undefined || activity === atOldServer ? [] : [sessionId],
  )
