/**
 * Passwords of those who never logged in from their address are checked a few at a time, so that however many come at once, a user whose address is known waits for
 * no more than those few.
 */
import { AuthError } from '../base/errors.ts'

export interface Strangers {
  /** Runs `check` when it is its turn. Throws AuthError unavailable when too many wait. */
  inTurn<T>(check: () => Promise<T>): Promise<T>
}

/** As many as the hash pool has threads, at most. */
const atOnce = 4
const maxWaiting = 150

export const createStrangers = (): Strangers => {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    inTurn: async (check) => {
      if (running >= atOnce) {
        if (waiting.length >= maxWaiting) throw new AuthError('unavailable', 'too many logins at once; try again soon')
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running++
      try {
        return await check()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running--
        else next()
      }
    },
  }
}
