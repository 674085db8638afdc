/** The entry of the room: a directory that holds accounts. */

import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { StoredAccount } from './account.ts'
import type { StoreContext } from './context.ts'
import { nodeFs, type StoreFs, unlessAbsent } from './fs.ts'
import { Leavings } from './leavings.ts'
import { OpenMailbox } from './mailbox.ts'
import { accountOf } from './names.ts'
import { RecentlyUsed } from './recently-used.ts'
import { MailboxRegistry } from './registry.ts'
import { Slots } from './slots.ts'
import type { Account, CommitNotice, Store } from './types.ts'

export interface StoreOptions {
  /** Directory of the accounts; made, with the levels above it, when the first account is. */
  readonly root: string
  readonly clock: Clock
  readonly log: Log
  /** The disk; the machine's own unless a test puts another one in its place. */
  readonly fs?: StoreFs
  /** Change sets after which a commit log is cut, later for a large mailbox; 256 unless a test wants to see it happen. */
  readonly epochEntries?: number
  /** How long expunged messages and removed mailboxes can be brought back; 7 days unless told otherwise. Asked whenever it matters. */
  readonly undeleteDays?: () => number
  /** Called for every commit by this process, after it is durable. */
  readonly onCommit?: (notice: CommitNotice) => void
}

/** Files being written at once: enough to keep a disk busy with syncs, few enough for the descriptors. */
const writesAtOnce = 64
/** Octets of messages on their way to the disk: what a backend sends while a slow sync takes its time. */
const writesOctets = 16 * 1_048_576
/** Of the summary caches kept in memory: the blocks that some 200 sessions are going through. */
const summaryOctets = 64 * 1_048_576
/** Of the statuses of accounts' mailboxes kept in memory, some 600 octets each. */
const statusOctets = 32 * 1_048_576

export function openStore(options: StoreOptions): Store {
  return new MdirStore(options)
}

/** A tail of this many entries takes a few ms to read. */
const epochEntries = 256
/** Percent by which a process may cut its logs later than another one. */
const maxSpread = 30
const undeleteDays = 7
/** Accounts whose log stays open. */
const maxAccounts = 1000

class MdirStore implements Store {
  private readonly root: string
  private readonly context: StoreContext
  private readonly registry = new MailboxRegistry()
  private readonly known = new Map<UserId, StoredAccount>()
  private readonly closing = new AbortController()
  private readonly makeMailbox: (userId: UserId, name: string, directory: string) => OpenMailbox

  constructor(options: StoreOptions) {
    const { clock, log, fs = nodeFs, onCommit = () => {} } = options
    this.root = resolve(options.root)
    this.context = {
      fs,
      clock,
      log,
      slots: new Slots(writesAtOnce, writesOctets),
      summaryBlocks: new RecentlyUsed(summaryOctets),
      statusTables: new RecentlyUsed(statusOctets),
      epochEntries: options.epochEntries ?? epochEntries,
      cutSpread: 1 + randomInt(maxSpread) / 100,
      cuts: new Map(),
      undeleteDays: options.undeleteDays ?? (() => undeleteDays),
      closing: this.closing.signal,
    }
    this.makeMailbox = (userId, name, directory) =>
      new OpenMailbox(this.context, userId, name, directory, onCommit, (mailbox) => this.registry.release(mailbox))
  }

  account(userId: UserId): Account {
    let account = this.known.get(userId)
    if (account === undefined) {
      account = new StoredAccount(this.context, this.root, userId, this.registry, this.makeMailbox)
      const [oldest] = this.known.keys()
      if (this.known.size >= maxAccounts && oldest !== undefined) this.known.delete(oldest)
      this.known.set(userId, account)
    }
    return account
  }

  async *accounts(): AsyncIterable<UserId> {
    const entries = (await unlessAbsent(this.context.fs.list(this.root))) ?? []
    void new Leavings(this.context).removeGone(this.root, entries)
    for (const entry of entries) {
      const userId = entry.isDirectory ? accountOf(entry.name) : undefined
      if (userId !== undefined) yield userId
    }
  }

  async close(): Promise<void> {
    this.closing.abort(new Error('the store is closed'))
    await this.registry.close()
    await Promise.all(this.context.cuts.values())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
