/** The entry of the room: directories that hold accounts. */

import { randomInt } from 'node:crypto'
import { basename, dirname, resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { StoredAccount } from './account.ts'
import { archiveError } from './archive/archive-fs.ts'
import { Archives } from './archive/archives.ts'
import { LiveOrArchived } from './archive/live-or-archived.ts'
import type { StoreContext } from './context.ts'
import { nodeFs, type StoreFs, storeError, unlessAbsent } from './fs.ts'
import { Leavings } from './leavings.ts'
import { OpenMailbox } from './mailbox.ts'
import { moveAccount } from './move-account.ts'
import { accountDirectory, accountOf } from './names.ts'
import { type PartitionOptions, type PartitionRule, Partitions } from './partitions.ts'
import { Places } from './places.ts'
import { RecentlyUsed } from './recently-used.ts'
import { MailboxRegistry } from './registry.ts'
import { renameAccount } from './rename-account.ts'
import { StoredShared } from './shared-message.ts'
import { StoredSharers } from './sharers.ts'
import { Slots } from './slots.ts'
import type {
  Account,
  Bring,
  CommitNotice,
  MoveOptions,
  MoveResult,
  SharedMessage,
  Sharers,
  Store,
  TreeNotice,
} from './types.ts'

export interface StoreOptions {
  /** Directory of the accounts; made, with the levels above it, when the first account is. */
  readonly root: string
  /** Further directories of accounts, on other file systems for instance. They have to be there. */
  readonly partitions?: readonly string[]
  /** Directories of accounts that are only read, copies of such a directory for instance. */
  readonly archives?: readonly string[]
  /** `free` unless told. */
  readonly partitionRule?: PartitionRule
  /** Root that a user's own entry names, for when his account is made. */
  readonly ownRoot?: PartitionOptions['ownRoot']
  readonly clock: Clock
  readonly log: Log
  /** The disk; the machine's own unless a test puts another one in its place. */
  readonly fs?: StoreFs
  /** Change sets after which a commit log is cut, later for a large mailbox; 256 unless a test wants to see it happen. */
  readonly epochEntries?: number
  /** Milliseconds for which epochs stay that nobody needs but who copies the tree; an hour unless a test wants them to go. */
  readonly epochKeepMs?: number
  /** How long expunged messages and removed mailboxes can be brought back; 7 days unless told otherwise. Asked whenever it matters. */
  readonly undeleteDays?: () => number
  /** Milliseconds without a sign of life after which a move counts as given up; three minutes unless a test wants to see it happen. */
  readonly moverSilenceMs?: number
  /** Has octets of announced messages fetched by whoever can; without it they are unavailable until they come by themselves. */
  readonly bring?: Bring
  /** Called for every commit by this process, after it is durable. */
  readonly onCommit?: (notice: CommitNotice) => void
  /** Likewise for every change of a tree. */
  readonly onTree?: (notice: TreeNotice) => void
}

/** Files being written at once: enough to keep a disk busy with syncs, few enough for the descriptors. */
const writesAtOnce = 64
/** Octets of messages on their way to the disk: what a backend sends while a slow sync takes its time. */
const writesOctets = 16 * 1_048_576
/** Of the summary caches kept in memory: the blocks that some 200 sessions are going through. */
const summaryOctets = 64 * 1_048_576
/** Of the order keys kept in memory: those of some 200,000 messages. */
const keyOctets = 64 * 1_048_576
/** Of the statuses of accounts' mailboxes kept in memory, some 600 octets each. */
const statusOctets = 32 * 1_048_576

export function openStore(options: StoreOptions): Store {
  return new MdirStore(options)
}

/** A tail of this many entries takes a few ms to read. */
const epochEntries = 256
const epochKeepMs = 3_600_000
/** Percent by which a process may cut its logs later than another one. */
const maxSpread = 30
const undeleteDays = 7
const moverSilenceMs = 180_000
/** Accounts whose log stays open. */
const maxAccounts = 1000

class MdirStore implements Store {
  readonly roots: readonly string[]
  readonly archives: readonly string[]
  readonly sharers: Sharers
  private readonly archived: Archives
  private readonly places: Places
  private readonly moverSilenceMs: number
  private readonly context: StoreContext
  private readonly registry = new MailboxRegistry()
  private readonly known = new Map<UserId, Account>()
  /** By directory. */
  private readonly trees = new Map<string, Account>()
  private readonly closing = new AbortController()
  private readonly onTree: (notice: TreeNotice) => void
  private readonly makeMailbox: (userId: UserId, name: string, directory: string) => OpenMailbox

  constructor(options: StoreOptions) {
    const { clock, log, fs = nodeFs, onCommit = () => {}, onTree = () => {} } = options
    this.onTree = onTree
    this.roots = [...new Set([options.root, ...(options.partitions ?? [])].map((path) => resolve(path)))]
    this.context = {
      fs,
      clock,
      log,
      slots: new Slots(writesAtOnce, writesOctets),
      summaryBlocks: new RecentlyUsed(summaryOctets),
      keyBlocks: new RecentlyUsed(keyOctets),
      statusTables: new RecentlyUsed(statusOctets),
      epochEntries: options.epochEntries ?? epochEntries,
      epochKeepMs: options.epochKeepMs ?? epochKeepMs,
      cutSpread: 1 + randomInt(maxSpread) / 100,
      cuts: new Map(),
      undeleteDays: options.undeleteDays ?? (() => undeleteDays),
      bring: options.bring,
      closing: this.closing.signal,
    }
    this.archives = [...new Set((options.archives ?? []).map((path) => resolve(path)))]
    this.archived = new Archives(this.context, this.archives)
    this.sharers = new StoredSharers(this.context, this.roots[0]!)
    const { partitionRule: rule = 'free', ownRoot = async () => undefined } = options
    const partitions = new Partitions(this.context, { roots: this.roots, rule, ownRoot })
    this.moverSilenceMs = options.moverSilenceMs ?? moverSilenceMs
    this.places = new Places(this.context, partitions, this.moverSilenceMs)
    this.makeMailbox = (userId, name, directory) =>
      new OpenMailbox(this.context, userId, name, directory, onCommit, (mailbox) => this.registry.release(mailbox))
  }

  account(userId: UserId): Account {
    let account = this.known.get(userId)
    if (account === undefined) {
      account = new StoredAccount(this.context, this.places, userId, this.registry, this.makeMailbox, this.onTree)
      if (this.archives.length > 0) account = new LiveOrArchived(account, this.archived)
      const [oldest] = this.known.keys()
      if (this.known.size >= maxAccounts && oldest !== undefined) this.known.delete(oldest)
      this.known.set(userId, account)
    }
    return account
  }

  tree(name: string, directory: string): Account {
    const path = resolve(directory)
    let tree = this.trees.get(path)
    if (tree === undefined) {
      const { context, registry, makeMailbox, onTree } = this
      // A tree stays where it is: its root is the directory above, and the only one.
      const options: PartitionOptions = { roots: [dirname(path)], rule: 'first', ownRoot: async () => undefined }
      const places = new Places(context, new Partitions(context, options), this.moverSilenceMs)
      tree = new StoredAccount(context, places, name as UserId, registry, makeMailbox, onTree, basename(path))
      this.trees.set(path, tree)
    }
    return tree
  }

  share({
    memoryOctets,
    near,
  }: {
    readonly memoryOctets: number
    readonly near: () => Promise<Account>
  }): SharedMessage {
    return new StoredShared(this.context, { memoryOctets, folder: async () => `${(await near()).path}/tmp` })
  }

  async *accounts(): AsyncIterable<UserId> {
    const seen = new Set<string>()
    // There and back: an account that is moved to a root that was read already is met on the way back.
    for (const root of [...this.roots, ...this.roots.toReversed().slice(1)]) {
      const entries = (await unlessAbsent(this.context.fs.list(root))) ?? []
      void new Leavings(this.context).removeGone(root, entries)
      const names = entries.filter((entry) => entry.isDirectory).map((entry) => entry.name)
      for (const name of [...names, ...(await this.unsettled(root))]) {
        const userId = accountOf(name)
        if (userId === undefined || seen.has(name)) continue
        seen.add(name)
        yield userId
      }
    }
    for await (const userId of this.archived.userIds()) {
      const name = accountDirectory(userId)
      if (!seen.has(name)) yield userId
      seen.add(name)
    }
  }

  async move(userId: UserId, root: string, options?: MoveOptions): Promise<MoveResult> {
    try {
      return await moveAccount(this.context, this.places, userId, resolve(root), options)
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found' && (await this.archived.find(userId)) !== undefined)
        throw archiveError()
      throw storeError(error, 'Moving an account')
    }
  }

  async rename(from: UserId, to: UserId): Promise<void> {
    try {
      const { path } = this.account(from)
      await renameAccount(this.context, this.places, from, to)
      this.registry.moved(path)
      for (const userId of [from, to]) this.known.delete(userId)
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found' && (await this.archived.find(from)) !== undefined)
        throw archiveError()
      throw storeError(error, 'Renaming an account')
    }
  }

  /** Accounts that are out of reach for the moment, because they are moved or were. */
  private async unsettled(root: string): Promise<readonly string[]> {
    const out: string[] = []
    for (const name of await this.places.unsettled(root)) {
      await this.places.tidy(name).catch(() => {})
      const attempts = await this.places.attempts(name)
      if (attempts.some(({ has }) => has.has('frozen') || has.has('left'))) out.push(name)
    }
    return out
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
