/** An account of a store that has archives as well: the one in the roots where there is one, else the one in an archive. */

import type { MailboxId, UserId } from '../../base/ids.ts'
import type { Account, Mailbox, MailboxEntry, MailboxStatus, RemovedMailbox, Usage } from '../types.ts'
import type { Archives } from './archives.ts'

export class LiveOrArchived implements Account {
  readonly userId: UserId
  private readonly live: Account
  private readonly archives: Archives
  private last: Account

  constructor(live: Account, archives: Archives) {
    this.userId = live.userId
    this.live = live
    this.archives = archives
    this.last = live
  }

  get path(): string {
    return this.last.path
  }

  async locate(): Promise<{ readonly root: string; readonly path: string; readonly exists: boolean }> {
    return (await this.there()).locate()
  }
  async exists(): Promise<boolean> {
    return (await this.there()).exists()
  }
  async tidy(): Promise<void> {
    return (await this.there()).tidy()
  }
  async ensure(): Promise<void> {
    return (await this.there()).ensure()
  }
  async destroy(): Promise<void> {
    return (await this.there()).destroy()
  }
  async list(): Promise<readonly MailboxEntry[]> {
    return (await this.there()).list()
  }
  async open(name: string): Promise<Mailbox> {
    return (await this.there()).open(name)
  }
  async status(name: string): Promise<MailboxStatus> {
    return (await this.there()).status(name)
  }
  async find(name: string): Promise<MailboxEntry | undefined> {
    return (await this.there()).find(name)
  }
  async findId(name: string): Promise<MailboxId | undefined> {
    return (await this.there()).findId(name)
  }
  async usage(...given: Parameters<Account['usage']>): Promise<Usage> {
    return (await this.there()).usage(...given)
  }
  async create(...given: Parameters<Account['create']>): Promise<void> {
    return (await this.there()).create(...given)
  }
  async adoptUids(...given: Parameters<Account['adoptUids']>): Promise<boolean> {
    return (await this.there()).adoptUids(...given)
  }
  async remove(name: string): Promise<void> {
    return (await this.there()).remove(name)
  }
  async removed(): Promise<readonly RemovedMailbox[]> {
    return (await this.there()).removed()
  }
  async restore(id: string): Promise<string> {
    return (await this.there()).restore(id)
  }
  async rename(from: string, to: string): Promise<void> {
    return (await this.there()).rename(from, to)
  }
  async subscriptions(): Promise<readonly string[]> {
    return (await this.there()).subscriptions()
  }
  async subscribe(name: string): Promise<void> {
    return (await this.there()).subscribe(name)
  }
  async unsubscribe(name: string): Promise<void> {
    return (await this.there()).unsubscribe(name)
  }
  async get(key: string): Promise<unknown> {
    return (await this.there()).get(key)
  }
  async entries(prefix: string): Promise<ReadonlyMap<string, unknown>> {
    return (await this.there()).entries(prefix)
  }
  async put(values: Readonly<Record<string, unknown>>): Promise<void> {
    return (await this.there()).put(values)
  }
  async update(key: string, change: (value: unknown) => unknown): Promise<void> {
    return (await this.there()).update(key, change)
  }
  async change(...given: Parameters<Account['change']>): Promise<void> {
    return (await this.there()).change(...given)
  }

  /** Throws StoreError unavailable while it can't be told. */
  private async there(): Promise<Account> {
    this.last = (await this.live.exists()) ? this.live : ((await this.archives.find(this.userId)) ?? this.live)
    return this.last
  }
}
