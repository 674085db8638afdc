import { StoreError } from '../base/errors.ts'
import type { OpenMailbox } from './mailbox.ts'

/** Unused mailboxes that stay open for the next one who asks, as long as they aren't too many or too large together. */
const maxIdle = 256
const maxIdleWeight = 300_000

interface Entry {
  readonly mailbox: OpenMailbox
  readonly loaded: Promise<void>
  users: number
}

/** The open mailboxes of this process, one object per directory. */
export class MailboxRegistry {
  private readonly entries = new Map<string, Entry>()

  /** Throws StoreError not-found. */
  async open(directory: string, make: () => OpenMailbox): Promise<OpenMailbox> {
    const entry = this.entries.get(directory)
    if (entry === undefined) return await this.load(directory, make())
    entry.users += 1
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
    // Last used, last in the order of the map.
    this.entries.delete(mailbox.directory)
    this.entries.set(mailbox.directory, entry)
    await mailbox.flush()
    this.trim()
  }

  /** Directory and everything below it went, or moved to `to`. */
  moved(from: string, to?: { readonly directory: string; readonly name: string; readonly oldName: string }): void {
    for (const [directory, entry] of [...this.entries]) {
      if (directory !== from && !directory.startsWith(`${from}/`)) continue
      this.entries.delete(directory)
      if (to === undefined) continue
      const moved = to.directory + directory.slice(from.length)
      entry.mailbox.follow(to.name + entry.mailbox.name.slice(to.oldName.length), moved)
      this.entries.set(moved, entry)
    }
  }

  /** Only this mailbox was removed, not what is below it. */
  removed(directory: string): void {
    this.entries.delete(directory)
  }

  async close(): Promise<void> {
    const open = [...this.entries.values()]
    this.entries.clear()
    await Promise.all(open.map((entry) => entry.mailbox.flush()))
  }

  private async load(directory: string, mailbox: OpenMailbox): Promise<OpenMailbox> {
    const entry: Entry = { mailbox, loaded: mailbox.load(), users: 1 }
    this.entries.set(directory, entry)
    try {
      await entry.loaded
      return mailbox
    } catch (error) {
      if (this.entries.get(directory) === entry) this.entries.delete(directory)
      throw error
    }
  }

  private trim(): void {
    const idle = [...this.entries].filter(([, entry]) => entry.users === 0)
    let weight = idle.reduce((sum, [, entry]) => sum + entry.mailbox.weight, 0)
    let count = idle.length
    for (const [directory, entry] of idle) {
      if (count <= maxIdle && weight <= maxIdleWeight) return
      this.entries.delete(directory)
      weight -= entry.mailbox.weight
      count -= 1
    }
  }
}
