/**
 * What happens to all mailboxes of an account, whoever does it: commits of this process, the event channel, and rounds through the account, since events may be missed.
 * Shared by all sessions of the process that follow the account; nothing is kept for an account that nobody follows. docs/decisions/0335-notify.md
 */

import type { Log } from '../base/log.ts'
import type { EventBus, MailEvent } from '../events/types.ts'
import type { Account, CommitNotice, TreeNotice } from '../store/types.ts'
import { MailRounds } from './mail-rounds.ts'

/** So many messages of a mailbox; the account calls it so. */
export interface MessageNews {
  readonly mailbox: string
  readonly added: number
  readonly updated: number
  readonly expunged: number
}

/** 'rights': who may do what with the mailbox. */
export interface TreeNews {
  readonly change: TreeNotice['change'] | 'rights'
  readonly mailbox: string
  readonly to?: string | undefined
}

export interface MailListener {
  onMessages(news: MessageNews): void
  onTree(news: TreeNews): void
  /** A round through the account is over. */
  onRound(): void
}

export interface Following {
  /** Resolves when nothing that changes from then on is missed, whatever is not told of. */
  readonly looked: Promise<void>
  stop(): void
}

interface Followed {
  readonly listeners: Set<MailListener>
  readonly rounds: MailRounds
  readonly stop: () => void
}

/** One for each process. */
export class MailNews {
  readonly #events: EventBus
  readonly #log: Log
  readonly #followed = new Map<string, Followed>()

  constructor(events: EventBus, log: Log) {
    this.#events = events
    this.#log = log
  }

  /** By this process. */
  onCommit(notice: CommitNotice): void {
    this.#tellMessages(notice.userId, notice, notice.highestModSeq)
  }

  /** By this process. */
  onTree({ userId, ...news }: TreeNotice): void {
    this.#tellTree(userId, news)
  }

  /** By this process. Nobody else tells of it. `owner`: user id, or what stands for it. */
  rightsChanged(owner: string, mailbox: string): void {
    this.#events.publish({ topic: `mbox:${owner}`, name: 'tree', fields: { mailbox, change: 'rights' } })
    this.#tellTree(owner, { change: 'rights', mailbox })
  }

  follow(account: Account, listener: MailListener): Following {
    const { userId } = account
    let followed = this.#followed.get(userId)
    if (followed === undefined) {
      const listeners = new Set<MailListener>()
      const rounds = new MailRounds(account, this.#events, this.#log, {
        onMessages: (news) => {
          for (const each of listeners) each.onMessages(news)
        },
        onTree: (news) => {
          for (const each of listeners) each.onTree(news)
        },
        onRound: () => {
          for (const each of listeners) each.onRound()
        },
      })
      const stop = this.#events.subscribe(
        [`mbox:${userId}`],
        (event) => this.#hear(userId, event),
        () => rounds.goNow(),
      )
      followed = { listeners, rounds, stop }
      this.#followed.set(userId, followed)
    }
    const { listeners, rounds, stop } = followed
    listeners.add(listener)
    return {
      looked: rounds.looked,
      stop: () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        stop()
        rounds[Symbol.dispose]()
        this.#followed.delete(userId)
      },
    }
  }

  #hear(userId: string, { name, fields }: MailEvent): void {
    const mailbox = String(fields.mailbox ?? '')
    const count = (key: string) => Number(fields[key] ?? 0)
    if (name === 'mailbox') {
      const news = { mailbox, added: count('added'), updated: count('updated'), expunged: count('expunged') }
      this.#tellMessages(userId, news, count('modseq'))
    } else if (name === 'tree') {
      const change = String(fields.change) as TreeNews['change']
      this.#tellTree(userId, { change, mailbox, to: fields.to === undefined ? undefined : String(fields.to) })
    }
  }

  #tellMessages(userId: string, news: MessageNews, modSeq: number): void {
    const followed = this.#followed.get(userId)
    if (followed === undefined) return
    followed.rounds.heardOf(news.mailbox, modSeq)
    for (const listener of followed.listeners) listener.onMessages(news)
  }

  #tellTree(userId: string, news: TreeNews): void {
    const followed = this.#followed.get(userId)
    if (followed === undefined) return
    followed.rounds.heardOfTree(news)
    for (const listener of followed.listeners) listener.onTree(news)
  }
}
