import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { StoreFs } from './fs.ts'
import type { Slots } from './slots.ts'

/** What everything in one open store shares. */
export interface StoreContext {
  readonly fs: StoreFs
  readonly clock: Clock
  readonly log: Log
  /** File operations under way. */
  readonly slots: Slots
  /** Change sets after which a log is cut, later for a larger state. */
  readonly epochEntries: number
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
}
