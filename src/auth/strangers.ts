/**
 * Passwords of those who never logged in from their address are checked a few at a time, so that however many come at once, a user whose address is known waits for
 * no more than those few. Behind a wrong one its place rests: a flood of guesses gets about an eighth of the time that hashing could take, and mail the rest.
 * docs/decisions/0199-guessing.md
 */
import type { Clock } from '../base/clock.ts'
import { AuthError } from '../base/errors.ts'

export interface Strangers {
  /** Runs `check` when it is its turn. Throws AuthError unavailable when too many wait. */
  inTurn<T>(check: () => Promise<T>): Promise<T>
}

const maxWaiting = 150
/** Some seven times what a hash takes. The same for all: a rest as long as the check would tell the next one, seven times as loud, how long that took. */
const restMs = 300

/** `atOnce`: as many as the hash pool has threads, at most. */
export const createStrangers = (clock: Clock, atOnce: number): Strangers => {
  const waiting: (() => void)[] = []
  let running = 0
  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
  return {
    inTurn: async (check) => {
      if (running >= atOnce) {
        if (waiting.length >= maxWaiting) throw new AuthError('unavailable', 'too many logins at once; try again soon')
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running++
      try {
        const result = await check()
        leave()
        return result
      } catch (error) {
        void clock.sleep(restMs).then(leave)
        throw error
      }
    },
  }
}
