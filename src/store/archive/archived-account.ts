/** An account of an archive. Every write fails with the same StoreError; nothing is made, swept, cached or repaired on the disk. */

import { StoreError } from '../../base/errors.ts'
import type { MailboxId, UserId } from '../../base/ids.ts'
import { AccountState } from '../account-state.ts'
import type { StoreContext } from '../context.ts'
import { findLogId } from '../epochs.ts'
import { storeError } from '../fs.ts'
import { MailboxState } from '../mailbox-state.ts'
import { accountDirectory, canonicalName, mailboxPath } from '../names.ts'
import { findMailbox, listMailboxes } from '../tree.ts'
import type { Account, Mailbox, MailboxEntry, MailboxStatus, RemovedMailbox, Usage } from '../types.ts'
import { archiveError } from './archive-fs.ts'
import { type ArchivedLog, readArchivedLog } from './archived-log.ts'
import { ArchivedMailbox } from './archived-mailbox.ts'
import type { MailboxLogs } from './mailbox-logs.ts'

export class ArchivedAccount implements Account {
  readonly userId: UserId
  readonly path: string
  private readonly context: StoreContext
  private readonly root: string
  private readonly logs: MailboxLogs

  /** `root`: the archive, which has the account. */
  constructor(context: StoreContext, root: string, userId: UserId, logs: MailboxLogs) {
    this.context = context
    this.root = root
    this.userId = userId
    this.path = `${root}/${accountDirectory(userId)}`
    this.logs = logs
  }

  async locate(): Promise<{ readonly root: string; readonly path: string; readonly exists: boolean }> {
    return { root: this.root, path: this.path, exists: true }
  }

  async exists(): Promise<boolean> {
    return true
  }

  /** It is there, and an archive without INBOX gets none. */
  async ensure(): Promise<void> {}

  async tidy(): Promise<void> {}

  list(): Promise<readonly MailboxEntry[]> {
    return reading('Listing mailboxes', () => listMailboxes(this.context.fs, this.path))
  }

  open(name: string): Promise<Mailbox> {
    return this.openArchived(canonicalName(name))
  }

  async status(name: string): Promise<MailboxStatus> {
    return (await this.openArchived(canonicalName(name))).status()
  }

  find(name: string): Promise<MailboxEntry | undefined> {
    const canonical = canonicalName(name)
    const directory = `${this.path}/${mailboxPath(canonical)}`
    return reading('Looking for a mailbox', () => findMailbox(this.context.fs, canonical, directory))
  }

  async findId(name: string): Promise<MailboxId | undefined> {
    const directory = `${this.path}/${mailboxPath(canonicalName(name))}`
    return (await reading('Looking for a mailbox', () => findLogId(this.context.fs, directory))) as
      | MailboxId
      | undefined
  }

  async usage(): Promise<Usage> {
    let [messages, octets] = [0, 0]
    for (const { name, selectable } of await this.list()) {
      if (!selectable) continue
      const status = await this.status(name)
      messages += status.messages
      octets += status.sizeOctets
    }
    return { messages, octets }
  }

  async subscriptions(): Promise<readonly string[]> {
    const { state } = await this.own()
    return [...state.subscriptions].sort()
  }

  async get(key: string): Promise<unknown> {
    const { state } = await this.own()
    return state.values.get(key)
  }

  async entries(prefix: string): Promise<ReadonlyMap<string, unknown>> {
    const { state } = await this.own()
    return new Map([...state.values].filter(([key]) => key.startsWith(prefix)))
  }

  async removed(): Promise<readonly RemovedMailbox[]> {
    return []
  }

  async destroy(): Promise<void> {
    throw archiveError()
  }

  async create(): Promise<void> {
    throw archiveError()
  }

  async adoptUids(): Promise<boolean> {
    throw archiveError()
  }

  async remove(): Promise<void> {
    throw archiveError()
  }

  async restore(): Promise<string> {
    throw archiveError()
  }

  async rename(): Promise<void> {
    throw archiveError()
  }

  async subscribe(): Promise<void> {
    throw archiveError()
  }

  async unsubscribe(): Promise<void> {
    throw archiveError()
  }

  async put(): Promise<void> {
    throw archiveError()
  }

  async update(): Promise<void> {
    throw archiveError()
  }

  async change(): Promise<void> {
    throw archiveError()
  }

  private openArchived(name: string): Promise<ArchivedMailbox> {
    const directory = `${this.path}/${mailboxPath(name)}`
    return reading('Opening a mailbox', async () => {
      const log = await this.logs.of(directory, () =>
        // A time that stands still: a repair in memory gives the same UIDVALIDITY each time.
        readArchivedLog(
          this.context,
          'mailbox',
          directory,
          () => new MailboxState({ ...this.context.clock, now: () => 0 }),
        ),
      )
      return new ArchivedMailbox(this.context, name, directory, log)
    })
  }

  private own(): Promise<ArchivedLog<AccountState>> {
    const { clock } = this.context
    return reading('Reading an account', () =>
      readArchivedLog(this.context, 'account', this.path, () => new AccountState(clock)),
    )
  }
}

/** Disk errors become StoreErrors. */
async function reading<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof StoreError ? error : storeError(error, what)
  }
}
