/**
 * Tells a client of mailboxes that it has not selected, RFC 5465. What happened is noted as it is heard of, a line for each mailbox, and looked at in the store when
 * it is told: so everything that is told was so at that moment, with the rights that the user has then.
 */

import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { NotifyArgs, NotifyEvent } from '../../proto/imap/notify.ts'
import { formatStatus, type StatusItem } from '../../proto/imap/status.ts'
import type { Account } from '../../store/types.ts'
import type { Following, MessageNews, TreeNews } from '../mail-news.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
import { statusValues } from '../status-values.ts'
import { Interest } from './interest.ts'
import { nameLine } from './names.ts'
import { OthersSeen } from './others-seen.ts'
import { type Counts, Pending } from './pending.ts'

/** Mailboxes that are asked for their status at the same time: as many as a server's threads for files. */
const asksAtOnce = 16
const maxNames = 1000

const everything: Counts = { added: 1, updated: 1, expunged: 1 }
const nothing: Counts = { added: 0, updated: 0, expunged: 0 }

export class Notifier implements Disposable {
  readonly interest: Interest
  /** Called when there is something to tell. */
  onNews: (() => void) | undefined
  readonly #session: Session
  readonly #pending = new Pending()
  readonly #others: OthersSeen
  /** By account. */
  readonly #following = new Map<UserId, Following>()
  #othersChanged = false
  #open = true

  private constructor(session: Session, interest: Interest) {
    this.#session = session
    this.interest = interest
    this.#others = new OthersSeen(session, interest)
  }

  /** From now on everything is noted. Throws Refusal. */
  static async begin(session: Session, { groups }: NotifyArgs): Promise<Notifier> {
    const named = groups.reduce((sum, { filter }) => sum + 1 + ('names' in filter ? filter.names.length : 0), 0)
    if (named > maxNames) throw new Refusal('NO', 'NOTIFICATIONOVERFLOW', `At most ${maxNames} mailboxes in one NOTIFY`)
    const notifier = new Notifier(session, new Interest(groups, (name) => session.hierarchy.isOwn(name)))
    try {
      if (groups.length > 0) await notifier.#follow()
      await Promise.all(notifier.#following.values().map(({ looked }) => looked))
      await notifier.#others.look()
    } catch (error) {
      notifier[Symbol.dispose]()
      throw error
    }
    return notifier
  }

  [Symbol.dispose](): void {
    this.#open = false
    this.onNews = undefined
    for (const following of this.#following.values()) following.stop()
  }

  /** What the client asked for by STATUS, and mailboxes that the user sees and may not read. RFC 5465 §3.1 */
  async tellAll(withStatus: boolean): Promise<void> {
    for (const name of this.#others.unreadable) this.#write(await nameLine(this.#session, name))
    if (!withStatus) return
    const names = this.interest.isOpen
      ? await this.#ownNames()
      : this.interest.tops.filter((name) => this.#session.hierarchy.isOwn(name))
    await this.#tellStatus(
      [...names, ...this.#others.readable].map((name) => [name, everything]),
      true,
    )
  }

  /** The session put so many messages there itself. */
  addedByItself(name: string, messages: number): void {
    this.#pending.subtractMessages(name, messages)
  }

  /** The session changed the tree itself. */
  changedByItself(news: TreeNews): void {
    if (!this.#session.hierarchy.isOwn(news.mailbox) && !news.change.endsWith('subscribed')) return
    this.#eachName(this.#session.userId, news, (name) => this.#pending.subtractName(name))
    if (news.change === 'created') this.#pending.forgetMessages(news.mailbox)
  }

  /** Writes what there is; says whether the client asked for too much: then nothing of it was written, and this one is over. */
  async tell(): Promise<'told' | 'overflow'> {
    if (this.#othersChanged) await this.#lookAtOthers()
    if (this.#pending.isEmpty) return 'told'
    const { messages, names, overflowed } = this.#pending.take()
    if (overflowed) return 'overflow'
    for (const [name, { oldName }] of names) {
      this.#write(await nameLine(this.#session, name, oldName))
      await this.#session.output.flow()
    }
    await this.#tellStatus([...messages], false)
    return 'told'
  }

  async #follow(): Promise<void> {
    const session = this.#session
    const wanted = new Map<UserId, Account>([[session.userId, session.account]])
    if (this.interest.needsSubscriptions) this.interest.subscribed = new Set(await session.account.subscriptions())
    for (const name of [...this.interest.tops, ...this.interest.subscribed])
      for (const account of await session.hierarchy.accountsAt(name)) wanted.set(account.userId, account)
    for (const [userId, following] of [...this.#following])
      if (!wanted.has(userId) && this.#following.delete(userId)) following.stop()
    if (!this.#open) return
    for (const [userId, account] of wanted) {
      if (this.#following.has(userId)) continue
      const listener = {
        onMessages: (news: MessageNews) => this.#hearMessages(userId, news),
        onTree: (news: TreeNews) => this.#hearTree(userId, news),
        onRound: () => this.#roundOver(userId),
      }
      this.#following.set(userId, session.services.mailNews.follow(account, listener))
    }
  }

  #hearMessages(userId: UserId, news: MessageNews): void {
    const name = this.#session.hierarchy.nameOf(userId, news.mailbox)
    const events = this.interest.eventsOf(name)
    if (!events.has('MessageNew')) return
    const updated = events.has('FlagChange') ? news.updated : 0
    if (news.added + news.expunged + updated === 0 || this.#session.selectedName === name) return
    this.#pending.addMessages(name, { added: news.added, expunged: news.expunged, updated })
    this.#wake()
  }

  #hearTree(userId: UserId, news: TreeNews): void {
    const isOwn = userId === this.#session.userId
    if (news.change === 'subscribed' || news.change === 'unsubscribed') {
      if (!isOwn) return
      if (this.interest.needsSubscriptions) {
        const { subscribed } = this.interest
        const changed = new Set([news.mailbox])
        this.interest.subscribed =
          news.change === 'subscribed' ? subscribed.union(changed) : subscribed.difference(changed)
        this.#othersChanged ||= !this.#session.hierarchy.isOwn(news.mailbox)
      }
    }
    if (isOwn) this.#eachName(userId, news, (name, oldName) => this.#pending.addName(name, oldName))
    else {
      this.#othersChanged = true
      if (news.to !== undefined) this.#others.renamed(this.#nameOf(userId, news.mailbox), this.#nameOf(userId, news.to))
    }
    // It has another UIDVALIDITY than one that had its name before, and maybe messages. RFC 5465 §5.1
    if (news.change === 'created') this.#hearMessages(userId, { mailbox: news.mailbox, ...nothing, updated: 1 })
    if (news.change === 'restored') this.#hearMessages(userId, { mailbox: news.mailbox, ...everything })
    this.#wake()
  }

  /** The names of own mailboxes that the client is told of when this happens. RFC 5465 §5.4, §5.5 */
  #eachName(userId: UserId, { change, mailbox, to }: TreeNews, then: (name: string, oldName?: string) => void): void {
    const name = this.#nameOf(userId, mailbox)
    const wants = (event: NotifyEvent, which: string) => this.interest.wants(event, which)
    switch (change) {
      case 'rights':
        return
      case 'subscribed':
      case 'unsubscribed':
        if (wants('SubscriptionChange', name)) then(name)
        return
      case 'renamed': {
        const newName = this.#nameOf(userId, to ?? mailbox)
        if (wants('MailboxName', newName) || wants('MailboxName', name)) then(newName, name)
        return
      }
      case 'created':
      case 'removed':
      case 'restored': {
        const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')))
        for (const affected of parent === '' ? [name] : [name, parent])
          if (wants('MailboxName', affected)) then(affected)
      }
    }
  }

  #nameOf(userId: UserId, local: string): string {
    return this.#session.hierarchy.nameOf(userId, local)
  }

  /** Who shares what is not told of by those who did not share before. */
  #roundOver(userId: UserId): void {
    if (userId !== this.#session.userId || !this.#others.isWatched) return
    this.#othersChanged = true
    this.#wake()
  }

  async #lookAtOthers(): Promise<void> {
    this.#othersChanged = false
    try {
      await this.#follow()
      for (const { name, oldName, gained } of await this.#others.look()) {
        this.#pending.addName(name, oldName)
        if (gained) this.#pending.addMessages(name, everything)
      }
    } catch (error) {
      if (error instanceof Refusal) this.#pending.overflowed = true
      else if (!(error instanceof StoreError)) throw error
      else this.#session.log.log('err', 'what others share can not be looked at', { cause: error.message })
    }
  }

  #wake(): void {
    this.onNews?.()
  }

  async #ownNames(): Promise<readonly string[]> {
    return (await this.#session.account.list()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
  }

  /** `asAsked`: everything that STATUS brings, whatever happened. */
  async #tellStatus(mailboxes: readonly (readonly [name: string, counts: Counts])[], asAsked: boolean): Promise<void> {
    for (let at = 0; at < mailboxes.length; at += asksAtOnce) {
      const texts = await Promise.all(
        mailboxes.slice(at, at + asksAtOnce).map(([name, counts]) => this.#statusOf(name, counts, asAsked)),
      )
      for (const text of texts) this.#write(text)
      await this.#session.output.flow()
    }
  }

  /** Nothing of a mailbox that is selected now, that is not there, or that the user may not read. */
  async #statusOf(name: string, { added, updated, expunged }: Counts, asAsked: boolean): Promise<string> {
    const { hierarchy, services, spelling, enabled, log } = this.#session
    const events = this.interest.eventsOf(name)
    if (!events.has('MessageNew') || this.#session.selectedName === name) return ''
    // It is told that there is such a mailbox before it is told what is in it.
    if (!hierarchy.isOwn(name) && !this.#others.mayRead(name)) return ''
    const items: StatusItem[] = added + expunged > 0 ? ['MESSAGES', 'UIDNEXT', 'UIDVALIDITY'] : ['UIDVALIDITY']
    if (events.has('FlagChange') && updated > 0) items.push('UNSEEN')
    // RFC 5465 §3.1, §5.1, §5.2
    if (asAsked ? events.has('FlagChange') : enabled.has('CONDSTORE')) items.push('HIGHESTMODSEQ')
    try {
      const { account, local } = await hierarchy.permit(name, 'r')
      const values = await statusValues(account, local, items, services.settings().appendOctets)
      return formatStatus(spelling, name, values)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (error.kind !== 'not-found' && error.kind !== 'no-permission')
        log.log('err', 'a client can not be told of a mailbox', { mailbox: name, cause: error.message })
      return ''
    }
  }

  #write(text: string): void {
    this.#session.output.write(text)
  }
}
