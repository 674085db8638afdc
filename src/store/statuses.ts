/**
 * Statuses of an account's mailboxes, mostly without opening them: `cache/usage` in the account's directory tells what each was as of an entry of
 * its log, and two questions about names tell whether it still is. Derived: it may be deleted or damaged at any time. Not durable.
 */

import type { StoreContext } from './context.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import type { OpenMailbox } from './mailbox.ts'
import type { MailboxRegistry } from './registry.ts'
import { type KnownStatus, StatusTable, statusLine } from './status-table.ts'
import { makeIfAbsent } from './tree.ts'
import type { MailboxStatus } from './types.ts'
import { uniqueName } from './unique.ts'

const flushAfterMs = 2000
const batchLines = 500
/** Above this the file is no sound one, and is made anew: some 200,000 mailboxes. */
const maxOctets = 64 * 1024 * 1024

export class Statuses {
  private readonly context: StoreContext
  private readonly account: string
  private readonly registry: MailboxRegistry
  private readonly makeMailbox: (name: string, directory: string) => OpenMailbox
  private loading: Promise<StatusTable> | undefined
  private unwritten: Buffer[] = []

  /** `account`: its directory. */
  constructor(
    context: StoreContext,
    account: string,
    registry: MailboxRegistry,
    makeMailbox: (name: string, directory: string) => OpenMailbox,
  ) {
    this.context = context
    this.account = account
    this.registry = registry
    this.makeMailbox = makeMailbox
  }

  /** Throws StoreError not-found. */
  async of(name: string, directory: string): Promise<MailboxStatus> {
    const wasOpen = this.registry.isOpen(directory)
    const known = wasOpen ? undefined : (await this.table()).known.get(name)
    if (known !== undefined && (await this.isCurrent(known, directory))) return known.status
    const mailbox = await this.registry.open(directory, () => this.makeMailbox(name, directory))
    try {
      const status = mailbox.status()
      if (!wasOpen) await this.remember(name, mailbox, status)
      return status
    } finally {
      await mailbox.close()
    }
  }

  /** A mailbox and those below it have other names now. */
  async renamed(from: string, to: string): Promise<void> {
    const table = await this.table()
    for (const known of [...table.known.values()]) {
      if (known.name !== from && !known.name.startsWith(`${from}/`)) continue
      table.known.delete(known.name)
      this.add(table, { ...known, name: to + known.name.slice(from.length) })
    }
  }

  /** Writes what is not written yet; whatever is of other mailboxes than these goes. */
  async keepOnly(names: readonly string[]): Promise<void> {
    const table = await this.table()
    for (const name of new Set(table.known.keys()).difference(new Set(names))) table.known.delete(name)
    await this.flush()
    if (table.lineCount > 2 * table.known.size) await this.rewrite(table)
  }

  /** What was counted is not believed any more. */
  async forget(): Promise<void> {
    this.unwritten = []
    this.context.statusTables.delete(this.path)
    await unlessAbsent(this.context.fs.remove(this.path))
  }

  private get path(): string {
    return `${this.account}/cache/usage`
  }

  /** No entry was added, and the last one is the same: so nothing was removed, made again or brought back from a backup either. */
  private async isCurrent({ last, next, changedMs }: KnownStatus, directory: string): Promise<boolean> {
    const { fs } = this.context
    if ((await unlessAbsent(fs.status(`${directory}/${next}`))) !== undefined) return false
    return (await unlessAbsent(fs.status(`${directory}/${last}`)))?.changedMs === changedMs
  }

  private async remember(name: string, mailbox: OpenMailbox, status: MailboxStatus): Promise<void> {
    const { directory, entries } = mailbox
    const [last, next] = [entries.last, entries.next].map((path) => path.slice(directory.length + 1)) as [
      string,
      string,
    ]
    const file = await unlessAbsent(this.context.fs.status(entries.last))
    if (file === undefined) return
    this.add(await this.table(), { name, last, next, changedMs: file.changedMs, status })
  }

  private add(table: StatusTable, known: KnownStatus): void {
    table.known.set(known.name, known)
    this.context.statusTables.set(this.path, table, table.memoryOctets)
    this.unwritten.push(statusLine(known))
    if (this.unwritten.length >= batchLines) void this.flush()
    else if (this.unwritten.length === 1)
      void this.context.clock
        .sleep(flushAfterMs, this.context.closing)
        .then(() => this.flush())
        .catch(() => {})
  }

  private async flush(): Promise<void> {
    const { fs } = this.context
    const lines = this.unwritten
    this.unwritten = []
    if (lines.length === 0) return
    await this.derived(async () => {
      const octets = Buffer.concat(lines)
      try {
        await fs.append(this.path, octets)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
        await makeIfAbsent(fs, `${this.account}/cache`)
        await fs.append(this.path, octets)
      }
      const table = this.context.statusTables.get(this.path)
      if (table !== undefined) table.lineCount += lines.length
    })
  }

  private async table(): Promise<StatusTable> {
    const known = this.context.statusTables.get(this.path)
    if (known !== undefined) return known
    if (this.loading === undefined) {
      this.loading = this.load().finally(() => {
        this.loading = undefined
      })
    }
    return await this.loading
  }

  private async load(): Promise<StatusTable> {
    let table = new StatusTable()
    await this.derived(async () => {
      const file = await unlessAbsent(this.context.fs.open(this.path))
      if (file === undefined) return
      try {
        table = await StatusTable.of(await file.read(0, Math.min(file.sizeOctets, maxOctets)))
      } finally {
        await file.close()
      }
      if (table.lineCount > 2 * table.known.size || file.sizeOctets > maxOctets) await this.rewrite(table)
    })
    this.context.statusTables.set(this.path, table, table.memoryOctets)
    return table
  }

  /** Most lines are out of date. What another process adds meanwhile is lost, and counted again. */
  private async rewrite(table: StatusTable): Promise<void> {
    await this.derived(async () => {
      const { fs } = this.context
      const written = `${this.account}/tmp/${uniqueName()}`
      await fs.append(written, Buffer.concat(Array.from(table.known.values(), statusLine)))
      await fs.rename(written, this.path)
      table.lineCount = table.known.size
    })
  }

  /** A failure costs time later, nothing else. */
  private async derived(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.context.log.log('info', 'the cache of statuses was not read or written', {
        path: this.path,
        error: String(error),
      })
    }
  }
}
