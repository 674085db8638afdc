import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { StoreFs } from './fs.ts'
import type { KeyBlock } from './key-block.ts'
import type { RecentlyUsed } from './recently-used.ts'
import type { Slots } from './slots.ts'
import type { StatusTable } from './status-table.ts'
import type { SummaryBlock } from './summary-block.ts'
import type { Bring } from './types.ts'

/** What everything in one open store shares. */
export interface StoreContext {
  readonly fs: StoreFs
  readonly clock: Clock
  readonly log: Log
  /** File operations under way. */
  readonly slots: Slots
  /** What is at hand of the summary caches of all mailboxes, by path. */
  readonly summaryBlocks: RecentlyUsed<SummaryBlock>
  /** What is at hand of the order keys of all mailboxes, by the mailbox's identity and the block's first UID. */
  readonly keyBlocks: RecentlyUsed<KeyBlock>
  /** What is at hand of the statuses of all accounts' mailboxes, by path. */
  readonly statusTables: RecentlyUsed<StatusTable>
  /** Change sets after which a log is cut, later for a larger state. */
  readonly epochEntries: number
  /** An epoch stays for so long after it was followed, as long as it is small. */
  readonly epochKeepMs: number
  /** A factor on that, another one in each process: so that not all of them begin at once. */
  readonly cutSpread: number
  /** Cuts under way, by the identity of the log; the store waits for them when it closes. */
  readonly cuts: Map<string, Promise<void>>
  /** How long what was removed can be brought back. */
  readonly undeleteDays: () => number
  /** `StoreOptions.bring`. */
  readonly bring: Bring | undefined
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
}
