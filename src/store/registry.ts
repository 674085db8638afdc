import { StoreError } from '../base/errors.ts'
import type { OpenMailbox } from './mailbox.ts'

/** What unused mailboxes that stay open for the next one who asks may take in memory together. */
const maxIdleOctets = 64 * 1_048_576
/** What an open mailbox takes, about: an empty one, and more for each message. */
const mailboxOctets = 4096
const messageOctets = 250

interface Entry {
  readonly mailbox: OpenMailbox
  readonly loaded: Promise<void>
  users: number
  /** While nobody uses it. */
  idleOctets: number
}

/** The open mailboxes of this process, one object per directory. */
export class MailboxRegistry {
  private readonly entries = new Map<string, Entry>()
  /** Those that nobody uses, in the order of their last use. */
  private readonly idle = new Set<Entry>()
  private idleOctets = 0

  /** Throws StoreError not-found. */
  async open(directory: string, make: () => OpenMailbox): Promise<OpenMailbox> {
    const entry = this.entries.get(directory)
    if (entry === undefined) return await this.load(directory, make())
    entry.users += 1
    this.wake(entry)
    try {
      await entry.loaded
      await entry.mailbox.refresh()
      return entry.mailbox
    } catch (error) {
      entry.users -= 1
      if (this.entries.get(directory) === entry) this.entries.delete(directory)
      // Removed, and perhaps made again under the same name by somebody else.
      if (error instanceof StoreError && error.kind === 'not-found') return await this.open(directory, make)
      throw error
    }
  }

  /** One user of the mailbox is done with it. */
  async release(mailbox: OpenMailbox): Promise<void> {
    const entry = this.entries.get(mailbox.directory)
    if (entry?.mailbox !== mailbox) return
    entry.users -= 1
    if (entry.users > 0) return
    this.wake(entry)
    entry.idleOctets = mailboxOctets + messageOctets * mailbox.weight
    this.idleOctets += entry.idleOctets
    this.idle.add(entry)
    this.trim()
  }

  /** Somebody has it open, or had and it was kept. */
  isOpen(directory: string): boolean {
    return this.entries.has(directory)
  }

  /** Directory and everything below it went, or moved to `to`. */
  moved(from: string, to?: { readonly directory: string; readonly name: string; readonly oldName: string }): void {
    for (const [directory, entry] of [...this.entries]) {
      if (directory !== from && !directory.startsWith(`${from}/`)) continue
      this.entries.delete(directory)
      if (to === undefined) {
        this.wake(entry)
        continue
      }
      const moved = to.directory + directory.slice(from.length)
      entry.mailbox.follow(to.name + entry.mailbox.name.slice(to.oldName.length), moved)
      this.entries.set(moved, entry)
    }
  }

  /** Only this mailbox was removed, not what is below it. */
  removed(directory: string): void {
    const entry = this.entries.get(directory)
    if (entry !== undefined) this.wake(entry)
    this.entries.delete(directory)
  }

  async close(): Promise<void> {
    const open = [...this.entries.values()]
    this.entries.clear()
    this.idle.clear()
    this.idleOctets = 0
    await Promise.all(open.map((entry) => entry.mailbox.flush()))
  }

  private async load(directory: string, mailbox: OpenMailbox): Promise<OpenMailbox> {
    const entry: Entry = { mailbox, loaded: mailbox.load(), users: 1, idleOctets: 0 }
    this.entries.set(directory, entry)
    try {
      await entry.loaded
      return mailbox
    } catch (error) {
      if (this.entries.get(directory) === entry) this.entries.delete(directory)
      throw error
    }
  }

  /** Somebody uses it, or it is gone: in any case it is not idle. */
  private wake(entry: Entry): void {
    if (!this.idle.delete(entry)) return
    this.idleOctets -= entry.idleOctets
  }

  private trim(): void {
    for (const entry of this.idle) {
      if (this.idleOctets <= maxIdleOctets) return
      this.wake(entry)
      const { directory } = entry.mailbox
      if (this.entries.get(directory) === entry) this.entries.delete(directory)
    }
  }
}
