/**
 * Goes round through an account's mailboxes for what nobody told of. What a round costs decides when the next one is: it takes no more than a fiftieth of the time.
 * A mailbox costs two calls of the file system, and is opened only where it changed.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { EventBus } from '../events/types.ts'
import { severalAtOnce } from '../store/several.ts'
import type { Account } from '../store/types.ts'
import type { MailListener, TreeNews } from './mail-news.ts'

/** As often as a session looks at the mailbox that it has selected. */
const tickMs = 9000
/** While events come, only others' cut links have to be made up for. */
const ticksWithEvents = 7
const roundsPart = 50
const looksAtOnce = 16

interface Known {
  modSeq: number
  id: MailboxId | undefined
}

export class MailRounds implements Disposable {
  readonly #account: Account
  readonly #events: Pick<EventBus, 'connected'>
  readonly #listener: MailListener
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  /** Resolves when the first round is over, done or not: what changes from then on is found by the next one. */
  readonly looked: Promise<void>
  /** By name. What can't be looked at has MODSEQ 0. */
  readonly #known = new Map<string, Known>()
  /** A round was done: what was not known before is news. */
  #isComplete = false
  #subscribed: ReadonlySet<string> = new Set()
  /** What was told of while a round was on, which need not know it yet. */
  readonly #heard = new Set<string>()
  #ticks = 0
  #ticksToWait = 1
  #running = false
  #again = false
  #open = true

  constructor(account: Account, events: Pick<EventBus, 'connected'>, log: Log, listener: MailListener) {
    this.#account = account
    this.#events = events
    this.#listener = listener
    this.#log = log
    this.#timer = setInterval(() => this.#tick(), tickMs)
    this.looked = this.#go()
  }

  /** Events may have been missed. */
  goNow(): void {
    if (this.#running) this.#again = true
    else void this.#go()
  }

  /** Somebody told that the mailbox is at `modSeq`. */
  heardOf(mailbox: string, modSeq: number): void {
    const known = this.#known.get(mailbox)
    if (known !== undefined) known.modSeq = Math.max(known.modSeq, modSeq)
  }

  heardOfTree({ change, mailbox, to }: TreeNews): void {
    if (this.#running) {
      this.#heard.add(mailbox)
      if (to !== undefined) this.#heard.add(to)
    }
    const known = this.#known
    if (change === 'removed') known.delete(mailbox)
    else if (change === 'created' || change === 'restored') known.set(mailbox, { modSeq: 0, id: undefined })
    else if (change === 'subscribed') this.#subscribed = new Set([...this.#subscribed, mailbox])
    else if (change === 'unsubscribed') this.#subscribed = this.#subscribed.difference(new Set([mailbox]))
    else if (change === 'renamed' && to !== undefined)
      for (const [name, as] of [...known])
        if (name === mailbox || name.startsWith(`${mailbox}/`)) {
          known.delete(name)
          known.set(to + name.slice(mailbox.length), as)
        }
  }

  [Symbol.dispose](): void {
    this.#open = false
    clearInterval(this.#timer)
  }

  #tick(): void {
    this.#ticks++
    const wait = this.#events.connected ? Math.max(ticksWithEvents, this.#ticksToWait) : this.#ticksToWait
    if (this.#ticks >= wait && !this.#running) void this.#go()
  }

  /** An account that does not answer is tried again at the next round: whoever waits for news sees none of its troubles. */
  async #go(): Promise<void> {
    this.#running = true
    this.#ticks = 0
    const start = performance.now()
    try {
      await this.#round()
      if (this.#open) this.#listener.onRound()
    } catch (error) {
      const cause = error instanceof StoreError ? error.message : String((error as Error).stack)
      this.#log.log('err', 'mailboxes can not be looked through for news', { account: this.#account.userId, cause })
    } finally {
      this.#running = false
      this.#heard.clear()
      this.#ticksToWait = Math.max(1, Math.ceil((roundsPart * (performance.now() - start)) / tickMs))
    }
    if (!this.#again || !this.#open) return
    this.#again = false
    await this.#go()
  }

  async #round(): Promise<void> {
    const entries = await this.#account.list()
    const names = new Set(entries.flatMap(({ name, selectable }) => (selectable ? [name] : [])))
    const isFirst = !this.#isComplete
    const known = this.#known
    for (const name of isFirst ? [] : names) if (!known.has(name) && !this.#heard.has(name)) this.#tell('created', name)
    for (const name of [...known.keys()])
      if (!names.has(name) && !this.#heard.has(name)) {
        known.delete(name)
        this.#tell('removed', name)
      }
    await this.#lookAtSubscriptions(isFirst)
    await severalAtOnce([...names], looksAtOnce, async (name) => {
      if (this.#open) await this.#lookAt(name, known, isFirst)
    })
    this.#isComplete = true
  }

  #tell(change: TreeNews['change'], mailbox: string): void {
    this.#listener.onTree({ change, mailbox })
  }

  async #lookAtSubscriptions(isFirst: boolean): Promise<void> {
    const now = new Set(await this.#account.subscriptions())
    const before = this.#subscribed
    this.#subscribed = now
    if (isFirst) return
    for (const name of now.difference(before)) this.#tell('subscribed', name)
    for (const name of before.difference(now)) this.#tell('unsubscribed', name)
  }

  async #lookAt(name: string, known: Map<string, Known>, isFirst: boolean): Promise<void> {
    try {
      const { highestModSeq, mailboxId } = await this.#account.status(name)
      const before = known.get(name)
      if (before === undefined) {
        known.set(name, { modSeq: highestModSeq, id: mailboxId })
        // It came since the last round, with what is in it.
        if (!isFirst) this.#listener.onMessages({ mailbox: name, added: 1, updated: 1, expunged: 1 })
        return
      }
      const isSame = before.id === undefined || before.id === mailboxId
      if (isSame && before.modSeq >= highestModSeq) {
        before.id = mailboxId
        return
      }
      const since = isSame ? before.modSeq : undefined
      Object.assign(before, { modSeq: highestModSeq, id: mailboxId })
      await this.#tellChanges(name, since)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // It is there, and is told of once; what is in it when it can be looked at.
      if (error.kind !== 'not-found' && !known.has(name)) known.set(name, { modSeq: 0, id: undefined })
    }
  }

  /** `since`: a MODSEQ; undefined: it is another mailbox now. */
  async #tellChanges(name: string, since: number | undefined): Promise<void> {
    if (since === undefined) return this.#listener.onMessages({ mailbox: name, added: 1, updated: 1, expunged: 1 })
    await using mailbox = await this.#account.open(name)
    const delta = mailbox.delta(since as typeof mailbox.highestModSeq)
    const [added, updated, expunged] = [delta.added(), delta.updated(), delta.expunged()].map((some) => {
      for (const _ of some) return 1
      return 0
    }) as [number, number, number]
    if (added + updated + expunged > 0) this.#listener.onMessages({ mailbox: name, added, updated, expunged })
  }
}
